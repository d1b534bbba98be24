"""What is due and held by nobody, in the order in which it is claimed.

However many are due, and however many wait, no more rows are read than are claimed, and one
for each priority of each workflow that has something open.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from itertools import chain, islice, takewhile
from sqlite3 import Connection
from typing import Any, Final

from plait.stores.turns import in_turn

# Named, because the planner would look through all that run.
_FREE: Final = "standings INDEXED BY standings_free"
_IS_FREE: Final = (
    "status = 'running' AND owner IS NULL AND lane_state < 2 AND wake_at_ms IS NOT NULL"
)
# The first of the next workflow, and of the next priority. As one comparison of rows SQLite
# would go through all of a workflow: 25 ms for 50,000.
NEXT_WORKFLOW: Final = (
    f"SELECT priority, workflow, wake_at_ms FROM {_FREE} WHERE {_IS_FREE}"
    " AND priority = ? AND workflow > ? ORDER BY workflow, wake_at_ms LIMIT 1"
)
NEXT_PRIORITY: Final = (
    f"SELECT priority, workflow, wake_at_ms FROM {_FREE} WHERE {_IS_FREE}"
    " AND priority > ? ORDER BY priority, workflow, wake_at_ms LIMIT 1"
)
DUE: Final = (
    f"SELECT execution FROM {_FREE} WHERE {_IS_FREE}"
    " AND priority = ? AND workflow = ? AND wake_at_ms <= ? ORDER BY wake_at_ms, execution"
)
# Read apart: a search for both with OR would look at every execution that waits, and there
# may be 100,000 of them.
TOLD: Final = (
    "SELECT DISTINCT s.priority, s.workflow, s.execution FROM messages m"
    " CROSS JOIN standings s ON s.execution = m.execution WHERE m.is_heard = 0"
    " AND s.status = 'running' AND s.owner IS NULL AND s.lane_state < 2"
    " AND (s.wake_at_ms IS NULL OR s.wake_at_ms > ?) ORDER BY s.execution"
)
NEXT_WAKES: Final = (
    "SELECT wake_at_ms, execution FROM standings INDEXED BY standings_open"
    " WHERE status = 'running' AND owner IS NULL AND lane_state < 2"
    " AND wake_at_ms IS NOT NULL ORDER BY wake_at_ms"
)
_ROWS: Final = (
    "SELECT execution FROM standings NOT INDEXED WHERE status = 'running'"
    " AND owner IS NULL AND lane_state < 2 AND wake_at_ms <= ?"
)
WITH_MESSAGES: Final = "SELECT DISTINCT execution FROM messages WHERE is_heard = 0"
_PRIORITY_MIN: Final = -(2**63)


def due(
    connection: Connection,
    now_ms: int,
    limit: int,
    after: str,
    left_out: Collection[int] = (),
) -> list[tuple[str, int]]:
    """Return what is due, each with its workflow, as `plait.stores.turns` has it.

    Args:
        left_out: Executions that cannot be read.
    """
    groups: dict[int, dict[str, Iterable[int]]] = defaultdict(dict)
    for priority, workflow, wake_at_ms in _groups(connection):
        if wake_at_ms <= now_ms:
            rows = connection.execute(DUE, (priority, workflow, now_ms))
            groups[priority][workflow] = (row[0] for row in rows if row[0] not in left_out)
    told = TOLD.replace("?", f"? AND m.execution NOT IN ({_listed(left_out)})")
    for priority, workflow, number in connection.execute(told, (now_ms,)).fetchall():
        timed = groups[priority].get(workflow, ())
        groups[priority][workflow] = chain(timed, (number,))
    return list(islice(in_turn(groups, after), limit))


def next_wake(connection: Connection, left_out: Collection[int] = ()) -> int | None:
    """Return when the next one that nobody holds is due; None: none is."""
    for wake_at_ms, number in connection.execute(NEXT_WAKES):
        if number not in left_out:
            return int(wake_at_ms)
    return None


def due_by_index(
    connection: Connection, now_ms: int, limit: int, left_out: Collection[int]
) -> list[int]:
    """Return what may be due; of standings only an index is read."""
    soonest = connection.execute(NEXT_WAKES)
    timed = takewhile(lambda row: bool(row[0] <= now_ms), soonest)
    told = connection.execute(WITH_MESSAGES)
    numbers = chain((row[1] for row in timed), (row[0] for row in told))
    found: dict[int, None] = {}  # one may be both
    for number in numbers:
        if len(found) == limit:
            break
        if number not in left_out:
            found[number] = None
    return list(found)


def due_by_rows(
    connection: Connection, now_ms: int, limit: int, left_out: Collection[int]
) -> list[int]:
    """Return what is due by its time; no index is read."""
    rows = connection.execute(_ROWS, (now_ms,))
    return list(islice((row[0] for row in rows if row[0] not in left_out), limit))


def _listed(numbers: Collection[int]) -> str:
    return ", ".join(map(str, numbers))


def _groups(connection: Connection) -> Iterator[tuple[Any, ...]]:
    row = (_PRIORITY_MIN, "", 0)
    while True:
        priority, workflow, _ = row
        found = connection.execute(NEXT_WORKFLOW, (priority, workflow)).fetchone()
        found = found or connection.execute(NEXT_PRIORITY, (priority,)).fetchone()
        if found is None:
            return
        yield found
        row = found
