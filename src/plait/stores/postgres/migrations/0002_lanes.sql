-- An execution may be in a lane, in which no more than `lane_max` run side by side:
-- `lane_state` is 0 when it runs, 1 when it was let in and nobody has begun it, 2 when it
-- waits for its turn. The workflow stands here once more: of equal priority, workflows are
-- claimed in turn.
ALTER TABLE plait.standings
    ADD COLUMN lane text,
    ADD COLUMN lane_max bigint NOT NULL DEFAULT 0,
    ADD COLUMN lane_state bigint NOT NULL DEFAULT 0,
    ADD COLUMN workflow text NOT NULL DEFAULT '';
UPDATE plait.standings s SET workflow = e.workflow
    FROM plait.executions e WHERE e.number = s.execution;

DROP INDEX plait.standings_free;
CREATE INDEX standings_free ON plait.standings (priority, workflow, wake_at_ms, execution)
    WHERE status = 'running' AND owner IS NULL AND lane_state < 2;
CREATE INDEX standings_by_lane
    ON plait.standings (lane, lane_state, priority DESC, execution)
    WHERE status = 'running' AND lane IS NOT NULL;

-- Whoever takes an execution out of a lane lets in the next, in the same transaction. One at
-- a time looks at a lane; lanes are locked in the order of their names, so that none waits
-- for one who waits for it.
CREATE FUNCTION plait.let_in() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    freed text;
    waiting record;
    inside bigint;
BEGIN
    FOR freed IN
        SELECT DISTINCT n.lane COLLATE "C" AS lane
        FROM new_rows n JOIN old_rows o ON o.execution = n.execution
        WHERE n.lane IS NOT NULL AND (o.status = 'running') <> (n.status = 'running')
        ORDER BY lane
    LOOP
        PERFORM pg_advisory_xact_lock(hashtextextended(freed, 0));
        LOOP
            SELECT s.execution, s.lane_max INTO waiting FROM plait.standings s
            WHERE s.status = 'running' AND s.lane = freed AND s.lane_state = 2
            ORDER BY s.priority DESC, s.execution LIMIT 1;
            EXIT WHEN NOT FOUND;
            SELECT count(*) INTO inside FROM (
                SELECT FROM plait.standings s WHERE s.status = 'running'
                AND s.lane = freed AND s.lane_state < 2 LIMIT waiting.lane_max
            ) few;
            EXIT WHEN inside >= waiting.lane_max;
            -- Meanwhile somebody may have ended it: then the next look finds another.
            UPDATE plait.standings s SET lane_state = 1, wake_at_ms = 0
            WHERE s.execution = waiting.execution AND s.status = 'running' AND s.lane_state = 2;
        END LOOP;
    END LOOP;
    RETURN NULL;
END
$$;
CREATE TRIGGER let_in AFTER UPDATE ON plait.standings
    REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
    FOR EACH STATEMENT WHEN (pg_trigger_depth() = 0) EXECUTE FUNCTION plait.let_in();
