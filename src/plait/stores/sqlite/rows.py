"""Rows to values and back: the one place that knows the columns' order."""

from __future__ import annotations

from collections.abc import Sequence
from sqlite3 import Connection, OperationalError
from types import NoneType
from typing import Any, Final

import orjson

from plait.ports.journal import NewExecution, Standing, Summary
from plait.stores.sqlite.faults import NotAsWritten

COLUMNS: Final = (
    "e.id, e.workflow, e.plan_hash, e.created_at_ms, e.input, e.key, e.tags, s.priority,"
    " e.parent, s.lane, s.lane_max, e.tenant, s.status, s.at_ms, s.wake_at_ms,"
    " s.error_code, s.length, s.head, s.epoch, s.owner, s.lane_state, e.number"
)
SELECT: Final = (
    f"SELECT {COLUMNS} FROM executions e JOIN standings s ON s.execution = e.number"
)
_TEXT, _NUMBER = (str,), (int,)
_TEXT_OR_NONE, _NUMBER_OR_NONE = (str, NoneType), (int, NoneType)
# In the order of the columns.
_KINDS: Final[tuple[tuple[type, ...], ...]] = (
    *(_TEXT, _TEXT, _TEXT, _NUMBER, _TEXT, _TEXT_OR_NONE, _TEXT, _NUMBER, _TEXT_OR_NONE),
    *(_TEXT_OR_NONE, _NUMBER, _TEXT),
    *(_TEXT, _NUMBER, _NUMBER_OR_NONE, _TEXT_OR_NONE, _NUMBER, (bytes,), _NUMBER),
    *(_TEXT_OR_NONE, _NUMBER, _NUMBER),
)


def rows_of(
    connection: Connection, statement: str, values: Sequence[object]
) -> list[tuple[Any, ...]]:
    """Return the rows of a statement; text that is damaged is bytes there."""
    try:
        return connection.execute(statement, values).fetchall()
    except OperationalError as error:
        if not str(error).startswith("Could not decode"):
            raise
    connection.text_factory = _text_or_bytes
    try:
        return connection.execute(statement, values).fetchall()
    finally:
        connection.text_factory = str


def _text_or_bytes(data: bytes) -> str | bytes:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data


def summary_of(row: tuple[Any, ...]) -> Summary:
    """Return the summary in a row that `SELECT` yielded.

    Raises:
        NotAsWritten: A damaged page gives its columns values of other kinds.
    """
    if not all(map(isinstance, row, _KINDS)):
        raise NotAsWritten("a row holds values of other kinds than were written")
    tags = orjson.loads(row[6])
    if not isinstance(tags, list) or not all(isinstance(tag, str) for tag in tags):
        raise NotAsWritten("its tags are no list of texts")
    new: list[Any] = [*row[:6], tuple(tags), *row[7:12]]
    return Summary(NewExecution(*new), Standing(*row[12:16]), *row[16:])
