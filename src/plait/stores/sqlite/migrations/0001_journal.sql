-- What never changes about an execution. `number` is the order of creation.
CREATE TABLE executions (
    number INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    workflow TEXT NOT NULL,
    plan_hash TEXT NOT NULL,
    created_at_ms INTEGER NOT NULL,
    input TEXT NOT NULL,
    key TEXT,
    tags TEXT NOT NULL,
    parent TEXT
) STRICT;
CREATE UNIQUE INDEX executions_by_key ON executions (workflow, key) WHERE key IS NOT NULL;
CREATE INDEX executions_by_workflow ON executions (workflow, number);
CREATE INDEX executions_by_parent ON executions (parent) WHERE parent IS NOT NULL;

-- What changes with every entry: kept apart, so that an append rewrites few bytes.
CREATE TABLE standings (
    execution INTEGER PRIMARY KEY REFERENCES executions (number),
    status TEXT NOT NULL,
    at_ms INTEGER NOT NULL,
    wake_at_ms INTEGER,
    error_code TEXT,
    length INTEGER NOT NULL,
    head BLOB NOT NULL,
    epoch INTEGER NOT NULL,
    owner TEXT,
    priority INTEGER NOT NULL
) STRICT;
-- Who holds what, and of what nobody holds, what is due next.
CREATE INDEX standings_open ON standings (owner, wake_at_ms) WHERE status = 'running';
CREATE INDEX standings_ended ON standings (status, execution) WHERE status <> 'running';

CREATE TABLE entries (
    execution INTEGER NOT NULL REFERENCES executions (number),
    number INTEGER NOT NULL,
    body BLOB NOT NULL,
    digest BLOB NOT NULL,
    PRIMARY KEY (execution, number)
) STRICT, WITHOUT ROWID;

CREATE TABLE messages (
    execution INTEGER NOT NULL REFERENCES executions (number),
    id TEXT NOT NULL,
    body BLOB NOT NULL,
    is_heard INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (execution, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX messages_waiting ON messages (execution) WHERE is_heard = 0;

CREATE TABLE workers (
    id TEXT PRIMARY KEY,
    until_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE plans (
    hash TEXT PRIMARY KEY,
    body BLOB NOT NULL
) STRICT, WITHOUT ROWID;
