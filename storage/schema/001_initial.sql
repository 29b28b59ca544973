-- The tables of the bridge. Times are epoch seconds. IDENTITY_KEY stands for the driver's own spelling of a primary key that counts by
-- itself and never gives a number twice: a forgotten delivery's number must not come back as another one's.

CREATE TABLE schema_version (
    version BIGINT PRIMARY KEY,
    applied_at DOUBLE PRECISION NOT NULL
);

CREATE TABLE conversation (
    id IDENTITY_KEY,
    next_seq BIGINT NOT NULL,
    reset_seq BIGINT NOT NULL,  -- turns up to this one are forgotten
    created_at DOUBLE PRECISION NOT NULL
);

CREATE TABLE chat (
    id IDENTITY_KEY,
    platform TEXT NOT NULL,
    account TEXT NOT NULL,
    chat TEXT NOT NULL,
    thread TEXT NOT NULL,  -- empty: none; NULL would be no part of a unique key
    conversation BIGINT NOT NULL REFERENCES conversation (id),
    UNIQUE (platform, account, chat, thread)
);

-- Rows stay: the key has to recognise a duplicate weeks later.
CREATE TABLE event (
    id IDENTITY_KEY,
    key TEXT NOT NULL UNIQUE,
    kind TEXT NOT NULL,
    chat BIGINT NOT NULL REFERENCES chat (id),
    conversation BIGINT NOT NULL REFERENCES conversation (id),
    payload TEXT NOT NULL,
    error TEXT,
    received_at DOUBLE PRECISION NOT NULL,
    finished_at DOUBLE PRECISION  -- NULL: not carried out yet, and no turn carries it
);

CREATE INDEX event_open ON event (id) WHERE finished_at IS NULL;

CREATE TABLE turn (
    id IDENTITY_KEY,
    conversation BIGINT NOT NULL REFERENCES conversation (id),
    seq BIGINT NOT NULL,
    event BIGINT NOT NULL UNIQUE REFERENCES event (id),
    chat BIGINT NOT NULL REFERENCES chat (id),
    state TEXT NOT NULL,
    attempt BIGINT NOT NULL,
    stop_requested BOOLEAN NOT NULL,
    answer TEXT,
    finish TEXT,
    provider TEXT,
    model TEXT,
    handle TEXT,
    error TEXT,
    accepted_at DOUBLE PRECISION NOT NULL,
    claimed_at DOUBLE PRECISION,
    closed_at DOUBLE PRECISION,
    UNIQUE (conversation, seq)
);

-- Finding what is open costs the same however much was closed. A statement uses it only if it repeats the condition word by word.
CREATE INDEX turn_open ON turn (conversation, seq) WHERE state IN ('accepted', 'generating', 'answered');

CREATE TABLE entry (
    id IDENTITY_KEY,
    turn BIGINT NOT NULL REFERENCES turn (id),
    role TEXT NOT NULL,
    author TEXT,
    author_name TEXT,
    content TEXT NOT NULL,
    edited TEXT,  -- the text an edit brought after generation had begun; recorded, not used
    chat BIGINT NOT NULL REFERENCES chat (id),
    message_id TEXT,
    superseded BOOLEAN NOT NULL,  -- an answer that was asked again
    created_at DOUBLE PRECISION NOT NULL
);

CREATE INDEX entry_turn ON entry (turn, id);
CREATE INDEX entry_message ON entry (chat, message_id) WHERE message_id IS NOT NULL;

CREATE TABLE delivery (
    id IDENTITY_KEY,
    owner_kind TEXT NOT NULL,
    owner BIGINT NOT NULL,
    chat BIGINT NOT NULL REFERENCES chat (id),
    page BIGINT NOT NULL,
    nonce TEXT NOT NULL,
    message_id TEXT,
    created_at DOUBLE PRECISION NOT NULL,
    UNIQUE (owner_kind, owner, page)
);

CREATE TABLE interaction (
    event BIGINT PRIMARY KEY REFERENCES event (id),
    value TEXT NOT NULL,
    expires_at DOUBLE PRECISION NOT NULL
);

CREATE INDEX interaction_expiry ON interaction (expires_at);

CREATE TABLE provider_state (
    conversation BIGINT NOT NULL REFERENCES conversation (id),
    provider TEXT NOT NULL,
    account TEXT NOT NULL,
    model TEXT NOT NULL,
    persona TEXT NOT NULL,
    last_entry BIGINT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (conversation, provider)
);

CREATE TABLE setting (
    scope TEXT NOT NULL,
    key TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (scope, key)
);

CREATE TABLE usage (
    id IDENTITY_KEY,
    turn BIGINT NOT NULL REFERENCES turn (id),
    provider TEXT NOT NULL,
    model TEXT NOT NULL,
    amounts TEXT NOT NULL,  -- JSON: tokens and cost
    recorded_at DOUBLE PRECISION NOT NULL
);

CREATE INDEX usage_turn ON usage (turn);
