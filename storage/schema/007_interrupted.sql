-- Counting questions that were interrupted and not asked again costs nothing however many were not. The statement repeats the condition.

CREATE INDEX turn_interrupted ON turn (id) WHERE error = 'interrupted';
