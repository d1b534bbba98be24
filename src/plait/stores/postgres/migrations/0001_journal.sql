-- No foreign keys: each would cost a lookup and a row lock per entry, and every statement
-- that writes both sides does so in one transaction.

-- What never changes about an execution. `number` is the order of creation.
CREATE TABLE executions (
    number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id text NOT NULL UNIQUE,
    workflow text NOT NULL,
    plan_hash text NOT NULL,
    created_at_ms bigint NOT NULL,
    input text NOT NULL,
    key text,
    tags jsonb NOT NULL,
    parent text
);
CREATE UNIQUE INDEX executions_by_key ON executions (workflow, key) WHERE key IS NOT NULL;
CREATE INDEX executions_by_workflow ON executions (workflow, number);
CREATE INDEX executions_by_parent ON executions (parent) WHERE parent IS NOT NULL;

-- What changes with every entry: kept apart, so that an append rewrites few bytes. Half of
-- each page stays free for the next versions of its rows (no index has to know of them).
CREATE TABLE standings (
    execution bigint PRIMARY KEY,
    status text NOT NULL,
    at_ms bigint NOT NULL,
    wake_at_ms bigint,
    error_code text,
    length bigint NOT NULL,
    head bytea NOT NULL,
    epoch bigint NOT NULL,
    owner text,
    -- The token of the request by which the owner has it: see plait.stores.doubts.
    token text,
    priority bigint NOT NULL
) WITH (fillfactor = 50);
CREATE INDEX standings_held ON standings (owner) WHERE owner IS NOT NULL;
CREATE INDEX standings_free ON standings (priority, wake_at_ms, execution)
    WHERE status = 'running' AND owner IS NULL;
CREATE INDEX standings_ended ON standings (status, execution) WHERE status <> 'running';

CREATE TABLE entries (
    execution bigint NOT NULL,
    number bigint NOT NULL,
    body bytea NOT NULL,
    digest bytea NOT NULL,
    PRIMARY KEY (execution, number)
);

CREATE TABLE messages (
    execution bigint NOT NULL,
    id text NOT NULL,
    number bigint GENERATED ALWAYS AS IDENTITY,
    body bytea NOT NULL,
    is_heard boolean NOT NULL DEFAULT false,
    PRIMARY KEY (execution, id)
);
CREATE INDEX messages_waiting ON messages (execution) WHERE NOT is_heard;

-- `until_ms` is null until the first beat. `lock` is the advisory lock that the worker's
-- session keeps, `server` the start of the server that it was taken on.
CREATE TABLE workers (
    id text PRIMARY KEY,
    until_ms bigint,
    lock bigint NOT NULL,
    server text
);

CREATE TABLE plans (
    hash text PRIMARY KEY,
    body bytea NOT NULL
);
