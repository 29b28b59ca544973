-- Pages that were made again because nobody could tell whether they had arrived: they say so, after a further restart, too.

ALTER TABLE delivery ADD COLUMN repeated BOOLEAN NOT NULL DEFAULT FALSE;
