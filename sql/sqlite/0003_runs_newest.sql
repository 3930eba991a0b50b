-- The runs of a conversation, newest first.

CREATE INDEX agents_runs_newest
    ON agents_runs (company_id, user_id, conversation_id, created_at DESC,
                    id DESC);

INSERT INTO agents_schema (version, applied_at)
VALUES (3, CAST(ROUND((julianday('now') - 2440587.5) * 86400000.0) AS INTEGER));
