-- Counting what could not be read costs nothing however much could. A statement uses it only if it repeats the condition.

CREATE INDEX event_unreadable ON event (id) WHERE kind = 'unreadable' AND payload <> '';
