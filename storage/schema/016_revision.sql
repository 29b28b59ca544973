-- What was read of a conversation can be kept and used again as long as nothing of it has changed: this number says so.

ALTER TABLE conversation ADD COLUMN revision BIGINT NOT NULL DEFAULT 0;  -- raised by every change of what a claimed turn may have read
