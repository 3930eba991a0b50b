-- W3C Trace Context as the client of a run sent it, if it did.

ALTER TABLE agents_runs ADD COLUMN traceparent TEXT;
ALTER TABLE agents_runs ADD COLUMN tracestate TEXT;

INSERT INTO agents_schema (version, applied_at)
VALUES (5, CAST(ROUND((julianday('now') - 2440587.5) * 86400000.0) AS INTEGER));
