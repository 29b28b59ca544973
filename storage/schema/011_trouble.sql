-- What fails again and again is set aside after a while ("parked"), so that nothing waits behind it for ever.

CREATE TABLE trouble (
    event BIGINT PRIMARY KEY REFERENCES event (id),
    failures BIGINT NOT NULL,
    since DOUBLE PRECISION NOT NULL,  -- when it first failed
    reason TEXT NOT NULL,  -- of the last failure; quotes nothing that was said
    parked_at DOUBLE PRECISION,  -- NULL: it is still tried
    retry_at DOUBLE PRECISION  -- when somebody asked for another try of what is parked; NULL: nobody did
);

-- Looking for what is parked, or is to be tried again, costs nothing where nothing is. A statement uses them only if it repeats the condition.
CREATE INDEX trouble_parked ON trouble (event) WHERE parked_at IS NOT NULL;
CREATE INDEX trouble_wanted ON trouble (event) WHERE retry_at IS NOT NULL;

ALTER TABLE turn ADD COLUMN earlier_attempts BIGINT NOT NULL DEFAULT 0;  -- attempts made before it was parked
