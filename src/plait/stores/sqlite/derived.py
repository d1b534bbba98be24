"""Comparing what the SQLite store derives with its rows, and making it anew."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from sqlite3 import Connection
from typing import Final

from plait.stores import derived
from plait.stores.derived import FOUND_MAX, Comparison, Found, is_of
from plait.stores.faults import StoreDamaged
from plait.stores.sqlite import lanes
from plait.stores.sqlite.database import connect
from plait.stores.sqlite.faults import fault

# Text that is no JSON would end the comparison; a row of no list of texts is damaged, and
# whoever reads it says so.
_TAGS: Final = (
    "json_each(iif(json_valid(e.tags) AND json_type(iif(json_valid(e.tags), e.tags, '[]'))"
    " = 'array', e.tags, '[]'))"
)
_IS_WHOLE: Final = (
    "json_valid(e.tags) AND json_type(iif(json_valid(e.tags), e.tags, '0')) = 'array'"
    f" AND NOT EXISTS (SELECT 1 FROM {_TAGS} j WHERE j.type <> 'text')"
)
_LACKS_TAG: Final = (
    f"SELECT e.number, e.id, NULL FROM executions e, {_TAGS} j WHERE {_IS_WHOLE} AND"
    " NOT EXISTS (SELECT 1 FROM tags t WHERE t.tag = j.value AND t.execution = e.number)"
)
_STRAY_TAG: Final = (
    "SELECT e.number, e.id, NULL FROM tags t JOIN executions e ON e.number = t.execution"
    f" WHERE {_IS_WHOLE} AND t.tag NOT IN (SELECT j.value FROM {_TAGS} j)"
)
_ADD_TAGS: Final = (
    "INSERT OR IGNORE INTO tags (tag, execution) SELECT j.value, e.number"
    f" FROM executions e, {_TAGS} j WHERE e.number = ?1 AND {_IS_WHOLE}"
)
_DROP_TAGS: Final = (
    "DELETE FROM tags WHERE execution = ?1 AND EXISTS (SELECT 1 FROM executions e"
    f" WHERE e.number = ?1 AND {_IS_WHOLE} AND tags.tag NOT IN"
    f" (SELECT j.value FROM {_TAGS} j))"
)
_COMPARISONS: Final = (
    derived.STATE,
    derived.WORKFLOW,
    Comparison(_LACKS_TAG, "it is not found by one of its tags", (_ADD_TAGS,)),
    Comparison(_STRAY_TAG, "it is found by a tag that it has not", (_DROP_TAGS,)),
    derived.STRANDED,
    derived.OVERFULL,
)


def tell(path: Path) -> list[Found]:
    """Return what differs, if the file can be read."""
    found: dict[tuple[str, int | None, str | None], Found] = {}
    try:
        with closing(connect(path)) as connection:
            for one in _COMPARISONS:
                for row in connection.execute(f"{one.query} LIMIT {FOUND_MAX}"):
                    found[one.reason, row[0], row[2]] = is_of(one, row)
    except (sqlite3.Error, UnicodeDecodeError) as error:
        told = fault(path, error)
        if isinstance(told, StoreDamaged):
            return []  # the check of the file says which pages
        raise told from error
    return list(found.values())


def mend(connection: Connection, found: Found) -> None:
    """Make anew what differs, if it differs still."""
    for statement in found.comparison.mends:
        connection.execute(statement.replace("$1", "?1"), (found.number,))
    if found.difference.lane is not None:
        lanes.let_in(connection, found.difference.lane)
