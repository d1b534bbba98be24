"""Searching: the latest of what is asked for, in pieces (plait.stores.pieces).

Between two pieces readers have their turn, and the log may begin anew.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from operator import itemgetter
from sqlite3 import Connection
from typing import Any, Final, Protocol, TypeVar

from plait.ports.journal import Search, Summary
from plait.stores.damaged import filled, whole_of
from plait.stores.pieces import Span, begins_with_standings, in_pieces, is_answered_by_index
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

    if is_answered_by_index(search):
        return await piece(None, search.limit)
    below = await run(_end) if search.before is None else search.before
    return await in_pieces(search, below, piece)


def search_sql(
    search: Search, span: Span | None = None, limit: int | None = None
) -> tuple[str, list[Any]]:
    """Return the statement for `search`, and its parameters.

    Args:
        span: Of the executions with these numbers only: first and last.
        limit: None: that of the search.
    """
    select, number = _beginning(search)
    wanted = {
        "t.tag = ?": search.tag,
        "e.workflow = ?": search.workflow,
        "s.error_code = ?": search.error_code,
        "s.lane = ?": search.lane,
        "e.created_at_ms >= ?": search.since_ms,
        "e.created_at_ms < ?": search.until_ms,
        "e.parent = ?": search.parent,
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
    where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
    values.append(search.limit if limit is None else limit)
    return f"{select}{where} ORDER BY {number} DESC LIMIT ?", values


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


def _end(connection: Connection) -> int:
    """Return the number below which all executions are."""
    row = connection.execute(
        "SELECT coalesce(max(number), 0) + 1 FROM executions"
    ).fetchone()
    return int(row[0])
