-- Which worker is to stop a run that is under way: the run was cancelled, or
-- deleted with its conversation.  The worker takes its rows off; what a dead
-- one leaves is removed a day later.

CREATE TABLE agents_stops (
    worker      TEXT    NOT NULL,
    run_id      TEXT    NOT NULL,
    created_at  INTEGER NOT NULL,
    PRIMARY KEY (worker, run_id)
) STRICT, WITHOUT ROWID;

INSERT INTO agents_schema (version, applied_at)
VALUES (2, CAST(ROUND((julianday('now') - 2440587.5) * 86400000.0) AS INTEGER));
