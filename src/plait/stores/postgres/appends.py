"""Many appends in one statement, and so in one transaction with one wait for the disk.

Rule. A statement refuses an append without a trace, and does the others.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, TypeAlias

from plait.ports.journal import Append, HoldLost, LostRace, UnknownExecution
from plait.stores.postgres.holds import LOST, arguments_of, locks_of
from plait.stores.postgres.server import fetch_all

# Whatever runs again queues behind the others; a trigger lets in (migrations/0002).
# `reopened` sees rows as they were before; what came after its end nobody shall hear.
# `heard` and `cleared` never touch the same row, which one statement must not do twice.
# Each table is asked for rows of given numbers, not joined: a plan that was made when the
# tables were small could read all of one, and would be kept as they grow.
_APPEND: Final = f"""
WITH {LOST}, wanted AS (
    SELECT w.*, (SELECT e.number FROM executions e WHERE e.id = w.id) AS number FROM unnest(
        $4::text[], $5::bigint[], $6::bigint[], $7::text[], $8::bigint[], $9::bigint[],
        $10::text[], $11::bigint[], $12::bytea[], $13::boolean[], $14::boolean[],
        $21::boolean[]
    ) WITH ORDINALITY AS w (
        id, expected, epoch, status, at_ms, wake_at_ms, error_code, added, head,
        is_released, is_begun, begins_history, place
    )
), done AS (
    UPDATE standings s SET status = w.status, at_ms = w.at_ms, wake_at_ms = w.wake_at_ms,
        error_code = w.error_code, length = s.length + w.added,
        head = coalesce(w.head, s.head),
        owner = CASE WHEN w.is_released THEN NULL ELSE s.owner END,
        lane_state = CASE WHEN w.is_begun OR w.status <> 'running' THEN 0
            WHEN s.status <> 'running' AND s.lane IS NOT NULL THEN 2
            ELSE s.lane_state END
    FROM wanted w
    WHERE s.execution = ANY (ARRAY(SELECT number FROM wanted)) AND s.execution = w.number
        AND s.length = w.expected AND s.epoch = w.epoch AND s.owner IS NOT NULL
        AND w.place NOT IN (SELECT place FROM lost)
    RETURNING w.place, w.number, w.status, w.begins_history
), dropped AS (
    DELETE FROM entries n
    WHERE n.execution = ANY (ARRAY(SELECT number FROM done WHERE begins_history))
), added AS (
    INSERT INTO entries (execution, number, body, digest)
    SELECT d.number, n.number, n.body, n.digest
    FROM unnest($15::bigint[], $16::bigint[], $17::bytea[], $18::bytea[])
        AS n (place, number, body, digest)
    JOIN done d ON d.place = n.place
), told AS (
    SELECT d.number, d.status, h.id, h.is_aside
    FROM unnest($19::bigint[], $20::text[], $22::boolean[]) AS h (place, id, is_aside)
    JOIN done d ON d.place = h.place
), heard AS (
    UPDATE messages m SET is_heard = true, is_aside = t.is_aside,
        body = CASE WHEN t.is_aside THEN m.body ELSE '' END
    FROM told t WHERE (t.status = 'running' OR t.is_aside)
        AND m.execution = ANY (ARRAY(SELECT number FROM done))
        AND m.execution = t.number AND m.id = t.id
), reopened AS (
    SELECT b.execution FROM standings b
    WHERE b.execution = ANY (ARRAY(SELECT number FROM done)) AND b.status <> 'running'
), cleared AS (
    DELETE FROM messages m
    WHERE m.execution = ANY (ARRAY(SELECT number FROM done WHERE status <> 'running'
            UNION ALL SELECT execution FROM reopened))
        AND NOT m.is_aside AND NOT EXISTS (
            SELECT FROM told t WHERE (t.status = 'running' OR t.is_aside)
                AND t.number = m.execution AND t.id = m.id
        )
)
SELECT w.number IS NOT NULL AS is_known, d.place IS NOT NULL AS is_done,
    EXISTS (SELECT FROM lost l WHERE l.place = w.place) AS is_hold_lost
FROM wanted w LEFT JOIN done d ON d.place = w.place ORDER BY w.place
"""


Refusal: TypeAlias = HoldLost | LostRace | UnknownExecution


async def append_all(connection: Any, appends: Sequence[Append]) -> list[Refusal | None]:
    """Do the appends, each to another execution; return what each is refused with."""
    places, heard, are_aside = _heard(appends)
    holds = [one.under for one in appends]
    values = [*arguments_of(holds), *_standings(appends), *_entries(appends)]
    values += [places, heard, [one.begins_history for one in appends], are_aside]
    rows = await fetch_all(connection, [*locks_of(holds), (_APPEND, values)])
    return [_answer(one, *row) for one, row in zip(appends, rows, strict=True)]


def _standings(appends: Sequence[Append]) -> list[list[Any]]:
    rows = [
        (
            one.execution_id,
            one.expected_length,
            one.epoch,
            one.standing.status,
            one.standing.at_ms,
            one.standing.wake_at_ms,
            one.standing.error_code,
            len(one.entries),
            one.entries[-1].digest if one.entries else None,
            one.is_released,
            one.is_begun,
        )
        for one in appends
    ]
    return columns(rows, 11)


def _entries(appends: Sequence[Append]) -> list[list[Any]]:
    rows = [
        (place, one.expected_length + index, entry.body, entry.digest)
        for place, one in enumerate(appends, start=1)
        for index, entry in enumerate(one.entries)
    ]
    return columns(rows, 4)


def _heard(appends: Sequence[Append]) -> list[list[Any]]:
    rows = [
        (place, id_, is_aside)
        for place, one in enumerate(appends, start=1)
        for ids, is_aside in ((one.heard, False), (one.put_aside, True))
        for id_ in ids
    ]
    return columns(rows, 3)


def _answer(
    append: Append, is_known: bool, is_done: bool, is_hold_lost: bool
) -> Refusal | None:
    if is_done:
        return None
    if is_hold_lost:
        assert append.under is not None
        return HoldLost(append.under.execution_id)
    error = LostRace if is_known else UnknownExecution
    return error(append.execution_id)


def columns(rows: Sequence[tuple[Any, ...]], count: int) -> list[list[Any]]:
    """Return rows as columns, as `unnest` takes them.

    >>> columns([(1, "a"), (2, "b")], 2), columns([], 2)
    ([[1, 2], ['a', 'b']], [[], []])
    """
    return [[row[column] for row in rows] for column in range(count)]
