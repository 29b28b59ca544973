-- Pieces of a merged question are events of their own: none of them is over before the turn that asks them together is closed.

-- Finding the question that a message is a piece of costs the same however long the past. The view repeats the condition.
CREATE INDEX turn_merged ON turn (conversation, newest_event) WHERE newest_event > event;

DROP VIEW event_over;

-- Events with content that are over: carried out, and their turn, if they asked for one, closed. A piece's turn is the one whose first and
-- last event lie around it: nothing else came in between.
CREATE VIEW event_over AS
SELECT e.id, e.conversation, e.received_at, t.id AS turn, t.seq AS seq, CASE WHEN e.id <= c.forgotten_event THEN 1 ELSE 0 END AS forgotten
FROM event e
JOIN conversation c ON c.id = e.conversation
LEFT JOIN turn t ON t.event = COALESCE((
    SELECT CASE WHEN u.event <= e.id THEN u.event END FROM turn u
    WHERE u.newest_event > u.event AND u.conversation = e.conversation AND u.newest_event >= e.id
    ORDER BY u.newest_event LIMIT 1
), e.id)
WHERE e.payload <> '' AND e.finished_at IS NOT NULL AND (t.id IS NULL OR t.closed_at IS NOT NULL);
