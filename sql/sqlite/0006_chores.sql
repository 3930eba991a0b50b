-- What the workers of all nodes do in turns: when the next turn is due, and
-- where the walk through all conversations has come to.

CREATE TABLE agents_chores (
    name             TEXT    NOT NULL PRIMARY KEY,
    due_at           INTEGER NOT NULL,
    company_id       TEXT    NOT NULL,
    user_id          TEXT    NOT NULL,
    conversation_id  TEXT    NOT NULL
) STRICT, WITHOUT ROWID;

INSERT INTO agents_schema (version, applied_at)
VALUES (6, CAST(ROUND((julianday('now') - 2440587.5) * 86400000.0) AS INTEGER));
