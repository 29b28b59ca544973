-- What was said can be removed, by age or because somebody asked for it. The rows of events and turns stay, emptied: the key of an event
-- has to recognise a duplicate weeks later, and the usage of a turn stays counted.

ALTER TABLE conversation ADD COLUMN forgotten_event BIGINT NOT NULL DEFAULT 0;  -- events up to this one are to leave nothing behind

-- Finding what still has content costs the same however much was emptied. A statement uses it only if it repeats the condition.
CREATE INDEX event_kept ON event (conversation, id) WHERE payload <> '';

-- Events with content that are over: carried out, and their turn, if they asked for one, closed.
CREATE VIEW event_over AS
SELECT e.id, e.conversation, e.received_at, t.id AS turn, t.seq AS seq, CASE WHEN e.id <= c.forgotten_event THEN 1 ELSE 0 END AS forgotten
FROM event e
JOIN conversation c ON c.id = e.conversation
LEFT JOIN turn t ON t.event = e.id
WHERE e.payload <> '' AND e.finished_at IS NOT NULL AND (t.id IS NULL OR t.closed_at IS NOT NULL);
