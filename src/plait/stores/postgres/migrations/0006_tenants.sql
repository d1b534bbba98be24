-- Whose an execution is. A key counts within a workflow and a tenant.
ALTER TABLE plait.executions ADD COLUMN tenant text NOT NULL DEFAULT 'default';
DROP INDEX plait.executions_by_key;
CREATE UNIQUE INDEX executions_by_key ON plait.executions (key, workflow, tenant)
    WHERE key IS NOT NULL;

-- The latest of one tenant, and how many it has.
CREATE INDEX executions_by_tenant ON plait.executions (tenant, number);
