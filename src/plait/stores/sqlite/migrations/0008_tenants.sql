-- Whose an execution is. A key counts within a workflow and a tenant.
ALTER TABLE executions ADD COLUMN tenant TEXT NOT NULL DEFAULT 'default';
DROP INDEX executions_by_key;
CREATE UNIQUE INDEX executions_by_key ON executions (key, workflow, tenant)
    WHERE key IS NOT NULL;

-- The latest of one tenant, and how many it has.
CREATE INDEX executions_by_tenant ON executions (tenant, number);
