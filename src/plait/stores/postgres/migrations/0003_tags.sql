-- Executions by tag.
CREATE TABLE plait.tags (
    tag text NOT NULL,
    execution bigint NOT NULL,
    PRIMARY KEY (tag, execution)
);
INSERT INTO plait.tags (tag, execution)
    SELECT DISTINCT t.tag, e.number
    FROM plait.executions e, jsonb_array_elements_text(e.tags) AS t (tag);

-- A key is also looked for without its workflow.
DROP INDEX plait.executions_by_key;
CREATE UNIQUE INDEX executions_by_key ON plait.executions (key, workflow)
    WHERE key IS NOT NULL;

-- What may be removed ended, and so began, before a moment. Not by its end: an index of
-- what an append changes would have every append tell all indexes.
CREATE INDEX executions_by_time ON plait.executions (created_at_ms, id);

-- The latest of one status, and of one error.
DROP INDEX plait.standings_ended;
CREATE INDEX standings_by_status ON plait.standings (status, execution);
CREATE INDEX standings_by_error ON plait.standings (error_code, execution)
    WHERE error_code IS NOT NULL;

-- Which worker looks after the store, and until when: one row, or none.
CREATE TABLE plait.charge (
    number integer PRIMARY KEY CHECK (number = 1),
    worker text NOT NULL,
    until_ms bigint NOT NULL
);
