-- What administrators keep: numbers, scheduled meetings, mails, people who sign in, call records, alerts.

-- Numbers by which callers reach this organization.
CREATE TABLE numbers (
    number_key {key},
    number     TEXT{by bytes} NOT NULL UNIQUE,
    language   TEXT    NOT NULL,
    label      TEXT    NOT NULL,
    is_default BOOLEAN NOT NULL
);

CREATE UNIQUE INDEX one_default_number ON numbers (is_default) WHERE is_default;

ALTER TABLE users ADD COLUMN email TEXT;
-- The number that his mails and invitations name. NULL: the default one.
ALTER TABLE users ADD COLUMN number BIGINT REFERENCES numbers (number_key);
CREATE INDEX users_by_number ON users (number) WHERE number IS NOT NULL;

-- A meeting with a conference ID of its own; all NULL where the conference is the user's personal one.
ALTER TABLE conferences ADD COLUMN subject TEXT;
ALTER TABLE conferences ADD COLUMN starts_at BIGINT;
ALTER TABLE conferences ADD COLUMN ends_at BIGINT;
-- From then on its conference ID is unknown.
ALTER TABLE conferences ADD COLUMN expires_at BIGINT;
-- Goes up with each change, so that a calendar knows the newer invitation (RFC 5545, SEQUENCE).
ALTER TABLE conferences ADD COLUMN revision BIGINT NOT NULL DEFAULT 0;

CREATE INDEX conferences_by_organizer ON conferences (organizer);
CREATE INDEX meetings_by_start ON conferences (starts_at, conference_key) WHERE NOT personal;
CREATE INDEX meetings_by_expiry ON conferences (expires_at) WHERE NOT personal;

-- A scheduled meeting as the store shows it. It is there while its organizer is enabled.
CREATE VIEW shown_meetings AS
SELECT c.conference_key, c.conference_id, c.organizer, u.identity, c.subject, c.starts_at, c.ends_at, c.expires_at,
       c.created_at, c.revision
FROM conferences c JOIN users u ON u.user_key = c.organizer
WHERE NOT c.personal AND u.enabled;

DROP VIEW shown_users;
CREATE VIEW shown_users AS
SELECT u.user_key, u.identity, u.name, u.search_text, u.enabled, u.allow_anonymous_start, u.lobby_policy,
       u.created_at, u.pin_set_at, u.email, u.number, c.conference_id
FROM users u LEFT JOIN conferences c ON c.organizer = u.user_key AND c.personal;

-- Mail texts of the organization's own; where there is none the built-in one holds.
CREATE TABLE mail_templates (
    name TEXT PRIMARY KEY NOT NULL,
    body TEXT NOT NULL
);

-- Mails, written in the transaction of what they tell about.
CREATE TABLE outbox (
    mail_key    {key},
    kind        TEXT   NOT NULL,
    recipient   TEXT   NOT NULL,
    user_key    BIGINT NOT NULL REFERENCES users (user_key),
    -- Made once, so that a mail that arrives twice is known as one (RFC 5322, 3.6.4).
    message_id  TEXT   NOT NULL UNIQUE,
    -- A PIN under the server key. NULL as soon as the mail is sent or given up.
    sealed_pin  {bytes},
    state       TEXT   NOT NULL CHECK (state IN ('queued', 'sent', 'given-up')),
    attempts    BIGINT NOT NULL,
    -- Attempts of which nobody ever told the end: the mail may have gone out.
    unanswered  BIGINT NOT NULL,
    next_at     BIGINT NOT NULL,
    -- Whoever sends it has it until then.
    leased_to   BIGINT,
    last_error  TEXT,
    created_at  BIGINT NOT NULL,
    ended_at    BIGINT,
    CHECK (state = 'queued' OR sealed_pin IS NULL)
);

CREATE INDEX outbox_by_turn ON outbox (next_at) WHERE state = 'queued';
CREATE INDEX outbox_by_user ON outbox (user_key);
CREATE INDEX outbox_by_end ON outbox (ended_at) WHERE state <> 'queued';

-- A mail as the store shows it.
CREATE VIEW shown_mails AS
SELECT o.mail_key, o.kind, o.recipient, o.user_key, u.identity, o.message_id, o.state, o.attempts, o.next_at,
       o.last_error, o.created_at, o.ended_at
FROM outbox o JOIN users u ON u.user_key = o.user_key;

-- People who sign in.
CREATE TABLE accounts (
    account_key     {key},
    -- Lower case.
    name            TEXT{by bytes} NOT NULL UNIQUE,
    role            TEXT    NOT NULL CHECK (role IN ('administrator', 'operator', 'user')),
    -- Whose meetings he may schedule and start.
    user_key        BIGINT REFERENCES users (user_key),
    created_at      BIGINT  NOT NULL,
    disabled        BOOLEAN NOT NULL,
    -- A PHC text. NULL until he has chosen one.
    password_hash   TEXT,
    password_set_at BIGINT,
    CHECK ((password_hash IS NULL) = (password_set_at IS NULL)),
    CHECK (role <> 'user' OR user_key IS NOT NULL)
);

-- Who is signed in. The cookie itself is not here, only its SHA-256.
CREATE TABLE sessions (
    session_hash TEXT   PRIMARY KEY NOT NULL,
    account_key  BIGINT NOT NULL REFERENCES accounts (account_key),
    came_from    TEXT   NOT NULL,
    opened_at    BIGINT NOT NULL,
    seen_at      BIGINT NOT NULL
);

CREATE INDEX sessions_by_account ON sessions (account_key);

-- Programs that may call the API. The token itself is not here, only its SHA-256.
CREATE TABLE api_tokens (
    token_key    {key},
    token_hash   TEXT   NOT NULL UNIQUE,
    label        TEXT   NOT NULL,
    role         TEXT   NOT NULL CHECK (role IN ('administrator', 'operator', 'user')),
    user_key     BIGINT REFERENCES users (user_key),
    made_by      TEXT   NOT NULL,
    created_at   BIGINT NOT NULL,
    expires_at   BIGINT,
    last_used_at BIGINT,
    CHECK (role <> 'user' OR user_key IS NOT NULL)
);

-- Links that work once. The link itself is not here, only its SHA-256.
CREATE TABLE links (
    link_hash   TEXT   PRIMARY KEY NOT NULL,
    purpose     TEXT   NOT NULL CHECK (purpose IN ('first-administrator', 'set-password')),
    account_key BIGINT REFERENCES accounts (account_key),
    expires_at  BIGINT NOT NULL,
    CHECK ((purpose = 'set-password') = (account_key IS NOT NULL))
);

-- Calls that have ended.
CREATE TABLE call_records (
    record_key    {key},
    ended_at      BIGINT NOT NULL,
    -- Caller, conference ID, organizer and cause in lower case.
    search_text   TEXT   NOT NULL,
    -- One JSON document, as the file of call records has it.
    record        TEXT   NOT NULL
);

CREATE INDEX call_records_by_end ON call_records (ended_at);

CREATE TABLE alerts (
    alert_key  {key},
    kind       TEXT   NOT NULL,
    subject    TEXT   NOT NULL,
    text       TEXT   NOT NULL,
    count      BIGINT NOT NULL,
    at         BIGINT NOT NULL,
    last_at    BIGINT NOT NULL,
    cleared_at BIGINT,
    cleared_by TEXT
);

-- The same again counts up.
CREATE UNIQUE INDEX one_open_alert ON alerts (kind, subject) WHERE cleared_at IS NULL;

-- What a command line wants done to a live meeting, for the server that has it.
CREATE TABLE live_requests (
    request_key {key},
    action      TEXT   NOT NULL,
    subject     TEXT   NOT NULL,
    who         TEXT   NOT NULL,
    came_from   TEXT   NOT NULL,
    posted_at   BIGINT NOT NULL,
    taken_by    TEXT,
    outcome     TEXT,
    failed      BOOLEAN
);

CREATE INDEX live_requests_open ON live_requests (posted_at) WHERE taken_by IS NULL;
