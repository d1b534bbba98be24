-- Executions that are gone, and whose entries are still to be deleted.
CREATE TABLE leftovers (
    execution INTEGER PRIMARY KEY
) STRICT;

-- What ended first is removed first.
CREATE INDEX standings_by_end ON standings (at_ms) WHERE status <> 'running';
