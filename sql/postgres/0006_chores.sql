-- What the workers of all nodes do in turns: when the next turn is due, and
-- where the walk through all conversations has come to.

CREATE TABLE agents_chores (
    name             TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    due_at           BIGINT           NOT NULL,
    company_id       TEXT COLLATE "C" NOT NULL,
    user_id          TEXT COLLATE "C" NOT NULL,
    conversation_id  TEXT COLLATE "C" NOT NULL
);

INSERT INTO agents_schema (version, applied_at)
VALUES (6, (extract(epoch from clock_timestamp()) * 1000)::bigint);
