-- What the control plane keeps (plait.ports.records), in the order of the names' bytes.
CREATE TABLE plait.records (
    kind text COLLATE "C" NOT NULL,
    tenant text COLLATE "C" NOT NULL,
    key text COLLATE "C" NOT NULL,
    value bytea NOT NULL,
    version bigint NOT NULL,
    at_ms bigint NOT NULL,
    PRIMARY KEY (kind, tenant, key)
);

-- The version that was given last, whoever has it: so none is given twice. Whoever changes
-- records locks this row first, so that they come one after the other.
CREATE TABLE plait.record_revision (
    number integer PRIMARY KEY CHECK (number = 1),
    revision bigint NOT NULL
);
INSERT INTO plait.record_revision VALUES (1, 0);
