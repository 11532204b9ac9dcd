-- Users, conferences, budgets, audit. Times are milliseconds since 1970-01-01 UTC.
-- There is no PIN here, only its argon2id hash, made with a key that lies outside this database.

CREATE TABLE users (
    -- AUTOINCREMENT: a key is never used again.
    user_key              {key},
    -- Lower case.
    identity              TEXT{by bytes}    NOT NULL UNIQUE,
    name                  TEXT    NOT NULL,
    -- Identity and name in lower case, for searching without regard to case in all alphabets.
    search_text           TEXT    NOT NULL,
    enabled               BOOLEAN NOT NULL,
    allow_anonymous_start BOOLEAN NOT NULL,
    lobby_policy          TEXT    NOT NULL CHECK (lobby_policy IN ('open', 'wait-for-admission')),
    created_at            BIGINT  NOT NULL,
    -- A PHC text. NULL while the user is disabled.
    pin_hash              TEXT,
    pin_digits            BIGINT,
    pin_set_at            BIGINT,
    -- Goes up with each new PIN, so that a check that took a while knows whether its PIN still holds.
    pin_generation        BIGINT  NOT NULL,
    CHECK (enabled = (pin_hash IS NOT NULL)),
    CHECK (enabled = (pin_digits IS NOT NULL)),
    CHECK (enabled = (pin_set_at IS NOT NULL))
);

CREATE TABLE conferences (
    conference_key {key},
    conference_id  TEXT{by bytes}    NOT NULL UNIQUE CHECK (length(conference_id) = 7),
    organizer      BIGINT  NOT NULL REFERENCES users (user_key),
    -- The user's own one; scheduled meetings have theirs beside it.
    personal       BOOLEAN NOT NULL,
    created_at     BIGINT  NOT NULL
);

CREATE UNIQUE INDEX one_personal_conference ON conferences (organizer) WHERE personal;

-- A user as the store shows him.
CREATE VIEW shown_users AS
SELECT u.user_key, u.identity, u.name, u.search_text, u.enabled, u.allow_anonymous_start, u.lobby_policy,
       u.created_at, u.pin_set_at, c.conference_id
FROM users u LEFT JOIN conferences c ON c.organizer = u.user_key AND c.personal;

-- Given to nobody until they have rested.
CREATE TABLE retired_conference_ids (
    conference_id TEXT   PRIMARY KEY NOT NULL,
    organizer     BIGINT NOT NULL REFERENCES users (user_key),
    retired_at    BIGINT NOT NULL
);

CREATE INDEX retired_by_time ON retired_conference_ids (retired_at);

CREATE TABLE settings (
    key   TEXT PRIMARY KEY NOT NULL,
    value TEXT NOT NULL
);

-- Wrong entries that are counted, each row until its window ends.
CREATE TABLE budgets (
    budget     TEXT   NOT NULL,
    subject    TEXT   NOT NULL,
    organizer  BIGINT REFERENCES users (user_key),
    entries    BIGINT NOT NULL CHECK (entries >= 0),
    ends_at    BIGINT NOT NULL,
    PRIMARY KEY (budget, subject)
);

CREATE INDEX budgets_by_end ON budgets (ends_at);

-- From where an organizer's PIN was right not long ago.
CREATE TABLE known_callers (
    organizer BIGINT NOT NULL REFERENCES users (user_key),
    caller    TEXT   NOT NULL,
    right_at  BIGINT NOT NULL,
    PRIMARY KEY (organizer, caller)
);

CREATE TABLE audit (
    audit_key  {key},
    at         BIGINT  NOT NULL,
    who        TEXT    NOT NULL,
    came_from  TEXT    NOT NULL,
    action     TEXT    NOT NULL,
    subject    TEXT    NOT NULL,
    detail     TEXT    NOT NULL
);

-- Appended, never changed.
-- {sqlite}
CREATE TRIGGER audit_is_not_changed BEFORE UPDATE ON audit
BEGIN
    SELECT RAISE(ABORT, 'the audit is never changed');
END;

CREATE TRIGGER audit_is_not_removed BEFORE DELETE ON audit
BEGIN
    SELECT RAISE(ABORT, 'the audit is never removed');
END;
-- {postgres}
CREATE FUNCTION refuse_change_of_audit() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the audit is never changed or removed';
END $$;

CREATE TRIGGER audit_is_not_changed BEFORE UPDATE OR DELETE ON audit
FOR EACH ROW EXECUTE FUNCTION refuse_change_of_audit();

CREATE TRIGGER audit_is_not_emptied BEFORE TRUNCATE ON audit
FOR EACH STATEMENT EXECUTE FUNCTION refuse_change_of_audit();
-- {both}

-- What the store knows about itself, such as which server key belongs to it.
CREATE TABLE facts (
    name  TEXT PRIMARY KEY NOT NULL,
    value TEXT NOT NULL
);
