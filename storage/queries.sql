-- Every statement of the store, each under its name and a line that says what it is for. One text for SQLite and PostgreSQL: parameters are
-- $1, $2, …; a driver rewrites them. An open turn is always written as state IN ('accepted', 'generating', 'answered'), word by word:
-- only so is the partial index used.

-- name: schema_version
-- Number of the newest migration that was applied.
SELECT COALESCE(MAX(version), 0) AS version FROM schema_version;

-- name: schema_applied
-- Note that a migration was applied.
INSERT INTO schema_version (version, applied_at) VALUES ($1, $2);

-- name: chat_find
-- Row and conversation of a chat.
SELECT id, conversation FROM chat WHERE platform = $1 AND account = $2 AND chat = $3 AND thread = $4;

-- name: chat_insert
-- Make a chat; if another process was faster, take its row.
INSERT INTO chat (platform, account, chat, thread, conversation) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (platform, account, chat, thread) DO UPDATE SET platform = excluded.platform
RETURNING id, conversation;

-- name: cursors
-- The chats of an account and how far each has been read; those that are gone are left out.
SELECT c.platform, c.account, c.chat, c.thread, k.position
FROM chat c LEFT JOIN cursor k ON k.chat = c.id
WHERE c.platform = $1 AND c.account = $2 AND (k.chat IS NULL OR k.position IS NOT NULL);

-- name: cursor_put
-- Note how far a chat has been read; NULL if it is gone.
INSERT INTO cursor (chat, position) VALUES ($1, $2) ON CONFLICT (chat) DO UPDATE SET position = excluded.position;

-- name: conversation_insert
-- Make a conversation without turns.
INSERT INTO conversation (next_seq, reset_seq, created_at) VALUES (1, 0, $1) RETURNING id;

-- name: conversation_next_seq
-- Take the next place in a conversation. Holds its row until the commit, so that order and places agree.
UPDATE conversation SET next_seq = next_seq + 1 WHERE id = $1 RETURNING next_seq - 1 AS seq;

-- name: conversation_reset
-- Forget all turns that older events than the given one asked for. Carried out again after a crash it forgets no more than before.
UPDATE conversation
SET reset_seq = COALESCE((SELECT MAX(t.seq) FROM turn t WHERE t.conversation = $1 AND t.event < $2 AND t.seq > reset_seq), reset_seq)
WHERE id = $1;

-- name: event_insert
-- Keep an event; no row if its key was seen before.
INSERT INTO event (key, kind, chat, conversation, payload, error, received_at, finished_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
ON CONFLICT (key) DO NOTHING
RETURNING id;

-- name: event_get
-- Read an event back.
SELECT id, key, kind, conversation, payload FROM event WHERE id = $1;

-- name: event_asked
-- The same, with the way to answer it while that holds.
SELECT e.id, e.key, e.kind, e.conversation, e.payload, i.value AS route, i.expires_at
FROM event e LEFT JOIN interaction i ON i.event = e.id AND i.expires_at > $2
WHERE e.id = $1;

-- name: events_open
-- Events not carried out yet that no turn carries, oldest first.
SELECT id, key, kind, conversation, payload FROM event WHERE finished_at IS NULL ORDER BY id;

-- name: commands_after
-- Commands and presses of a conversation above an event that were carried out, not in vain, and are kept, oldest first.
SELECT e.id, e.key, e.kind, e.conversation, e.payload FROM event e
WHERE e.conversation = $1 AND e.id > $2 AND e.payload <> '' AND e.kind IN ('command', 'button') AND e.finished_at IS NOT NULL AND e.error IS NULL
  AND NOT EXISTS (SELECT 1 FROM trouble t WHERE t.event = e.id AND t.parked_at IS NOT NULL)
ORDER BY e.id LIMIT $3;

-- name: event_in_vain
-- Note why nothing came of an event.
UPDATE event SET error = $2 WHERE id = $1 AND finished_at IS NULL;

-- name: event_finish
-- Note that an event was carried out, and tell whether it was forgotten meanwhile.
UPDATE event SET finished_at = $2
WHERE id = $1 AND finished_at IS NULL
RETURNING conversation,
          CASE WHEN id <= (SELECT c.forgotten_event FROM conversation c WHERE c.id = event.conversation) THEN 1 ELSE 0 END AS forgotten;

-- name: route_insert
-- Keep the short-lived way to answer an event.
INSERT INTO interaction (event, value, expires_at) VALUES ($1, $2, $3);

-- name: route_get
-- The way to answer an event, while it holds.
SELECT value, expires_at FROM interaction WHERE event = $1 AND expires_at > $2;

-- name: routes_purge
-- Remove the ways that hold no more; they are secrets.
DELETE FROM interaction WHERE expires_at <= $1;

-- name: turn_insert
-- Store a turn.
INSERT INTO turn (conversation, seq, event, chat, state, attempt, stop_requested, accepted_at, again, continues, ready_at, newest_event)
VALUES ($1, $2, $3, $4, 'accepted', 0, FALSE, $5, $6, $7, $8, $9)
RETURNING id;

-- name: turn_joinable
-- The newest turn of a conversation, if it waits and a message of the same person in the same chat may become part of its question: the last
-- part came no earlier than the given moment, nothing came since but the given event, and it has room for a part more.
SELECT t.id
FROM turn t JOIN event e ON e.id = t.newest_event
WHERE t.conversation = $1
  AND t.seq = (SELECT next_seq - 1 FROM conversation WHERE id = $1 AND reset_seq < next_seq - 1)
  AND t.state = 'accepted'
  AND NOT t.stop_requested
  AND t.chat = $2
  AND e.received_at >= $4
  AND (SELECT u.author FROM entry u WHERE u.turn = t.id ORDER BY u.id DESC LIMIT 1) = $3
  AND NOT EXISTS (SELECT 1 FROM event n WHERE n.conversation = $1 AND n.payload <> '' AND n.id > t.newest_event AND n.id < $5)
  AND (SELECT COUNT(*) FROM entry u WHERE u.turn = t.id) < $6;

-- name: turn_join
-- Note the newest part of a turn's question, and until when more of it is expected.
UPDATE turn SET newest_event = $2, ready_at = $3 WHERE id = $1;

-- name: turn_held
-- Until when the turn to be claimed next is held, and when it was accepted.
SELECT state, stop_requested, ready_at, accepted_at FROM turn
WHERE conversation = $1 AND state IN ('accepted', 'generating', 'answered') ORDER BY seq LIMIT 1;

-- name: turn_get
-- A turn with the chat it is answered in, and whether it waited at the same time as the one before it, or as others that wait still.
SELECT t.id, t.conversation, t.seq, t.event, t.state, t.attempt, t.stop_requested, t.answer, t.finish, t.provider, t.model, t.handle, t.error,
       t.earlier_attempts, t.shown, c.platform, c.account, c.chat, c.thread, v.revision, v.reset_seq,
       CASE WHEN EXISTS (
           SELECT 1 FROM turn b
           WHERE b.conversation = t.conversation AND b.seq = t.seq - 1
             AND (b.claimed_at > t.accepted_at
                  OR (b.closed_at > t.accepted_at
                      AND EXISTS (SELECT 1 FROM turn n
                                  WHERE n.conversation = t.conversation AND n.seq > t.seq AND n.state IN ('accepted', 'generating', 'answered')
                                    AND NOT n.stop_requested)))
       ) THEN 1 ELSE 0 END AS among_others
FROM turn t JOIN chat c ON c.id = t.chat JOIN conversation v ON v.id = t.conversation
WHERE t.id = $1;

-- name: turn_claim
-- Take the lowest open turn of a conversation, unless it is held. A turn that was claimed before is claimed again; an answered one stays
-- answered. A clock that was set back holds nothing up.
UPDATE turn
SET state = CASE state WHEN 'accepted' THEN 'generating' ELSE state END, attempt = attempt + 1, claimed_at = $2
WHERE id = (
    SELECT id FROM turn WHERE conversation = $1 AND state IN ('accepted', 'generating', 'answered') ORDER BY seq LIMIT 1
)
  AND (state <> 'accepted' OR stop_requested OR ready_at IS NULL OR ready_at <= $2 OR accepted_at > $2)
RETURNING id;

-- name: turn_submitted
-- Store the handle of a provider job. No row: fenced.
UPDATE turn SET handle = $3, provider = $4, model = $5 WHERE id = $1 AND attempt = $2 AND state = 'generating' RETURNING id;

-- name: turn_answered
-- Store the whole answer. No row: fenced.
UPDATE turn SET state = 'answered', answer = $3, finish = $4, provider = $5, model = $6
WHERE id = $1 AND attempt = $2 AND state = 'generating'
RETURNING chat;

-- name: alternative_insert
-- Keep one of several answers.
INSERT INTO alternative (turn, number, text, content) VALUES ($1, $2, $3, $4);

-- name: alternatives
-- The answers of a turn of a conversation that was answered, which one stands, and the event that chose it. Not what is to be forgotten.
SELECT a.number, a.text, a.content, t.shown, t.shown_by
FROM alternative a JOIN turn t ON t.id = a.turn
WHERE t.id = $1 AND t.conversation = $2 AND t.state = 'done' AND t.event > (SELECT forgotten_event FROM conversation WHERE id = $2)
ORDER BY a.number;

-- name: turn_show
-- Let an answer of a turn stand, as an event chose it.
UPDATE turn SET answer = $2, shown = $3, shown_by = $4 WHERE id = $1;

-- name: answer_replace
-- Give a turn's answer its new text in the transcript.
UPDATE entry SET content = $2 WHERE turn = $1 AND role = 'assistant' RETURNING turn;

-- name: turn_close
-- End a turn. No row: fenced.
UPDATE turn SET state = $3, error = $4, closed_at = $5
WHERE id = $1 AND attempt = $2 AND state IN ('accepted', 'generating', 'answered')
RETURNING chat, event, COALESCE(newest_event, event) AS newest_event,
          CASE WHEN event <= (SELECT c.forgotten_event FROM conversation c WHERE c.id = turn.conversation) THEN 1 ELSE 0 END AS forgotten;

-- name: turns_stop_running
-- Ask the claimed turn to stop, if an older event than the given one asked for it.
UPDATE turn SET stop_requested = TRUE
WHERE conversation = $1 AND state IN ('accepted', 'generating', 'answered') AND state <> 'accepted' AND event < $2
RETURNING id;

-- name: turns_stop_open
-- Ask all open turns to stop that older events than the given one asked for, but those whose question was taken back: they end by themselves.
UPDATE turn SET stop_requested = TRUE
WHERE conversation = $1 AND state IN ('accepted', 'generating', 'answered') AND event < $2
  AND EXISTS (SELECT 1 FROM entry u WHERE u.turn = turn.id AND u.role = 'user' AND NOT u.superseded)
RETURNING id;

-- name: turn_stop
-- Ask one turn of a conversation to stop, if it is open.
UPDATE turn SET stop_requested = TRUE
WHERE id = $1 AND conversation = $2 AND state IN ('accepted', 'generating', 'answered')
RETURNING id;

-- name: turn_first_open
-- The turn to be claimed next.
SELECT id FROM turn WHERE conversation = $1 AND state IN ('accepted', 'generating', 'answered') ORDER BY seq LIMIT 1;

-- name: turn_first_open_chat
-- Where the turn to be claimed next is answered.
SELECT c.platform, c.account, c.chat, c.thread
FROM turn t JOIN chat c ON c.id = t.chat
WHERE t.conversation = $1 AND t.state IN ('accepted', 'generating', 'answered')
ORDER BY t.seq LIMIT 1;

-- name: turn_of_event
-- The turn an event asked for.
SELECT id FROM turn WHERE event = $1;

-- name: turn_newest
-- The newest turn since the last reset that an older event than the given one asked for, and the turn that asked its question first. Not one
-- whose question was taken back while it waited or was parked.
SELECT id, COALESCE(again, id) AS asked FROM turn
WHERE conversation = $1 AND event < $2 AND seq > (SELECT reset_seq FROM conversation WHERE id = $1)
  AND NOT ((state = 'stopped' OR state = 'parked') AND NOT EXISTS (SELECT 1 FROM entry u WHERE u.turn = turn.id AND u.role = 'user' AND NOT u.superseded))
ORDER BY seq DESC LIMIT 1;

-- name: turn_asked
-- A turn of a conversation, the turn that asked its question first, and the one whose answer it continues. Not what is to be forgotten.
SELECT id, state, COALESCE(again, id) AS asked, continues FROM turn
WHERE id = $1 AND conversation = $2 AND event > (SELECT forgotten_event FROM conversation WHERE id = $2);

-- name: turn_asking_again
-- The turn that will bring, or is bringing, another answer to a question that a turn asked first.
SELECT id FROM turn WHERE again = $1 AND state IN ('accepted', 'generating', 'answered') AND state <> 'answered' LIMIT 1;

-- name: turns_continuing
-- Turns that go on where a turn's answer stopped: those that are open and those that brought something.
SELECT t.id, t.state FROM turn t
WHERE t.continues = $1
  AND (t.state IN ('accepted', 'generating', 'answered')
       OR EXISTS (SELECT 1 FROM entry a WHERE a.turn = t.id AND a.role = 'assistant' AND NOT a.superseded));

-- name: conversations_open
-- Conversations with open turns, the one that waited longest first.
SELECT conversation FROM turn WHERE state IN ('accepted', 'generating', 'answered') GROUP BY conversation ORDER BY MIN(id);

-- name: turns_count_open
-- How many turns of a conversation are open.
SELECT COUNT(*) AS n FROM turn WHERE conversation = $1 AND state IN ('accepted', 'generating', 'answered');

-- name: entry_insert
-- Add to the transcript.
INSERT INTO entry (turn, role, author, author_name, content, chat, message_id, superseded, created_at, version)
VALUES ($1, $2, $3, $4, $5, $6, $7, FALSE, $8, $9)
RETURNING id, turn;

-- name: entry_find
-- The question that came from a message, its turn, and whether it may still be put in other words: it waits, or is parked without an answer.
SELECT e.id, e.turn, CASE WHEN (t.state = 'accepted' OR t.state = 'parked') AND t.answer IS NULL THEN 1 ELSE 0 END AS replaceable
FROM entry e JOIN turn t ON t.id = e.turn
WHERE e.chat = $1 AND e.message_id = $2 AND e.role = 'user'
ORDER BY e.id DESC LIMIT 1;

-- name: entry_replace
-- Give a question its new text; an older one that was recorded beside it is of no use any more. No row: it has a newer one, or its message
-- was deleted.
UPDATE entry SET content = $2, edited = NULL, version = $3
WHERE id = $1 AND version <= $3 AND (edited IS NULL OR edited <> '[]')
RETURNING turn;

-- name: turn_fence
-- Tell whether a turn is still being answered by who claimed it. No row: fenced.
SELECT id FROM turn WHERE id = $1 AND attempt = $2 AND state = 'generating';

-- name: entry_fill
-- Give a part of a turn's own question the content of its files.
UPDATE entry SET content = $3 WHERE id = $1 AND turn = $2 AND role = 'user' RETURNING turn;

-- name: entry_note_edit
-- Record the new text of a question that is being answered or was, unless a newer one is, or its message was deleted.
UPDATE entry SET edited = $2, version = $3
WHERE id = $1 AND version <= $3 AND (edited IS NULL OR edited <> '[]')
RETURNING turn;

-- name: withdrawal_note
-- Record that a message was deleted while its question is being answered: no new text at all. It is not asked once more.
UPDATE entry SET edited = '[]'
WHERE chat = (SELECT id FROM chat WHERE platform = $1 AND account = $2 AND chat = $3 AND thread = $4)
  AND message_id = $5 AND role = 'user' AND NOT superseded
  AND EXISTS (SELECT 1 FROM turn t WHERE t.id = entry.turn AND t.state = 'generating')
RETURNING turn;

-- name: withdrawals_noted
-- The messages of a turn's question that were deleted while it was being answered.
SELECT id FROM entry WHERE turn = $1 AND role = 'user' AND edited = '[]';

-- name: edits_take
-- Give a turn's question the newest text that was recorded beside it.
UPDATE entry SET content = edited, edited = NULL WHERE turn = $1 AND role = 'user' AND edited IS NOT NULL AND edited <> '[]' RETURNING turn;

-- name: turn_job_drop
-- Let go of a turn's provider job: it answers words that stand no more.
UPDATE turn SET handle = NULL WHERE id = $1 AND handle IS NOT NULL;

-- name: question_any
-- Tell whether a turn's question is still kept.
SELECT id FROM entry WHERE turn = $1 AND role = 'user' LIMIT 1;

-- name: question_copy
-- Ask a turn's question in another turn, too, in the newest words that it was given: an edit is recorded where it was asked last.
INSERT INTO entry (turn, role, author, author_name, content, chat, message_id, superseded, created_at, version)
SELECT $2, e.role, e.author, e.author_name, CASE WHEN w.edited IS NULL OR w.edited = '[]' THEN w.content ELSE w.edited END, e.chat, e.message_id,
  FALSE, $3, w.version
FROM entry e JOIN entry w ON w.id = (
  SELECT COALESCE(MAX(n.id), e.id) FROM entry n
  WHERE n.chat = e.chat AND n.message_id = e.message_id AND n.role = 'user'
    AND (SELECT COALESCE(t.again, t.id) FROM turn t WHERE t.id = n.turn) = (SELECT fresh.again FROM turn fresh WHERE fresh.id = $2)
)
WHERE e.turn = $1 AND e.role = 'user' ORDER BY e.id
RETURNING id, turn;

-- name: answer_get
-- What a turn of a conversation answered, as long as a request would hold it.
SELECT e.id, e.turn, e.role, e.author, e.author_name, e.content
FROM turn t JOIN entry e ON e.turn = t.id
WHERE t.conversation = $1
  AND t.id = $2
  AND t.seq > (SELECT reset_seq FROM conversation WHERE id = $1)
  AND e.role = 'assistant'
  AND NOT e.superseded
ORDER BY e.id DESC LIMIT 1;

-- name: entries_supersede
-- Take a turn's question and answer out of the transcript.
UPDATE entry SET superseded = TRUE WHERE turn = $1 RETURNING turn;

-- name: answers_supersede
-- Take a turn's answer out of the transcript.
UPDATE entry SET superseded = TRUE WHERE turn = $1 AND role = 'assistant' RETURNING turn;

-- name: transcript
-- Newest entries first, up to a turn's own question: turns since the last reset that have an answer, whole or partial. A turn accepted
-- before the reset has only its own question. The lower bound is on seq, so that the walk ends at the reset however much lies before it.
SELECT e.id, e.turn, e.role, e.author, e.author_name, e.content
FROM turn t JOIN entry e ON e.turn = t.id
WHERE t.conversation = $1
  AND t.seq <= $2
  AND t.seq > (SELECT CASE WHEN reset_seq < $2 THEN reset_seq ELSE $2 - 1 END FROM conversation WHERE id = $1)
  AND NOT e.superseded
  AND CASE WHEN t.seq = $2 THEN e.role = 'user'
      ELSE EXISTS (SELECT 1 FROM entry a WHERE a.turn = t.id AND a.role = 'assistant' AND NOT a.superseded) END
ORDER BY t.seq DESC, e.id DESC
LIMIT $3;

-- name: transcript_since
-- The same without the turns up to a place, each row with what tells whether those are as they were.
SELECT e.id, e.turn, e.role, e.author, e.author_name, e.content,
       (SELECT revision FROM conversation WHERE id = $1) AS revision, (SELECT reset_seq FROM conversation WHERE id = $1) AS reset_seq
FROM turn t JOIN entry e ON e.turn = t.id
WHERE t.conversation = $1
  AND t.seq <= $2
  AND t.seq > (SELECT CASE WHEN reset_seq >= $2 THEN $2 - 1 WHEN reset_seq > $3 THEN reset_seq ELSE $3 END FROM conversation WHERE id = $1)
  AND NOT e.superseded
  AND CASE WHEN t.seq = $2 THEN e.role = 'user'
      ELSE EXISTS (SELECT 1 FROM entry a WHERE a.turn = t.id AND a.role = 'assistant' AND NOT a.superseded) END
ORDER BY t.seq DESC, e.id DESC
LIMIT $4;

-- name: revision_raise
-- Note that entries of a turn were written, if a turn behind it was claimed, which may have read them.
UPDATE conversation SET revision = revision + 1
WHERE id = (SELECT conversation FROM turn WHERE id = $1)
  AND EXISTS (SELECT 1 FROM turn t JOIN turn n ON n.conversation = t.conversation AND n.seq > t.seq WHERE t.id = $1 AND n.attempt > 0);

-- name: entry_last
-- The newest entry that the transcript of a turn has before the turn's own.
SELECT e.id
FROM turn t JOIN entry e ON e.turn = t.id
WHERE t.conversation = $1
  AND t.seq < (SELECT seq FROM turn WHERE id = $2)
  AND t.seq > (SELECT reset_seq FROM conversation WHERE id = $1)
  AND NOT e.superseded
  AND EXISTS (SELECT 1 FROM entry a WHERE a.turn = t.id AND a.role = 'assistant' AND NOT a.superseded)
ORDER BY t.seq DESC, e.id DESC
LIMIT 1;

-- name: conversation_span
-- The places of a conversation's turns since the last reset: above the one, up to the other.
SELECT reset_seq AS above, next_seq - 1 AS last FROM conversation WHERE id = $1;

-- name: entries_count
-- How many entries a request could see of the turns above one place and up to another: answered exchanges and questions that wait.
SELECT COUNT(*) AS n
FROM turn t JOIN entry e ON e.turn = t.id
WHERE t.conversation = $1
  AND t.seq > $2
  AND t.seq <= $3
  AND NOT e.superseded
  AND (t.state IN ('accepted', 'generating', 'answered')
       OR EXISTS (SELECT 1 FROM entry a WHERE a.turn = t.id AND a.role = 'assistant' AND NOT a.superseded));

-- name: state_get
-- What a provider remembers of a conversation.
SELECT provider, account, model, persona, last_entry, value FROM provider_state WHERE conversation = $1 AND provider = $2;

-- name: state_put
-- Store what a provider remembers, unless the turn was accepted before the last reset: then it knows what is to be forgotten.
INSERT INTO provider_state (conversation, provider, account, model, persona, last_entry, value)
SELECT id, $3, $4, $5, $6, $7, $8 FROM conversation WHERE id = $1 AND reset_seq < $2
ON CONFLICT (conversation, provider) DO UPDATE
SET account = excluded.account, model = excluded.model, persona = excluded.persona, last_entry = excluded.last_entry, value = excluded.value;

-- name: state_drop
-- Forget what one provider remembers.
DELETE FROM provider_state WHERE conversation = $1 AND provider = $2;

-- name: states_drop
-- Forget what all providers remember.
DELETE FROM provider_state WHERE conversation = $1;

-- name: usage_insert
-- Record what the provider reported of an answer for which nothing was reserved.
INSERT INTO usage (turn, provider, model, amounts, recorded_at) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (turn) DO UPDATE SET amounts = excluded.amounts;

-- name: turn_mine
-- Tell whether a turn is still open in the hands of the worker that claimed it as the given attempt.
SELECT id FROM turn WHERE id = $1 AND attempt = $2 AND state IN ('accepted', 'generating', 'answered');

-- name: usage_get
-- What a turn used, or has reserved.
SELECT turn, provider, model, day, subjects, input_tokens, output_tokens, cost, currency, estimated, possibly_double FROM usage WHERE turn = $1;

-- name: usage_newest
-- What the newest question of a conversation used that is part of the sums.
SELECT u.provider, u.model, u.input_tokens, u.output_tokens, u.cost, u.currency, u.estimated, u.possibly_double, u.reserved
FROM turn t JOIN usage u ON u.turn = t.id
WHERE t.conversation = $1 AND u.day IS NOT NULL
ORDER BY t.seq DESC LIMIT 1;

-- name: usage_reserve
-- Write down what a turn is about to use, in the place of what it reserved before.
INSERT INTO usage (turn, provider, model, amounts, recorded_at, day, subjects, input_tokens, output_tokens, cost, currency, estimated,
                   possibly_double, reserved)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, TRUE)
ON CONFLICT (turn) DO UPDATE
SET provider = excluded.provider, model = excluded.model, amounts = excluded.amounts, recorded_at = excluded.recorded_at, day = excluded.day,
    subjects = excluded.subjects, input_tokens = excluded.input_tokens, output_tokens = excluded.output_tokens, cost = excluded.cost,
    currency = excluded.currency, estimated = excluded.estimated, possibly_double = excluded.possibly_double, reserved = TRUE;

-- name: usage_settle
-- Write down what a turn has used, in the place of what it had reserved.
UPDATE usage
SET provider = $2, model = $3, amounts = $4, input_tokens = $5, output_tokens = $6, cost = $7, currency = $8, estimated = $9,
    possibly_double = $10, reserved = FALSE
WHERE turn = $1;

-- name: usage_drop
-- Forget what a turn had reserved: nothing was billed.
DELETE FROM usage WHERE turn = $1;

-- name: spender_hold
-- Keep everybody else from checking a limit of the same subject until the commit.
INSERT INTO spender (subject) VALUES ($1) ON CONFLICT (subject) DO UPDATE SET subject = excluded.subject;

-- name: tally_add
-- Add to a day's sums of a subject.
INSERT INTO tally (subject, day, provider, currency, questions, input_tokens, output_tokens, estimated, possibly_double, unpriced, cost)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
ON CONFLICT (subject, day, provider, currency) DO UPDATE
SET questions = tally.questions + excluded.questions,
    input_tokens = tally.input_tokens + excluded.input_tokens,
    output_tokens = tally.output_tokens + excluded.output_tokens,
    estimated = tally.estimated + excluded.estimated,
    possibly_double = tally.possibly_double + excluded.possibly_double,
    unpriced = tally.unpriced + excluded.unpriced,
    cost = tally.cost + excluded.cost;

-- name: tallies
-- The sums of a subject from one day until, but not including, another.
SELECT day, subject, provider, currency, questions, input_tokens, output_tokens, estimated, possibly_double, unpriced, cost
FROM tally
WHERE subject = $1 AND day >= $2 AND day < $3
ORDER BY day;

-- name: tallies_by_day
-- The sums of all subjects that begin with some letters, from one day until, but not including, another.
SELECT day, subject, provider, currency, questions, input_tokens, output_tokens, estimated, possibly_double, unpriced, cost
FROM tally
WHERE day >= $1 AND day < $2 AND SUBSTR(subject, 1, LENGTH($3)) = $3
ORDER BY day;

-- name: settings_get
-- All settings of three scopes; fewer are named twice.
SELECT scope, key, value FROM setting WHERE scope IN ($1, $2, $3) ORDER BY scope, key;

-- name: setting_put
-- Set one.
INSERT INTO setting (scope, key, value) VALUES ($1, $2, $3) ON CONFLICT (scope, key) DO UPDATE SET value = excluded.value;

-- name: setting_drop
-- Unset one.
DELETE FROM setting WHERE scope = $1 AND key = $2;

-- name: delivery_insert
-- Make the row of a page; no row if there is one.
INSERT INTO delivery (owner_kind, owner, chat, page, nonce, created_at) VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (owner_kind, owner, page) DO NOTHING
RETURNING id;

-- name: deliveries
-- The pages of an owner, in order.
SELECT d.id, d.page, d.nonce, d.message_id, d.repeated, d.created_at, c.platform, c.account, c.chat, c.thread
FROM delivery d JOIN chat c ON c.id = d.chat
WHERE d.owner_kind = $1 AND d.owner = $2
ORDER BY d.page;

-- name: delivery_sent
-- Record the platform's message id, and whether it was made for the second time.
UPDATE delivery SET message_id = $2, repeated = $3 WHERE id = $1;

-- name: delivery_of
-- The delivery that has a message as a page.
SELECT d.id FROM delivery d JOIN chat c ON c.id = d.chat
WHERE c.platform = $1 AND c.account = $2 AND c.chat = $3 AND c.thread = $4 AND d.message_id = $5
LIMIT 1;

-- name: delivery_drop
-- Forget a page.
DELETE FROM delivery WHERE id = $1;

-- name: conversations_after
-- Some conversations, by their number.
SELECT id FROM conversation WHERE id > $1 ORDER BY id LIMIT $2;

-- name: conversation_forget
-- Mark that what older events brought, and the given one itself, is to leave nothing behind. No row: it is marked.
UPDATE conversation SET forgotten_event = $2 WHERE id = $1 AND forgotten_event < $2 RETURNING id;

-- name: conversation_forgotten
-- The newest event of a conversation that asked for everything before it to be forgotten, 0 if none has.
SELECT forgotten_event FROM conversation WHERE id = $1;

-- name: events_kept
-- Events of a conversation that still have content, from one on, oldest first, and whether they are to be forgotten.
SELECT e.id, e.received_at, CASE WHEN e.id <= c.forgotten_event THEN 1 ELSE 0 END AS forgotten
FROM event e JOIN conversation c ON c.id = e.conversation
WHERE e.conversation = $1 AND e.payload <> '' AND e.id > $2
ORDER BY e.id LIMIT $3;

-- name: entries_remove
-- Remove what was said in turns that are over, of events above one and up to another that are forgotten or came before an instant.
DELETE FROM entry
WHERE turn IN (SELECT o.turn FROM event_over o WHERE o.conversation = $1 AND o.id > $2 AND o.id <= $3 AND (o.forgotten = 1 OR o.received_at < $4))
RETURNING turn;

-- name: alternatives_remove
-- Remove the other answers of the same turns.
DELETE FROM alternative
WHERE turn IN (SELECT o.turn FROM event_over o WHERE o.conversation = $1 AND o.id > $2 AND o.id <= $3 AND (o.forgotten = 1 OR o.received_at < $4));

-- name: deliveries_remove
-- Forget the messages that the same turns and events were answered in.
DELETE FROM delivery
WHERE (owner_kind = 'turn' AND owner IN (
        SELECT o.turn FROM event_over o
        WHERE o.conversation = $1 AND o.id > $2 AND o.id <= $3 AND (o.forgotten = 1 OR o.received_at < $4)))
   OR (owner_kind IN ('event', 'waiting') AND owner IN (
        SELECT o.id FROM event_over o
        WHERE o.conversation = $1 AND o.id > $2 AND o.id <= $3 AND (o.forgotten = 1 OR o.received_at < $4)));

-- name: troubles_remove
-- Forget how the same events failed.
DELETE FROM trouble
WHERE event IN (SELECT o.id FROM event_over o WHERE o.conversation = $1 AND o.id > $2 AND o.id <= $3 AND (o.forgotten = 1 OR o.received_at < $4));

-- name: turns_empty
-- Empty the same turns.
UPDATE turn SET answer = NULL, finish = NULL, handle = NULL, error = NULL
WHERE id IN (SELECT o.turn FROM event_over o WHERE o.conversation = $1 AND o.id > $2 AND o.id <= $3 AND (o.forgotten = 1 OR o.received_at < $4))
RETURNING seq;

-- name: events_empty
-- Empty the same events; their keys stay. After the statements above, which find by it what belongs to them.
UPDATE event SET payload = '', error = NULL
WHERE id IN (SELECT o.id FROM event_over o WHERE o.conversation = $1 AND o.id > $2 AND o.id <= $3 AND (o.forgotten = 1 OR o.received_at < $4))
RETURNING id;

-- name: conversation_begin_after
-- Let a conversation begin after a turn: what lies before it is empty and is not to be walked over.
UPDATE conversation SET reset_seq = $2 WHERE id = $1 AND reset_seq < $2;

-- name: unreadable_count
-- How many events could not be read and are kept.
SELECT COUNT(*) AS n FROM event WHERE kind = 'unreadable' AND payload <> '';

-- name: unreadable_newest
-- The newest events that could not be read, without their content.
SELECT e.id, c.platform, e.error, e.received_at
FROM event e JOIN chat c ON c.id = e.chat
WHERE e.kind = 'unreadable' AND e.payload <> ''
ORDER BY e.id DESC LIMIT $1;

-- name: interrupted_count
-- How many questions were interrupted and not asked again, of those that are kept.
SELECT COUNT(*) AS n FROM turn WHERE error = 'interrupted';

-- name: trouble_count
-- Add to the failures of an event. An empty reason leaves the one noted before; where none was, it is the last argument.
INSERT INTO trouble (event, failures, since, reason) VALUES ($1, $2, $3, CASE WHEN $4 = '' THEN $5 ELSE $4 END)
ON CONFLICT (event) DO UPDATE
SET failures = trouble.failures + $2, reason = CASE WHEN $4 = '' THEN trouble.reason ELSE $4 END
RETURNING failures, since, reason;

-- name: trouble_drop
-- Forget how an event failed.
DELETE FROM trouble WHERE event = $1;

-- name: trouble_park
-- Mark an event as parked; if nobody counted how it failed, with so many failures and this reason.
INSERT INTO trouble (event, failures, since, reason, parked_at) VALUES ($1, $2, $3, $4, $3)
ON CONFLICT (event) DO UPDATE SET parked_at = excluded.parked_at;

-- name: troubles_wanted
-- Parked events that are to be tried again.
SELECT event FROM trouble WHERE retry_at IS NOT NULL AND parked_at IS NOT NULL ORDER BY event;

-- name: trouble_unpark
-- Forget that an event was parked, and how it failed. No row: it is not parked.
DELETE FROM trouble WHERE event = $1 AND parked_at IS NOT NULL RETURNING event;

-- name: turn_unpark
-- Open the parked turn of an event again, if its content is still kept. It is to stop at once if nothing is left of its question.
UPDATE turn
SET state = CASE WHEN answer IS NULL THEN 'accepted' ELSE 'answered' END, error = NULL, closed_at = NULL,
    stop_requested = answer IS NULL AND NOT EXISTS (SELECT 1 FROM entry u WHERE u.turn = turn.id AND u.role = 'user' AND NOT u.superseded),
    earlier_attempts = attempt, ready_at = NULL
WHERE event = $1 AND state = 'parked' AND EXISTS (SELECT 1 FROM event e WHERE e.id = $1 AND e.payload <> '')
RETURNING id, conversation, state;

-- name: turn_give_up
-- End a parked turn.
UPDATE turn SET state = 'failed' WHERE id = $1 AND state = 'parked' RETURNING event;

-- name: event_unpark
-- Open a parked event again, if its content is still kept.
UPDATE event SET finished_at = NULL WHERE id = $1 AND payload <> '' RETURNING id, key, kind, conversation, payload;

-- name: parked_count
-- How many events are parked and still kept.
SELECT COUNT(*) AS n FROM trouble t JOIN event e ON e.id = t.event WHERE t.parked_at IS NOT NULL AND e.payload <> '';

-- name: parked_newest
-- The newest events that are parked, without their content.
SELECT t.event, e.kind, c.platform, t.failures, t.since, t.reason, t.parked_at, t.retry_at
FROM trouble t JOIN event e ON e.id = t.event JOIN chat c ON c.id = e.chat
WHERE t.parked_at IS NOT NULL AND e.payload <> ''
ORDER BY t.event DESC LIMIT $1;

-- name: parked_want
-- Ask for another try of a parked event. No row: it is not parked, or its content is not kept any more.
UPDATE trouble SET retry_at = $2
WHERE event = $1 AND parked_at IS NOT NULL AND EXISTS (SELECT 1 FROM event e WHERE e.id = $1 AND e.payload <> '')
RETURNING event;

-- name: parked_want_all
-- Ask for another try of everything that is parked.
UPDATE trouble SET retry_at = $1
WHERE parked_at IS NOT NULL AND EXISTS (SELECT 1 FROM event e WHERE e.id = trouble.event AND e.payload <> '')
RETURNING event;

-- name: unreadable_want
-- Ask for an event that could not be read to be read again. No row: it could, or its content is not kept any more.
INSERT INTO trouble (event, failures, since, reason, parked_at, retry_at)
SELECT id, 1, received_at, COALESCE(error, ''), received_at, $2 FROM event WHERE id = $1 AND kind = 'unreadable' AND payload <> ''
ON CONFLICT (event) DO UPDATE SET retry_at = excluded.retry_at
RETURNING event;

-- name: event_read_at_last
-- An event that could not be read has been, and is another event by now: nothing but its key is kept of this one.
UPDATE event SET payload = '', error = NULL, finished_at = $2 WHERE id = $1 AND kind = 'unreadable';

-- name: event_unreadable_still
-- Note why an event can't be read this time either.
UPDATE event SET error = $2 WHERE id = $1 AND kind = 'unreadable';

-- name: event_standing
-- How it stands with an event: its key, what it is, whether its content is kept, whether it is finished, and how often it has failed.
SELECT e.key, e.kind, CASE WHEN e.payload = '' THEN 0 ELSE 1 END AS kept, CASE WHEN e.finished_at IS NULL THEN 0 ELSE 1 END AS finished,
       tn.state AS turn, t.failures
FROM event e LEFT JOIN trouble t ON t.event = e.id LEFT JOIN turn tn ON tn.event = e.id
WHERE e.id = $1;

-- name: mark_put
-- Note that a message of a turn that waits is about to show a mark. No row: the turn waits no more.
INSERT INTO waiting_mark (chat, message_id, turn)
SELECT c.id, $6, t.id FROM turn t, chat c
WHERE t.id = $1 AND t.state = 'accepted' AND c.platform = $2 AND c.account = $3 AND c.chat = $4 AND c.thread = $5
ON CONFLICT (chat, message_id) DO UPDATE SET turn = excluded.turn
RETURNING turn;

-- name: mark_drop
-- Note that a message shows no mark any more.
DELETE FROM waiting_mark
WHERE chat = (SELECT id FROM chat WHERE platform = $1 AND account = $2 AND chat = $3 AND thread = $4) AND message_id = $5;

-- name: marks
-- Messages that may show a mark, and whether their turn still waits.
SELECT m.turn, m.message_id, t.event, t.conversation, CASE WHEN t.state = 'accepted' THEN 1 ELSE 0 END AS waiting,
       c.platform, c.account, c.chat, c.thread
FROM waiting_mark m JOIN turn t ON t.id = m.turn JOIN chat c ON c.id = m.chat
ORDER BY m.turn;

-- name: questions_waiting
-- What of a message's question waits, is parked without an answer, or is tried again after a failure, and how many messages it still has.
SELECT t.id AS turn, t.conversation, e.id AS entry,
       (SELECT COUNT(*) FROM entry u WHERE u.turn = t.id AND u.role = 'user' AND NOT u.superseded) AS parts
FROM entry e JOIN turn t ON t.id = e.turn
WHERE e.chat = (SELECT id FROM chat WHERE platform = $1 AND account = $2 AND chat = $3 AND thread = $4)
  AND e.message_id = $5 AND e.role = 'user' AND NOT e.superseded
  AND ((t.state = 'accepted' AND NOT t.stop_requested) OR (t.state = 'parked' AND t.answer IS NULL)
       OR (t.state = 'generating' AND NOT t.stop_requested AND EXISTS (SELECT 1 FROM trouble b WHERE b.event = t.event)));

-- name: entry_withdraw
-- Take one message out of its question. What it said goes for good, and it is no part of a question any more: one that is asked once more is
-- copied with all its parts. That it was there stays.
UPDATE entry SET role = 'withdrawn', content = '[]', edited = NULL, superseded = TRUE WHERE id = $1 RETURNING turn;

-- name: question_withdrawn
-- Tell whether a message was taken out of the question that it was part of last.
SELECT CASE WHEN e.role = 'withdrawn' THEN 1 ELSE 0 END AS withdrawn FROM entry e
WHERE e.chat = (SELECT id FROM chat WHERE platform = $1 AND account = $2 AND chat = $3 AND thread = $4) AND e.message_id = $5
ORDER BY e.id DESC LIMIT 1;
