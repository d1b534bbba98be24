"""Rows to values and back: the one place that knows the columns' order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Protocol

import orjson

from plait.ports.journal import NewExecution, Standing, Summary
from plait.stores.damaged import tell_damaged
from plait.stores.faults import StoreDamaged
from plait.stores.postgres.server import DAMAGED
from plait.stores.records import is_text

COLUMNS: Final = (
    "e.id, e.workflow, e.plan_hash, e.created_at_ms, e.input, e.key, e.tags, s.priority,"
    " e.parent, s.lane, s.lane_max, e.tenant, s.status, s.at_ms, s.wake_at_ms,"
    " s.error_code, s.length, s.head, s.epoch, s.owner, s.lane_state, e.number"
)
# Of the columns, those of text: id to parent, lane, tenant, status, error code, owner.
_TEXTS: Final = (0, 1, 2, 4, 5, 6, 8, 9, 11, 12, 15, 19)
SELECT: Final = (
    f"SELECT {COLUMNS} FROM executions e JOIN standings s ON s.execution = e.number"
)


def is_kept_text(*texts: str) -> bool:
    """Say whether the server can have kept such texts: it refuses others as parameters."""
    return is_text(*texts) and not any("\0" in one for one in texts)


def summary_of(row: Sequence[Any]) -> Summary:
    """Return the summary in a row that begins with `COLUMNS`.

    Raises:
        StoreDamaged: Its texts or tags are not what was written; the server keeps the kinds
            of all other columns.
    """
    place = f"the row of execution {row[0]} in PostgreSQL"
    if any(isinstance(row[at], bytes) for at in _TEXTS):
        raise StoreDamaged(place, "it holds bytes that are no text")
    try:
        tags = orjson.loads(row[6])
    except ValueError:
        tags = None
    if not isinstance(tags, list) or not all(isinstance(tag, str) for tag in tags):
        raise StoreDamaged(place, "its tags are no list of texts")
    new: list[Any] = [*row[:6], tuple(tags), *row[7:12]]
    return Summary(NewExecution(*new), Standing(*row[12:16]), *row[16:22])


class Fetch(Protocol):
    """What runs a statement that reads."""

    async def __call__(self, statement: str, *values: object) -> Sequence[Any]:
        """Return the rows."""
        ...


async def readable(fetch: Fetch, statement: str, *values: object) -> tuple[list[Any], int]:
    """Return the rows of a statement that selects `COLUMNS`, and how many there are.

    One that cannot be read would fail the whole statement: then they are read one by one,
    and those that cannot be are left out.
    """
    try:
        rows = list(await fetch(statement, *values))
        return rows, len(rows)
    except DAMAGED:
        numbers = await fetch(statement.replace(COLUMNS, "e.number", 1), *values)
        return await one_by_one(fetch, [row[0] for row in numbers]), len(numbers)


async def one_by_one(fetch: Fetch, numbers: Sequence[int]) -> list[Any]:
    """Return the rows of executions, without those that cannot be read: these are told."""
    rows: list[Any] = []
    for number in numbers:
        try:
            rows += await fetch(f"{SELECT} WHERE e.number = $1", number)
        except DAMAGED as error:
            tell_damaged(f"number {number}", str(error))
    return rows
