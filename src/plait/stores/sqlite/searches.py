"""Searching: the latest of what is asked for, in pieces (plait.stores.pieces).

Between two pieces readers have their turn, and the log may begin anew.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial
from operator import itemgetter
from sqlite3 import Connection
from typing import Any, Final, Protocol, TypeVar

from plait.ports.journal import Search, Summary
from plait.stores.damaged import filled, whole_of
from plait.stores.pieces import (
    HAS_OTHERS,
    Span,
    begins_with_standings,
    counted,
    in_pieces,
    is_answered_by_index,
    is_answered_without_others,
    tables_of,
)
from plait.stores.sqlite.rows import COLUMNS, SELECT, rows_of, summary_of

T = TypeVar("T")

# The index of the standings has the order of creation within one status, and one error.
_BY_STANDING: Final = (
    f"SELECT {COLUMNS} FROM standings s CROSS JOIN executions e ON s.execution = e.number"
)
_BY_TAG: Final = (
    f"SELECT {COLUMNS} FROM tags t CROSS JOIN executions e ON t.execution = e.number"
    " CROSS JOIN standings s ON s.execution = e.number"
)


class Run(Protocol):
    """Runs a query as of one moment."""

    def __call__(self, query: Callable[[Connection], T]) -> Awaitable[T]:
        """Return what the query returns."""
        ...


async def find(run: Run, search: Search) -> list[Summary]:
    """See plait.ports.journal.Journal.find."""

    async def piece(span: Span | None, limit: int) -> list[Summary]:
        async def fetch(count: int) -> tuple[list[Summary], int]:
            return await run(partial(_found, statement=search_sql(search, span, count)))

        return await filled(limit, fetch)

    if await _is_answered(run, search):
        return await piece(None, search.limit)
    below = await run(_end) if search.before is None else search.before
    return await in_pieces(search, below, piece)


async def count(run: Run, search: Search, count_max: int) -> int | None:
    """See plait.ports.counts.Counts.count."""
    search = replace(search, before=None)

    async def piece(span: Span | None, limit: int) -> int:
        return await run(partial(_counted, statement=count_sql(search, span, limit)))

    below = None if await _is_answered(run, search) else await run(_end)
    return await counted(count_max, below, piece)


async def _is_answered(run: Run, search: Search) -> bool:
    if is_answered_without_others(search):
        return not await run(_has_others)
    return is_answered_by_index(search)


def count_sql(search: Search, span: Span | None, limit: int) -> tuple[str, list[Any]]:
    """Return the statement that counts what `search` asks for, up to so many."""
    where, _ = _conditions(search, None, "")
    join = "JOIN" if _beginning(search)[0] == SELECT else "CROSS JOIN"
    tables, number = tables_of(search, where, join)
    where, values = _conditions(search, span, number)
    rows = f"SELECT 1 FROM {tables}{where} LIMIT ?"
    return f"SELECT count(*) FROM ({rows})", [*values, limit]


def search_sql(
    search: Search, span: Span | None = None, limit: int | None = None
) -> tuple[str, list[Any]]:
    """Return the statement for `search`, and its parameters.

    Args:
        span: Of the executions with these numbers only: first and last.
        limit: None: that of the search.
    """
    select, number = _beginning(search)
    where, values = _conditions(search, span, number)
    values.append(search.limit if limit is None else limit)
    # For a key's few, the planner would look through the latest of their workflow.
    order = number if search.key is None else f"+{number}"
    return f"{select}{where} ORDER BY {order} DESC LIMIT ?", values


def _conditions(search: Search, span: Span | None, number: str) -> tuple[str, list[Any]]:
    """Return what holds of all rows, and the parameters of that.

    Args:
        number: The column of the execution's number.
    """
    wanted = {
        "t.tag = ?": search.tag,
        "e.workflow = ?": search.workflow,
        "s.error_code = ?": search.error_code,
        "s.lane = ?": search.lane,
        "e.created_at_ms >= ?": search.since_ms,
        "e.created_at_ms < ?": search.until_ms,
        "e.parent = ?": search.parent,
        "e.tenant = ?": search.tenant,
        "e.key = ?": search.key,
        "instr(e.input, ?) > 0": search.text,
        f"{number} < ?": search.before,
    }
    conditions = [text for text, value in wanted.items() if value is not None]
    values: list[Any] = [value for value in wanted.values() if value is not None]
    if span is not None:
        conditions.append(f"{number} BETWEEN ? AND ?")
        values += span
    for column, allowed in (("e.id", search.execution_ids), ("s.status", search.statuses)):
        if allowed:
            conditions.append(f"{column} IN ({', '.join('?' * len(allowed))})")
            values += allowed
    return f" WHERE {' AND '.join(conditions)}" if conditions else "", values


def _beginning(search: Search) -> tuple[str, str]:
    """Return where the statement begins, and the column of the number there."""
    if search.tag is not None:
        return _BY_TAG, "t.execution"
    if begins_with_standings(search):
        return _BY_STANDING, "s.execution"
    return SELECT, "e.number"


def _found(
    connection: Connection, statement: tuple[str, list[Any]]
) -> tuple[list[Summary], int]:
    """Return what is whole, and how many rows were looked at."""
    rows = rows_of(connection, *statement)
    return whole_of(rows, summary_of, itemgetter(0)), len(rows)


def _counted(connection: Connection, statement: tuple[str, list[Any]]) -> int:
    return int(connection.execute(*statement).fetchone()[0])


def _has_others(connection: Connection) -> bool:
    return bool(connection.execute(HAS_OTHERS).fetchone()[0])


def _end(connection: Connection) -> int:
    """Return the number below which all executions are."""
    row = connection.execute(
        "SELECT coalesce(max(number), 0) + 1 FROM executions"
    ).fetchone()
    return int(row[0])
