-- Buttons name the turn they stand under: which turn asks another one's question again, and which goes on where another one stopped.

ALTER TABLE turn ADD COLUMN again BIGINT REFERENCES turn (id);  -- the first turn that asked the question
ALTER TABLE turn ADD COLUMN continues BIGINT REFERENCES turn (id);  -- the turn whose answer this one continues

CREATE INDEX turn_again ON turn (again) WHERE again IS NOT NULL;
CREATE INDEX turn_continues ON turn (continues) WHERE continues IS NOT NULL;
