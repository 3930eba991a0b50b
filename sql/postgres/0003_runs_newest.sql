-- The runs of a conversation, newest first.  Runs cannot be written while the
-- index is made: some seconds where there are millions of them.

CREATE INDEX agents_runs_newest
    ON agents_runs (company_id, user_id, conversation_id, created_at DESC,
                    id DESC);

INSERT INTO agents_schema (version, applied_at)
VALUES (3, (extract(epoch from clock_timestamp()) * 1000)::bigint);
