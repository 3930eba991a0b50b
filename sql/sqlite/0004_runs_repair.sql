-- What a structured answer that does not fit is asked for once more with: the
-- reply and what is wrong with it, in no message.  NULL: nothing is.

ALTER TABLE agents_runs ADD COLUMN repair TEXT;

INSERT INTO agents_schema (version, applied_at)
VALUES (4, CAST(ROUND((julianday('now') - 2440587.5) * 86400000.0) AS INTEGER));
