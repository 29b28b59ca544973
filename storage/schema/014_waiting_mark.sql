-- Messages that show a mark because they wait. A row is there before the mark is, and goes after it: what a crash leaves is found by it.

CREATE TABLE waiting_mark (
    chat BIGINT NOT NULL REFERENCES chat (id),
    message_id TEXT NOT NULL,
    turn BIGINT NOT NULL REFERENCES turn (id),
    PRIMARY KEY (chat, message_id)
);

CREATE INDEX waiting_mark_turn ON waiting_mark (turn);
