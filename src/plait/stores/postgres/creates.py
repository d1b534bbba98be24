"""Many starts in one statement, and so in one transaction with one wait for the disk."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from plait.model.record import record
from plait.ports.journal import Entry, NewExecution, Standing
from plait.stores.postgres.appends import columns
from plait.stores.postgres.server import fetch
from plait.stores.unstorable import tags_json

_CREATE: Final = """
WITH wanted AS (
    SELECT * FROM unnest(
        $1::text[], $2::text[], $3::text[], $4::bigint[], $5::text[], $6::text[],
        $7::text[], $8::bigint[], $9::text[], $10::text[], $11::bigint[], $12::bigint[],
        $13::text[], $14::bigint[], $15::bytea[], $16::text[], $17::text[]
    ) WITH ORDINALITY AS w (
        id, workflow, plan_hash, created_at_ms, input, key, tags, priority, parent, status,
        at_ms, wake_at_ms, error_code, length, head, owner, token,
        place
    )
), made AS (
    INSERT INTO executions
        (id, workflow, plan_hash, created_at_ms, input, key, tags, parent)
    SELECT id, workflow, plan_hash, created_at_ms, input, key, tags::jsonb, parent
    FROM wanted ORDER BY place
    ON CONFLICT DO NOTHING RETURNING number, id
), stood AS (
    INSERT INTO standings (execution, status, at_ms, wake_at_ms, error_code, length, head,
        epoch, owner, token, priority)
    SELECT m.number, w.status, w.at_ms, w.wake_at_ms, w.error_code, w.length, w.head, 1,
        w.owner, w.token, w.priority
    FROM wanted w JOIN made m ON m.id = w.id
), added AS (
    INSERT INTO entries (execution, number, body, digest)
    SELECT m.number, n.number, n.body, n.digest
    FROM unnest($18::text[], $19::bigint[], $20::bytea[], $21::bytea[])
        AS n (id, number, body, digest)
    JOIN made m ON m.id = n.id
)
SELECT m.id IS NOT NULL FROM wanted w LEFT JOIN made m ON m.id = w.id ORDER BY w.place
"""


@record
class Start:
    """The arguments of plait.ports.journal.Journal.create, and the request's token."""

    new: NewExecution
    entries: Sequence[Entry]
    standing: Standing
    owner: str
    token: str


async def create_all(connection: Any, starts: Sequence[Start]) -> list[bool]:
    """Begin the executions, each of another id; say of each whether that is done."""
    # All processes go through the keys in one order: each waits for whoever is before it
    # with a key, so that none waits for one who waits for it.
    order = sorted(range(len(starts)), key=lambda index: _key(starts[index]))
    ordered = [starts[index] for index in order]
    values = [*_rows(ordered), *_entries(ordered)]
    rows = await fetch(connection, _CREATE, *values)
    made = {index: bool(row[0]) for index, row in zip(order, rows, strict=True)}
    return [made[index] for index in range(len(starts))]


def _key(start: Start) -> tuple[str, str]:
    return start.new.workflow, start.new.key or ""


def _rows(starts: Sequence[Start]) -> list[list[Any]]:
    rows = [
        (
            start.new.execution_id,
            start.new.workflow,
            start.new.plan_hash,
            start.new.created_at_ms,
            start.new.input,
            start.new.key,
            tags_json(start.new.tags, "PostgreSQL"),
            start.new.priority,
            start.new.parent,
            start.standing.status,
            start.standing.at_ms,
            start.standing.wake_at_ms,
            start.standing.error_code,
            len(start.entries),
            start.entries[-1].digest,
            start.owner,
            start.token,
        )
        for start in starts
    ]
    return columns(rows, 17)


def _entries(starts: Sequence[Start]) -> list[list[Any]]:
    rows = [
        (start.new.execution_id, index, entry.body, entry.digest)
        for start in starts
        for index, entry in enumerate(start.entries)
    ]
    return columns(rows, 4)
