-- Which worker is to stop a run that is under way: the run was cancelled, or
-- deleted with its conversation.  The worker takes its rows off; what a dead
-- one leaves is removed a day later.

CREATE TABLE agents_stops (
    worker      TEXT COLLATE "C" NOT NULL,
    run_id      TEXT COLLATE "C" NOT NULL,
    created_at  BIGINT           NOT NULL,
    PRIMARY KEY (worker, run_id)
);

INSERT INTO agents_schema (version, applied_at)
VALUES (2, (extract(epoch from clock_timestamp()) * 1000)::bigint);
