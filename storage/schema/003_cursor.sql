-- How far a chat has been read without a gap, for platforms that confirm nothing and whose history is read back.

CREATE TABLE cursor (
    chat BIGINT PRIMARY KEY REFERENCES chat (id),
    position TEXT  -- the platform's own; NULL: the chat is gone and is not read any more
);
