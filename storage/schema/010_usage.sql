-- What a question costs is reserved before a provider is asked, and settled afterwards. Sums are kept by day, so that checking a budget
-- costs the same however much was spent. Money is in billionths of its currency.

ALTER TABLE usage ADD COLUMN reserved BOOLEAN NOT NULL DEFAULT FALSE;  -- an estimate: the provider is being asked, or nobody knows what came of it
ALTER TABLE usage ADD COLUMN day BIGINT;  -- days since 1970-01-01, UTC; NULL: it is from before sums were kept and part of none
ALTER TABLE usage ADD COLUMN subjects TEXT NOT NULL DEFAULT '[]';  -- JSON list: whose sums it is part of
ALTER TABLE usage ADD COLUMN input_tokens BIGINT NOT NULL DEFAULT 0;
ALTER TABLE usage ADD COLUMN output_tokens BIGINT NOT NULL DEFAULT 0;
ALTER TABLE usage ADD COLUMN cost BIGINT;  -- NULL: unknown
ALTER TABLE usage ADD COLUMN currency TEXT NOT NULL DEFAULT '';
ALTER TABLE usage ADD COLUMN estimated BOOLEAN NOT NULL DEFAULT FALSE;
ALTER TABLE usage ADD COLUMN possibly_double BOOLEAN NOT NULL DEFAULT FALSE;

-- One row a turn: nothing is counted twice.
DROP INDEX usage_turn;
CREATE UNIQUE INDEX usage_of_turn ON usage (turn);

CREATE TABLE tally (
    subject TEXT NOT NULL,
    day BIGINT NOT NULL,
    provider TEXT NOT NULL,
    currency TEXT NOT NULL,  -- empty: of unknown cost
    questions BIGINT NOT NULL,
    input_tokens BIGINT NOT NULL,
    output_tokens BIGINT NOT NULL,
    estimated BIGINT NOT NULL,  -- so many of the questions
    possibly_double BIGINT NOT NULL,
    unpriced BIGINT NOT NULL,
    cost BIGINT NOT NULL,
    PRIMARY KEY (subject, day, provider, currency)
);

CREATE INDEX tally_day ON tally (day);

-- Whoever checks a subject's limit holds its row until the commit, so that two questions at once can't use the same rest.
CREATE TABLE spender (
    subject TEXT PRIMARY KEY
);
