-- Messages are heard in the order in which they were posted: `number` says which that was.
-- Of those that wait already it is not known any more.
CREATE TABLE posted (
    number INTEGER PRIMARY KEY,
    execution INTEGER NOT NULL REFERENCES executions (number),
    id TEXT NOT NULL,
    body BLOB NOT NULL,
    is_heard INTEGER NOT NULL DEFAULT 0,
    UNIQUE (execution, id)
) STRICT;
INSERT INTO posted (execution, id, body, is_heard)
    SELECT execution, id, body, is_heard FROM messages ORDER BY execution, id;
DROP TABLE messages;
ALTER TABLE posted RENAME TO messages;
CREATE INDEX messages_waiting ON messages (execution, is_heard) WHERE is_heard = 0;
