-- Several messages can make one question: pieces of a long paste, and what somebody writes in quick succession.

ALTER TABLE turn ADD COLUMN ready_at DOUBLE PRECISION;  -- it is not claimed before, because more of it is expected; NULL: at once
ALTER TABLE turn ADD COLUMN newest_event BIGINT;  -- the last event that is part of its question; NULL: nothing may become part of it
