-- A question can have several answers: all of them are kept, and which one stands in the chat and in the transcript.

ALTER TABLE turn ADD COLUMN shown BIGINT NOT NULL DEFAULT 1;  -- number of the answer that stands

-- Of turns with more than one answer only: all of them, the first one too.
CREATE TABLE alternative (
    turn BIGINT NOT NULL REFERENCES turn (id),
    number BIGINT NOT NULL,  -- from 1
    text TEXT NOT NULL,
    content TEXT NOT NULL,  -- the same as the transcript has it
    PRIMARY KEY (turn, number)
);
