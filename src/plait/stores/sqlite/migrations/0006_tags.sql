-- Executions by tag, the latest last.
CREATE TABLE tags (
    tag TEXT NOT NULL,
    execution INTEGER NOT NULL REFERENCES executions (number),
    PRIMARY KEY (tag, execution)
) STRICT, WITHOUT ROWID;
INSERT OR IGNORE INTO tags (tag, execution)
    SELECT t.value, e.number FROM executions e, json_each(e.tags) t;

-- A key is also looked for without its workflow.
DROP INDEX executions_by_key;
CREATE UNIQUE INDEX executions_by_key ON executions (key, workflow) WHERE key IS NOT NULL;

-- Which worker looks after the store, and until when: one row, or none.
CREATE TABLE charge (
    number INTEGER PRIMARY KEY CHECK (number = 1),
    worker TEXT NOT NULL,
    until_ms INTEGER NOT NULL
) STRICT;
