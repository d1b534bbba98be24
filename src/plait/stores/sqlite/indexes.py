"""Rebuilding indexes that are not what their tables say.

Rule. A table is never changed, and an index that names rows which its table has lost is
      left as it is: nothing else may tell of them. So is all of a file that has other
      damage, and an index of which a page cannot be read.
"""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing, suppress
from pathlib import Path
from sqlite3 import Connection
from typing import Final

from plait.ports.derived import Difference
from plait.stores.sqlite.database import connect
from plait.stores.sqlite.faults import fault

_PROBLEMS_MAX: Final = 100
# "row 7 missing from index x", "wrong # of entries in index x", "non-unique entry in …"
_OF_INDEX: Final = re.compile(r"\b(?:missing from|entries in|entry in) index (\w+)$")
# Pages that an index has lost are nobody's; how that is said depends on the version.
_UNUSED: Final = re.compile(r"\*\*\* in database main \*\*\*|Page \d+( is|:) never used")


def problems(connection: Connection) -> list[str]:
    """Return what is wrong with tables, indexes and pages, up to a hundred lines."""
    # The quick check does not compare tables with their indexes: a page of zeros in the
    # place of an index would hide every execution from it.
    rows = connection.execute(f"PRAGMA integrity_check({_PROBLEMS_MAX})").fetchall()
    return [row[0] for row in rows if row[0] != "ok"]


def index_of(problem: str) -> str | None:
    """Return the index that a problem is about; None: it is not about an index alone."""
    found = _OF_INDEX.search(problem)
    return found[1] if found else None


def rebuild(path: Path) -> list[Difference]:
    """Rebuild the indexes that differ from their tables; return which those were.

    Each is one transaction, for which those who write wait: 1 s per million rows.

    Raises:
        StoreUnavailable: What was not rebuilt by then is as it was.
    """
    rebuilt: list[Difference] = []
    try:
        with closing(connect(path)) as connection:
            tried: set[str] = set()
            # There may be more than the hundred problems of one look tell of.
            while todo := _wrong_indexes(connection) - tried:
                rebuilt += [
                    _told(name) for name in sorted(todo) if _remake(connection, name)
                ]
                tried |= todo
    except (sqlite3.Error, UnicodeDecodeError) as error:
        raise fault(path, error) from error
    return rebuilt


def _told(name: str) -> Difference:
    return Difference(None, None, f"the index {name} was not what its table says", True)


def _wrong_indexes(connection: Connection) -> set[str]:
    """Return the indexes that differ, if there is no other damage."""
    try:
        lines = "\n".join(problems(connection)).splitlines()
    except sqlite3.DatabaseError:
        return set()  # a page that cannot be read: the check of the file says so
    names = {line: index_of(line) for line in lines if not _UNUSED.match(line)}
    wrong = {name for name in names.values() if name is not None}
    return wrong if None not in names.values() else set()


def _remake(connection: Connection, name: str) -> bool:
    """Rebuild an index from its table, if that loses nothing; return whether."""
    connection.execute("BEGIN IMMEDIATE")
    is_done = False
    # Two rows of one key, say, or a page of the table: the check of the file says so.
    with suppress(sqlite3.IntegrityError, sqlite3.DatabaseError):
        query = "SELECT tbl_name FROM sqlite_schema WHERE type = 'index' AND name = ?"
        (table,) = connection.execute(query, (name,)).fetchone()
        if not _knows_more(connection, table):
            connection.execute(f'REINDEX "{name}"')
            is_done = True
    connection.execute("COMMIT" if is_done else "ROLLBACK")
    return is_done


def _knows_more(connection: Connection, table: str) -> bool:
    """Return whether an index of all rows names one that the table has not.

    Of the tables without row numbers none has such an index: what entries are lost their
    chain tells.
    """
    query = "SELECT wr FROM pragma_table_list WHERE schema = 'main' AND name = ?"
    if connection.execute(query, (table,)).fetchone()[0]:
        return False
    query = "SELECT name FROM pragma_index_list(?) WHERE NOT partial"
    return any(
        connection.execute(
            f"SELECT 1 FROM {table} i INDEXED BY {index} WHERE NOT EXISTS"
            f" (SELECT 1 FROM {table} t NOT INDEXED WHERE t.rowid = i.rowid) LIMIT 1"
        ).fetchone()
        for (index,) in connection.execute(query, (table,)).fetchall()
    )
