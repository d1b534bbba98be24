"""Many starts in one statement, and so in one transaction with one wait for the disk."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from plait.model.record import record
from plait.ports.journal import Entry, Hold, HoldLost, NewExecution, Standing
from plait.stores.postgres.appends import columns
from plait.stores.postgres.holds import LOST, arguments_of, locks_of
from plait.stores.postgres.server import fetch_all
from plait.stores.unstorable import tags_json

_CREATE: Final = f"""
WITH {LOST}, wanted AS (
    SELECT * FROM unnest(
        $4::text[], $5::text[], $6::text[], $7::bigint[], $8::text[], $9::text[],
        $10::text[], $11::bigint[], $12::text[], $13::text[], $14::bigint[], $15::bigint[],
        $16::text[], $17::bigint[], $18::bytea[], $19::text[], $20::text[], $21::text[],
        $22::bigint[], $23::text[]
    ) WITH ORDINALITY AS w (
        id, workflow, plan_hash, created_at_ms, input, key, tags, priority, parent, status,
        at_ms, wake_at_ms, error_code, length, head, owner, token, lane, lane_max,
        tenant, place
    )
), made AS (
    INSERT INTO executions
        (id, workflow, plan_hash, created_at_ms, input, key, tags, parent, tenant)
    SELECT id, workflow, plan_hash, created_at_ms, input, key, tags::jsonb, parent, tenant
    FROM wanted WHERE place NOT IN (SELECT place FROM lost) ORDER BY place
    ON CONFLICT DO NOTHING RETURNING number, id
), placed AS (
    SELECT w.*, m.number, CASE WHEN w.status = 'running' AND w.lane IS NOT NULL
        AND row_number() OVER (PARTITION BY w.lane, w.status ORDER BY w.place) + (
            SELECT count(*) FROM (
                SELECT FROM standings s WHERE s.status = 'running' AND s.lane = w.lane
                AND s.lane_state < 2 LIMIT w.lane_max
            ) few
        ) > w.lane_max THEN 2 ELSE 0 END AS lane_state
    FROM wanted w JOIN made m ON m.id = w.id
), stood AS (
    INSERT INTO standings (execution, status, at_ms, wake_at_ms, error_code, length, head,
        epoch, owner, token, priority, workflow, lane, lane_max, lane_state)
    SELECT number, status, at_ms, wake_at_ms, error_code, length, head, 1,
        CASE WHEN lane_state = 0 AND status = 'running' THEN owner END, token, priority,
        workflow, lane, lane_max, lane_state
    FROM placed
), added AS (
    INSERT INTO entries (execution, number, body, digest)
    SELECT m.number, n.number, n.body, n.digest
    FROM unnest($24::text[], $25::bigint[], $26::bytea[], $27::bytea[])
        AS n (id, number, body, digest)
    JOIN made m ON m.id = n.id
), tagged AS (
    INSERT INTO tags (tag, execution) SELECT DISTINCT t.tag, p.number
    FROM placed p, jsonb_array_elements_text(p.tags::jsonb) AS t (tag)
)
SELECT p.lane_state, EXISTS (SELECT FROM lost l WHERE l.place = w.place)
FROM wanted w LEFT JOIN placed p ON p.place = w.place ORDER BY w.place
"""
# In the order in which the trigger locks them (migrations/0002).
_LOCK: Final = """
SELECT pg_advisory_xact_lock(hashtextextended(lane, 0)) FROM (
    SELECT DISTINCT lane COLLATE "C" AS lane FROM unnest($1::text[]) AS l (lane)
    ORDER BY lane
) lanes
"""


@record
class Start:
    """The arguments of plait.ports.journal.Journal.create, and the request's token."""

    new: NewExecution
    entries: Sequence[Entry]
    standing: Standing
    owner: str
    token: str
    under: Hold | None


async def create_all(
    connection: Any, starts: Sequence[Start]
) -> list[int | HoldLost | None]:
    """Begin the executions, each of another id.

    Returns:
        How each stands to its lane; None: it was not begun, its id or key is taken.
    """
    # All processes go through the keys in one order: each waits for whoever is before it
    # with a key, so that none waits for one who waits for it.
    order = sorted(range(len(starts)), key=lambda index: _key(starts[index]))
    ordered = [starts[index] for index in order]
    holds = [one.under for one in ordered]
    values = [*arguments_of(holds), *_rows(ordered), *_entries(ordered)]
    lanes = [one.new.lane for one in starts if one.new.lane is not None]
    # Statements of their own: the last sees what others did before these had the locks. The
    # holds first: an append has its execution's row when it asks for the lane.
    statements = [*locks_of(holds), *([(_LOCK, [lanes])] if lanes else [])]
    rows = await fetch_all(connection, [*statements, (_CREATE, values)])
    made = {
        index: _answer(starts[index], *row) for index, row in zip(order, rows, strict=True)
    }
    return [made[index] for index in range(len(starts))]


def _answer(start: Start, lane_state: int | None, is_lost: bool) -> int | HoldLost | None:
    if is_lost:
        assert start.under is not None
        return HoldLost(start.under.execution_id)
    return lane_state


def _key(start: Start) -> tuple[str, str, str]:
    return start.new.workflow, start.new.key or "", start.new.tenant


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
            start.new.lane,
            start.new.lane_max,
            start.new.tenant,
        )
        for start in starts
    ]
    return columns(rows, 20)


def _entries(starts: Sequence[Start]) -> list[list[Any]]:
    rows = [
        (start.new.execution_id, index, entry.body, entry.digest)
        for start in starts
        for index, entry in enumerate(start.entries)
    ]
    return columns(rows, 4)
