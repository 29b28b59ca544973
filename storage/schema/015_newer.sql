-- What is carried out again, or read again long after it came, must not undo what is newer.

ALTER TABLE turn ADD COLUMN shown_by BIGINT NOT NULL DEFAULT 0;  -- the event that chose the answer that stands; 0: it was never chosen
ALTER TABLE entry ADD COLUMN version BIGINT NOT NULL DEFAULT 0;  -- of its newest text, as the platform orders a message's edits; 0: none is known
