-- W3C Trace Context as the client of a run sent it, if it did.

ALTER TABLE agents_runs ADD COLUMN traceparent TEXT COLLATE "C";
ALTER TABLE agents_runs ADD COLUMN tracestate TEXT COLLATE "C";

INSERT INTO agents_schema (version, applied_at)
VALUES (5, (extract(epoch from clock_timestamp()) * 1000)::bigint);
