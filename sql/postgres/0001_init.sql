-- The first schema.  Keys and unique constraints of user data begin with
-- (company_id, user_id); agents_tokens, agents_workers and the indexes for
-- takeover are the exceptions.  Times are milliseconds since 1970.

CREATE TABLE agents_schema (
    version     BIGINT           NOT NULL PRIMARY KEY,
    applied_at  BIGINT           NOT NULL
);

-- active_run_id: its run that is pending or running, if any.
-- pending_run_id: the run whose calls wait for outputs, if any.

CREATE TABLE agents_conversations (
    company_id      TEXT COLLATE "C" NOT NULL,
    user_id         TEXT COLLATE "C" NOT NULL,
    id              TEXT COLLATE "C" NOT NULL,
    name            TEXT COLLATE "C",
    name_rev        BIGINT           NOT NULL,
    version         BIGINT           NOT NULL,
    active_run_id   TEXT COLLATE "C",
    pending_run_id  TEXT COLLATE "C",
    created_at      BIGINT           NOT NULL,
    updated_at      BIGINT           NOT NULL,
    defaults        TEXT COLLATE "C" NOT NULL,
    system_prompt   TEXT COLLATE "C",
    PRIMARY KEY (company_id, user_id, id)
);

CREATE INDEX agents_conversations_newest
    ON agents_conversations (company_id, user_id, created_at DESC, id DESC);

-- Rows past their conversation's version are the journal of its active run.

CREATE TABLE agents_messages (
    company_id       TEXT COLLATE "C" NOT NULL,
    user_id          TEXT COLLATE "C" NOT NULL,
    conversation_id  TEXT COLLATE "C" NOT NULL,
    sequence_no      BIGINT           NOT NULL,
    part             BIGINT           NOT NULL,
    turn_index       BIGINT           NOT NULL,
    live             BIGINT           NOT NULL,
    created_at       BIGINT           NOT NULL,
    role             TEXT COLLATE "C" NOT NULL,
    run_id           TEXT COLLATE "C" NOT NULL,
    content          TEXT COLLATE "C" NOT NULL,
    provider         TEXT COLLATE "C",
    PRIMARY KEY (company_id, user_id, conversation_id, sequence_no, part)
);

-- client_op_key: client_op_id in lower case.
-- owner: the worker that drives it; NULL: no one does.
-- A step rewrites a run's row: room on its page keeps the new one there, and
-- out of the indexes.

CREATE TABLE agents_runs (
    company_id               TEXT COLLATE "C" NOT NULL,
    user_id                  TEXT COLLATE "C" NOT NULL,
    id                       TEXT COLLATE "C" NOT NULL,
    conversation_id          TEXT COLLATE "C" NOT NULL,
    api                      TEXT COLLATE "C" NOT NULL,
    client_op_id             TEXT COLLATE "C" NOT NULL,
    client_op_key            TEXT COLLATE "C" NOT NULL,
    fingerprint              TEXT COLLATE "C" NOT NULL,
    status                   TEXT COLLATE "C" NOT NULL,
    owner                    TEXT COLLATE "C",
    epoch                    BIGINT           NOT NULL,
    takeovers                BIGINT           NOT NULL,
    rev                      BIGINT           NOT NULL,
    base_version             BIGINT           NOT NULL,
    cancel                   BIGINT           NOT NULL,
    iterations_used          BIGINT           NOT NULL,
    prompt_tokens            BIGINT           NOT NULL,
    completion_tokens        BIGINT           NOT NULL,
    total_tokens             BIGINT           NOT NULL,
    cache_read_tokens        BIGINT           NOT NULL,
    cache_write_tokens       BIGINT           NOT NULL,
    created_at               BIGINT           NOT NULL,
    finished_at              BIGINT,
    error_type               TEXT COLLATE "C",
    error_message            TEXT COLLATE "C",
    job_ids                  TEXT COLLATE "C" NOT NULL,
    pending_tool_calls       TEXT COLLATE "C" NOT NULL,
    tool_choice              TEXT COLLATE "C" NOT NULL,
    effective_config         TEXT COLLATE "C" NOT NULL,
    payload                  TEXT COLLATE "C" NOT NULL,
    final_text               TEXT COLLATE "C",
    final_structured_output  TEXT COLLATE "C",
    PRIMARY KEY (company_id, user_id, id),
    UNIQUE (company_id, user_id, conversation_id, client_op_key)
) WITH (fillfactor = 70);

CREATE INDEX agents_runs_active
    ON agents_runs (company_id, user_id, id) WHERE finished_at IS NULL;

-- For takeover.

CREATE INDEX agents_runs_owned
    ON agents_runs (owner) WHERE owner IS NOT NULL AND finished_at IS NULL;

CREATE INDEX agents_runs_unowned
    ON agents_runs (api, created_at, id)
    WHERE owner IS NULL AND finished_at IS NULL;

CREATE TABLE agents_workers (
    id           TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    lease_until  BIGINT           NOT NULL
);

CREATE TABLE agents_tokens (
    sha256       TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    id           TEXT COLLATE "C" NOT NULL UNIQUE,
    company_id   TEXT COLLATE "C" NOT NULL,
    user_id      TEXT COLLATE "C" NOT NULL,
    permissions  TEXT COLLATE "C" NOT NULL,
    created_at   BIGINT           NOT NULL,
    expires_at   BIGINT,
    revoked_at   BIGINT
);

INSERT INTO agents_schema (version, applied_at)
VALUES (1, (extract(epoch from clock_timestamp()) * 1000)::bigint);

-- Statistics for a database that is still empty: without any, PostgreSQL takes
-- every index that begins with (company_id, user_id) for as good as the primary
-- key, and a prepared statement keeps such a plan while the tables fill.

INSERT INTO agents_conversations (company_id, user_id, id, name_rev, version,
        created_at, updated_at, defaults)
SELECT 'c', 'u', n::text, 0, 0, n, n, '{}'
FROM generate_series(1, 1000) n;

INSERT INTO agents_messages (company_id, user_id, conversation_id, sequence_no,
        part, turn_index, live, created_at, role, run_id, content)
SELECT 'c', 'u', (n / 10)::text, n % 10, 0, n % 10, 0, n, 'user', n::text, '[]'
FROM generate_series(1, 1000) n;

INSERT INTO agents_runs (company_id, user_id, id, conversation_id, api,
        client_op_id, client_op_key, fingerprint, status, owner, epoch,
        takeovers, rev, base_version, cancel, iterations_used, prompt_tokens,
        completion_tokens, total_tokens, cache_read_tokens, cache_write_tokens,
        created_at, finished_at, job_ids, pending_tool_calls, tool_choice,
        effective_config, payload)
SELECT 'c', 'u', n::text, (n / 2)::text, 'a', n::text, n::text, n::text,
       'completed', CASE WHEN n % 20 = 0 THEN (n % 4)::text END, 1, 0, 0, 0, 0,
       1, 0, 0, 0, 0, 0, n, CASE WHEN n % 10 <> 0 THEN n END, '[]', '[]', '{}',
       '{}', '{}'
FROM generate_series(1, 1000) n;

ANALYZE agents_conversations;
ANALYZE agents_messages;
ANALYZE agents_runs;

TRUNCATE agents_conversations, agents_messages, agents_runs;
