-- An execution may be in a lane, in which no more than `lane_max` run side by side:
-- `lane_state` is 0 when it runs, 1 when it was let in and nobody has begun it, 2 when it
-- waits for its turn.
ALTER TABLE standings ADD COLUMN lane TEXT;
ALTER TABLE standings ADD COLUMN lane_max INTEGER NOT NULL DEFAULT 0;
ALTER TABLE standings ADD COLUMN lane_state INTEGER NOT NULL DEFAULT 0;
-- The workflow once more: of equal priority, workflows are claimed in turn.
ALTER TABLE standings ADD COLUMN workflow TEXT NOT NULL DEFAULT '';
UPDATE standings SET workflow =
    (SELECT e.workflow FROM executions e WHERE e.number = standings.execution);

-- What nobody holds: when the next is due, and what is due of each priority and workflow.
DROP INDEX standings_open;
CREATE INDEX standings_open ON standings (wake_at_ms)
    WHERE status = 'running' AND owner IS NULL AND lane_state < 2;
CREATE INDEX standings_free ON standings (priority, workflow, wake_at_ms, execution)
    WHERE status = 'running' AND owner IS NULL AND lane_state < 2
    AND wake_at_ms IS NOT NULL;
CREATE INDEX standings_held ON standings (owner) WHERE owner IS NOT NULL;
-- Who is in a lane, and who is next.
CREATE INDEX standings_by_lane ON standings (lane, lane_state, priority DESC, execution)
    WHERE status = 'running' AND lane IS NOT NULL;
