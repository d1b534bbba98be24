"""What upkeep does to the database. Removing is cut into pieces that take milliseconds.

An execution is gone with its row. Its entries are left over, may be many, and are deleted
some at a time; after a crash the next upkeep goes on with them.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from itertools import accumulate, islice
from operator import itemgetter
from pathlib import Path
from sqlite3 import Connection
from typing import Any, Final

from plait.ports.journal import Summary
from plait.stores.damaged import whole_of
from plait.stores.parents import DEPTH_MAX
from plait.stores.sqlite import indexes
from plait.stores.sqlite.database import connect
from plait.stores.sqlite.faults import fault
from plait.stores.sqlite.records import damaged_records
from plait.stores.sqlite.rows import SELECT, rows_of, summary_of

_CHECKS: Final = {
    "SELECT id FROM executions WHERE number NOT IN (SELECT execution FROM standings)": (
        "it stands nowhere"
    ),
    "SELECT execution FROM standings"
    " WHERE execution NOT IN (SELECT number FROM executions)": "a row of no execution",
    "SELECT execution || ' ' || tag FROM tags"
    " WHERE execution NOT IN (SELECT number FROM executions)": "a tag of no execution",
}

REMOVED_MAX: Final = 20
# Of an execution `e`: how those stand that it belongs to.
_PARENTS: Final = (
    "WITH RECURSIVE up (id, depth) AS (SELECT e.parent, 1 UNION ALL"
    " SELECT p.parent, depth + 1 FROM up JOIN executions p ON p.id = up.id"
    f" WHERE depth < {DEPTH_MAX})"
    " SELECT 1 FROM up JOIN executions p ON p.id = up.id"
    " JOIN standings t ON t.execution = p.number"
)
_ENTRIES_MAX: Final = 200
_ENTRY_BYTES_MAX: Final = 500_000
_PAGES_MAX: Final = 100
_PROBLEMS_MAX: Final = 100


def ids(connection: Connection) -> list[str]:
    """See plait.ports.upkeep.Upkeep.ids."""
    # The index alone: a damaged row hides no id.
    rows = connection.execute("SELECT id FROM executions ORDER BY id")
    return [row[0] for row in rows]


def check(path: Path) -> list[str]:
    """See plait.ports.upkeep.Upkeep.check."""
    connection = connect(path)
    try:
        problems = [_with_remedy(one) for one in indexes.problems(connection)]
        if not problems:
            damaged = islice(damaged_records(connection), _PROBLEMS_MAX)
            problems = [*_disagreements(connection), *damaged]
        return problems
    except sqlite3.Error as error:
        return [str(fault(path, error))]
    finally:
        connection.close()


def _with_remedy(problem: str) -> str:
    is_index = indexes.index_of(problem) is not None
    return (
        f"{problem}; `plait journal verify --repair` rebuilds it" if is_index else problem
    )


def _disagreements(connection: Connection) -> list[str]:
    """Return what tables say about each other and is not so."""
    found = []
    for query, text in _CHECKS.items():
        rows = connection.execute(f"{query} LIMIT ?", (_PROBLEMS_MAX,))
        found += [f"{row[0]}: {text}" for row in rows]
    return found


def charge(connection: Connection, worker_id: str, now_ms: int, until_ms: int) -> bool:
    """See plait.ports.upkeep.Upkeep.charge."""
    changed = connection.execute(
        "INSERT INTO charge (number, worker, until_ms) VALUES (1, ?, ?)"
        " ON CONFLICT (number) DO UPDATE"
        " SET worker = excluded.worker, until_ms = excluded.until_ms"
        " WHERE worker = excluded.worker OR until_ms <= ?",
        (worker_id, until_ms, now_ms),
    )
    return changed.rowcount > 0


def ended(
    connection: Connection,
    before_ms: int,
    statuses: Sequence[str],
    limit: int,
    after: Summary | None,
) -> tuple[list[Summary], int]:
    """Return what may go and is whole, and how many rows were looked at."""
    from_ms, from_id = 0, ""
    if after is not None:
        from_ms, from_id = after.standing.at_ms, after.new.execution_id
    may_go = f"status IN ({', '.join('?' * len(statuses))}) AND owner IS NULL AND at_ms < ?"
    wanted = (*statuses, before_ms)
    statement = (
        f"{SELECT} WHERE s.status <> 'running' AND {may_go} AND s.at_ms >= ?"
        f" AND (s.at_ms, e.id) > (?, ?) AND NOT EXISTS ({_PARENTS} WHERE NOT"
        f" (status <> 'running' AND {may_go})) ORDER BY s.at_ms, e.id LIMIT ?"
    )
    values = (*wanted, from_ms, from_ms, from_id, *wanted, limit)
    rows = rows_of(connection, statement, values)
    return whole_of(rows, summary_of, itemgetter(0)), len(rows)


def remove(connection: Connection, ended: Sequence[Summary]) -> list[str]:
    """See plait.ports.upkeep.Upkeep.remove."""
    removed = []
    for summary in ended:
        execution_id = summary.new.execution_id
        row = connection.execute(
            "SELECT e.number FROM executions e JOIN standings s ON s.execution = e.number"
            " WHERE e.id = ? AND s.status <> 'running' AND s.owner IS NULL"
            " AND s.length = ?"
            f" AND NOT EXISTS ({_PARENTS}"
            " WHERE t.status = 'running' OR t.owner IS NOT NULL)",
            (execution_id, summary.length),
        ).fetchone()
        if row is not None:
            _remove(connection, row)
            removed.append(execution_id)
    return removed


def _remove(connection: Connection, number: tuple[Any, ...]) -> None:
    connection.execute(
        "DELETE FROM tags WHERE execution = ?1 AND tag IN"
        " (SELECT value FROM json_each((SELECT tags FROM executions WHERE number = ?1)))",
        number,
    )
    connection.execute("DELETE FROM messages WHERE execution = ?", number)
    connection.execute("DELETE FROM standings WHERE execution = ?", number)
    connection.execute("DELETE FROM executions WHERE number = ?", number)
    connection.execute("INSERT INTO leftovers (execution) VALUES (?)", number)


def clear_leftovers(connection: Connection) -> bool:
    """Delete some entries of what is gone; return whether there may be more."""
    rows = connection.execute(
        "SELECT n.execution, n.number, length(n.body) FROM leftovers l"
        " CROSS JOIN entries n ON n.execution = l.execution"
        " ORDER BY n.execution, n.number LIMIT ?",
        (_ENTRIES_MAX,),
    ).fetchall()
    if not rows:
        connection.execute("DELETE FROM leftovers")
        return False
    byte_counts = accumulate(length for _, _, length in rows)
    count = max(sum(total <= _ENTRY_BYTES_MAX for total in byte_counts), 1)
    connection.executemany(
        "DELETE FROM entries WHERE execution = ? AND number = ?",
        [row[:2] for row in rows[:count]],
    )
    # All before the last one that was touched have no entries any more.
    connection.execute("DELETE FROM leftovers WHERE execution < ?", (rows[count - 1][0],))
    return True


def free_pages(connection: Connection) -> int:
    """Give some unused pages back to the file system; return how many bytes."""
    before: int = connection.execute("PRAGMA page_count").fetchone()[0]
    connection.execute(f"PRAGMA incremental_vacuum({_PAGES_MAX})").fetchall()
    after: int = connection.execute("PRAGMA page_count").fetchone()[0]
    page_bytes: int = connection.execute("PRAGMA page_size").fetchone()[0]
    return (before - after) * page_bytes
