"""Rows to values and back: the one place that knows the columns' order."""

from __future__ import annotations

from types import NoneType
from typing import Any, Final

import orjson

from plait.ports.journal import NewExecution, Search, Standing, Summary
from plait.stores.sqlite.faults import NotAsWritten

_COLUMNS: Final = (
    "e.id, e.workflow, e.plan_hash, e.created_at_ms, e.input, e.key, e.tags, s.priority,"
    " e.parent, s.lane, s.lane_max, s.status, s.at_ms, s.wake_at_ms, s.error_code,"
    " s.length, s.head, s.epoch, s.owner, s.lane_state"
)
SELECT: Final = (
    f"SELECT {_COLUMNS} FROM executions e JOIN standings s ON s.execution = e.number"
)
# Begins with the standings, whose index has the order of creation within one status, and
# within one error: where few have it, the latest of all would be looked through for them.
_BY_STANDING: Final = (
    f"SELECT {_COLUMNS} FROM standings s CROSS JOIN executions e ON s.execution = e.number"
)


_TEXT, _NUMBER = (str,), (int,)
_TEXT_OR_NONE, _NUMBER_OR_NONE = (str, NoneType), (int, NoneType)
# In the order of the columns.
_KINDS: Final[tuple[tuple[type, ...], ...]] = (
    *(_TEXT, _TEXT, _TEXT, _NUMBER, _TEXT, _TEXT_OR_NONE, _TEXT, _NUMBER, _TEXT_OR_NONE),
    *(_TEXT_OR_NONE, _NUMBER),
    *(_TEXT, _NUMBER, _NUMBER_OR_NONE, _TEXT_OR_NONE, _NUMBER, (bytes,), _NUMBER),
    *(_TEXT_OR_NONE, _NUMBER),
)


def summary_of(row: tuple[Any, ...]) -> Summary:
    """Return the summary in a row that `SELECT` yielded.

    Raises:
        NotAsWritten: A damaged page gives its columns values of other kinds.
    """
    if not all(map(isinstance, row, _KINDS)):
        raise NotAsWritten("a row holds values of other kinds than were written")
    new: list[Any] = [*row[:6], tuple(orjson.loads(row[6])), *row[7:11]]
    return Summary(NewExecution(*new), Standing(*row[11:15]), *row[15:])


def search_sql(search: Search) -> tuple[str, list[Any]]:
    """Return the statement for `search`, and its parameters."""
    is_by_id = bool(search.execution_ids) or search.parent is not None
    is_one_standing = search.error_code is not None or len(search.statuses) == 1
    is_one_standing = is_one_standing or search.lane is not None
    is_by_standing = is_one_standing and not is_by_id
    number = "s.execution" if is_by_standing else "e.number"
    wanted = {
        "e.workflow = ?": search.workflow,
        "s.error_code = ?": search.error_code,
        "s.lane = ?": search.lane,
        "e.created_at_ms >= ?": search.since_ms,
        "e.created_at_ms < ?": search.until_ms,
        "e.parent = ?": search.parent,
        "instr(e.input, ?) > 0": search.text,
        "EXISTS (SELECT 1 FROM json_each(e.tags) WHERE value = ?)": search.tag,
        f"{number} < (SELECT number FROM executions WHERE id = ?)": search.before,
    }
    conditions = [text for text, value in wanted.items() if value is not None]
    values: list[Any] = [value for value in wanted.values() if value is not None]
    for column, allowed in (("e.id", search.execution_ids), ("s.status", search.statuses)):
        if allowed:
            conditions.append(f"{column} IN ({', '.join('?' * len(allowed))})")
            values += allowed
    where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
    select = _BY_STANDING if is_by_standing else SELECT
    return f"{select}{where} ORDER BY {number} DESC LIMIT ?", [*values, search.limit]
