-- The first schema.  Keys and unique constraints of user data begin with
-- (company_id, user_id); agents_tokens, agents_workers and the indexes for
-- takeover are the exceptions.  Times are milliseconds since 1970.

CREATE TABLE agents_schema (
    version     INTEGER NOT NULL PRIMARY KEY,
    applied_at  INTEGER NOT NULL
) STRICT;

-- active_run_id: its run that is pending or running, if any.
-- pending_run_id: the run whose calls wait for outputs, if any.

CREATE TABLE agents_conversations (
    company_id      TEXT    NOT NULL,
    user_id         TEXT    NOT NULL,
    id              TEXT    NOT NULL,
    name            TEXT,
    name_rev        INTEGER NOT NULL,
    version         INTEGER NOT NULL,
    active_run_id   TEXT,
    pending_run_id  TEXT,
    created_at      INTEGER NOT NULL,
    updated_at      INTEGER NOT NULL,
    defaults        TEXT    NOT NULL,
    system_prompt   TEXT,
    PRIMARY KEY (company_id, user_id, id)
) STRICT;

CREATE INDEX agents_conversations_newest
    ON agents_conversations (company_id, user_id, created_at DESC, id DESC);

-- Rows past their conversation's version are the journal of its active run.

CREATE TABLE agents_messages (
    company_id       TEXT    NOT NULL,
    user_id          TEXT    NOT NULL,
    conversation_id  TEXT    NOT NULL,
    sequence_no      INTEGER NOT NULL,
    part             INTEGER NOT NULL,
    turn_index       INTEGER NOT NULL,
    live             INTEGER NOT NULL,
    created_at       INTEGER NOT NULL,
    role             TEXT    NOT NULL,
    run_id           TEXT    NOT NULL,
    content          TEXT    NOT NULL,
    provider         TEXT,
    PRIMARY KEY (company_id, user_id, conversation_id, sequence_no, part)
) STRICT;

-- client_op_key: client_op_id in lower case.
-- owner: the worker that drives it; NULL: no one does.

CREATE TABLE agents_runs (
    company_id               TEXT    NOT NULL,
    user_id                  TEXT    NOT NULL,
    id                       TEXT    NOT NULL,
    conversation_id          TEXT    NOT NULL,
    api                      TEXT    NOT NULL,
    client_op_id             TEXT    NOT NULL,
    client_op_key            TEXT    NOT NULL,
    fingerprint              TEXT    NOT NULL,
    status                   TEXT    NOT NULL,
    owner                    TEXT,
    epoch                    INTEGER NOT NULL,
    takeovers                INTEGER NOT NULL,
    rev                      INTEGER NOT NULL,
    base_version             INTEGER NOT NULL,
    cancel                   INTEGER NOT NULL,
    iterations_used          INTEGER NOT NULL,
    prompt_tokens            INTEGER NOT NULL,
    completion_tokens        INTEGER NOT NULL,
    total_tokens             INTEGER NOT NULL,
    cache_read_tokens        INTEGER NOT NULL,
    cache_write_tokens       INTEGER NOT NULL,
    created_at               INTEGER NOT NULL,
    finished_at              INTEGER,
    error_type               TEXT,
    error_message            TEXT,
    job_ids                  TEXT    NOT NULL,
    pending_tool_calls       TEXT    NOT NULL,
    tool_choice              TEXT    NOT NULL,
    effective_config         TEXT    NOT NULL,
    payload                  TEXT    NOT NULL,
    final_text               TEXT,
    final_structured_output  TEXT,
    PRIMARY KEY (company_id, user_id, id),
    UNIQUE (company_id, user_id, conversation_id, client_op_key)
) STRICT;

CREATE INDEX agents_runs_active
    ON agents_runs (company_id, user_id, id) WHERE finished_at IS NULL;

-- For takeover.

CREATE INDEX agents_runs_owned
    ON agents_runs (owner) WHERE owner IS NOT NULL AND finished_at IS NULL;

CREATE INDEX agents_runs_unowned
    ON agents_runs (api, created_at, id)
    WHERE owner IS NULL AND finished_at IS NULL;

CREATE TABLE agents_workers (
    id           TEXT    NOT NULL PRIMARY KEY,
    lease_until  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE agents_tokens (
    sha256       TEXT    NOT NULL PRIMARY KEY,
    id           TEXT    NOT NULL UNIQUE,
    company_id   TEXT    NOT NULL,
    user_id      TEXT    NOT NULL,
    permissions  TEXT    NOT NULL,
    created_at   INTEGER NOT NULL,
    expires_at   INTEGER,
    revoked_at   INTEGER
) STRICT, WITHOUT ROWID;

INSERT INTO agents_schema (version, applied_at)
VALUES (1, CAST(ROUND((julianday('now') - 2440587.5) * 86400000.0) AS INTEGER));
