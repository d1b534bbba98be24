-- What the control plane keeps (plait.ports.records). `checksum` is over all the others: a
-- flipped bit in a key's roles would otherwise go unnoticed.
CREATE TABLE records (
    kind TEXT NOT NULL,
    tenant TEXT NOT NULL,
    key TEXT NOT NULL,
    value BLOB NOT NULL,
    version INTEGER NOT NULL,
    at_ms INTEGER NOT NULL,
    checksum INTEGER NOT NULL,
    PRIMARY KEY (kind, tenant, key)
) STRICT;

-- The version that was given last, whoever has it: so none is given twice.
CREATE TABLE record_revision (
    number INTEGER PRIMARY KEY CHECK (number = 1),
    revision INTEGER NOT NULL
) STRICT;
INSERT INTO record_revision VALUES (1, 0);
