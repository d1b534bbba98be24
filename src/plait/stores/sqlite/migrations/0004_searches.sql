-- A search for one status, or for one error, reads the latest of just those.
DROP INDEX standings_ended;
CREATE INDEX standings_by_status ON standings (status, execution);
CREATE INDEX standings_by_error ON standings (error_code, execution)
    WHERE error_code IS NOT NULL;
