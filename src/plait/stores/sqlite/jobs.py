"""What the writer does to the database: one function per job, each inside a transaction.

Rule. A job refuses before its first write, or does all of them.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from operator import itemgetter
from sqlite3 import Connection, Cursor
from typing import Final

import orjson

from plait.ports.journal import (
    IN_LANE,
    QUEUED,
    RUNNING,
    Append,
    Created,
    Hold,
    HoldLost,
    LostRace,
    Message,
    NewExecution,
    Standing,
    Summary,
    UnknownExecution,
)
from plait.ports.leases import Claimed
from plait.stores.damaged import tell_damaged, whole_of
from plait.stores.sqlite import claims, lanes
from plait.stores.sqlite.payloads import Stored
from plait.stores.sqlite.rows import SELECT, rows_of, summary_of

# What `is_heard` says of a message that waits, and of one put aside; 1: it was heard.
WAITS: Final = 0
ASIDE: Final = 2

# Its number is one that no execution has, and none whose rows are still there: those of a
# damaged one that has lost its first would refuse every start.
_BEGIN: Final = (
    "INSERT INTO executions"
    " (number, id, workflow, plan_hash, created_at_ms, input, key, tags, parent, tenant)"
    " VALUES (1 + max(coalesce((SELECT max(number) FROM executions), 0),"
    " coalesce((SELECT max(execution) FROM leftovers), 0),"
    " coalesce((SELECT max(execution) FROM standings), 0),"
    " coalesce((SELECT max(execution) FROM entries), 0)), ?, ?, ?, ?, ?, ?, ?, ?, ?)"
    " ON CONFLICT (id) DO NOTHING"
)
_HELD: Final = (
    "SELECT e.number, s.length, s.epoch, s.head, s.lane,"
    " s.status, s.wake_at_ms, s.error_code, s.owner, s.lane_state"
    " FROM executions e JOIN standings s ON s.execution = e.number WHERE e.id = ?"
)
# Most turns change nothing that an index has: 2.6 µs, with all columns 5.6.
_GO_ON: Final = "UPDATE standings SET length = ?, head = ?, at_ms = ? WHERE execution = ?"
_CHANGE: Final = (
    "UPDATE standings SET length = ?, head = ?, at_ms = ?, status = ?, wake_at_ms = ?,"
    " error_code = ?, owner = ?, lane_state = ? WHERE execution = ?"
)
# Whoever holds something is among the workers, unless somebody has changed the file.
_FREE_OF_NOBODY: Final = (
    "UPDATE standings SET owner = NULL WHERE owner IN (SELECT DISTINCT owner FROM standings"
    " WHERE owner IS NOT NULL EXCEPT SELECT id FROM workers)"
)
_MESSAGES: Final = (
    "SELECT m.id, e.id, m.body FROM messages m"
    " JOIN standings s ON s.execution = m.execution AND s.owner = ?"
    " JOIN executions e ON e.number = m.execution WHERE m.is_heard = 0"
)
# With a sign: for the order alone nobody goes through all that was ever posted.
_AS_POSTED: Final = " ORDER BY +m.number"
_ENTRY: Final = (
    "INSERT INTO entries (execution, number, body, digest, blob) VALUES (?, ?, ?, ?, ?)"
)


def create(
    connection: Connection,
    entries: Sequence[Stored],
    new: NewExecution,
    standing: Standing,
    owner: str,
    under: Hold | None,
) -> Created:
    """See plait.ports.journal.Journal.create."""
    _check(connection, under)
    if new.key is not None:
        where = f"{SELECT} WHERE e.workflow = ? AND e.key = ? AND e.tenant = ?"
        name = (new.workflow, new.key, new.tenant)
        first = connection.execute(where, name).fetchone()
        if first is not None:
            return Created(summary_of(first), is_new=False)
    cursor = connection.cursor()
    number = _begun(cursor, new)
    is_queued = lanes.has_to_wait(connection, new, standing)
    summary = Summary(
        new,
        standing,
        len(entries),
        entries[-1].digest,
        1,
        None if is_queued or standing.status != RUNNING else owner,
        QUEUED if is_queued else IN_LANE,
    )
    _stand(cursor, number, summary)
    _insert(cursor, number, 0, entries)
    _enrol(cursor, owner)
    return Created(summary, is_new=True)


def _begun(cursor: Cursor, new: NewExecution) -> int:
    """Write what never changes about an execution; return its number."""
    columns = (
        new.execution_id,
        new.workflow,
        new.plan_hash,
        new.created_at_ms,
        new.input,
        new.key,
        orjson.dumps(new.tags).decode(),
        new.parent,
        new.tenant,
    )
    written = cursor.execute(_BEGIN, columns)
    if not written.rowcount:
        raise LostRace(new.execution_id)
    number = written.lastrowid
    assert number is not None
    for tag in new.tags:
        cursor.execute("INSERT OR IGNORE INTO tags VALUES (?, ?)", (tag, number))
    return number


def _stand(cursor: Cursor, number: int, summary: Summary) -> None:
    new = summary.new
    cursor.execute(
        "INSERT INTO standings (status, at_ms, wake_at_ms, error_code, length, head, owner,"
        " lane_state, priority, workflow, lane, lane_max, execution, epoch)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 1)",
        (
            *_columns(summary.standing),
            summary.length,
            summary.head,
            summary.owner,
            summary.lane_state,
            new.priority,
            new.workflow,
            new.lane,
            new.lane_max,
            number,
        ),
    )


def append(connection: Connection, entries: Sequence[Stored], wanted: Append) -> None:
    """See plait.ports.journal.Journal.append."""
    _check(connection, wanted.under)
    # One cursor for all: the connection would make one for each statement.
    cursor = connection.cursor()
    row = cursor.execute(_HELD, (wanted.execution_id,)).fetchone()
    if row is None:
        raise UnknownExecution(wanted.execution_id)
    number, length, epoch, head, lane, *stands = row
    status_before, *_, owner, lane_state = stands
    is_held = owner is not None
    if not is_held or (length, epoch) != (wanted.expected_length, wanted.epoch):
        raise LostRace(wanted.execution_id)
    standing, is_over = wanted.standing, wanted.standing.status != RUNNING
    if wanted.is_begun or is_over:
        lane_state = IN_LANE
    elif status_before != RUNNING and lane is not None:
        # Whatever runs again queues behind those who are there.
        lane_state = QUEUED
    status, at_ms, *due = _columns(standing)
    stands_now = [status, *due, None if wanted.is_released else owner, lane_state]
    progress = length + len(entries), entries[-1].digest if entries else head, at_ms
    if stands_now == stands:
        cursor.execute(_GO_ON, (*progress, number))
    else:
        cursor.execute(_CHANGE, (*progress, *stands_now, number))
    if wanted.begins_history:
        cursor.execute("DELETE FROM entries WHERE execution = ?", (number,))
    _insert(cursor, number, length, entries)
    _hear(cursor, number, wanted)
    if is_over or status_before != RUNNING:
        # Also what came after its end: it would be told when the execution runs again.
        _forget_messages(cursor, number)
    if lane is not None and (is_over or lane_state == QUEUED):
        lanes.let_in(connection, lane)


def _check(connection: Connection, under: Hold | None) -> None:
    if under is not None:
        row = connection.execute(_HELD, (under.execution_id,)).fetchone()
        if row is not None and row[2] != under.epoch:
            raise HoldLost(under.execution_id)


def _hear(cursor: Cursor, number: int, wanted: Append) -> None:
    for message_id in wanted.heard:
        cursor.execute(
            "UPDATE messages SET is_heard = 1 WHERE execution = ? AND id = ?",
            (number, message_id),
        )
    for message_id in wanted.put_aside:
        cursor.execute(
            "UPDATE messages SET is_heard = ? WHERE execution = ? AND id = ?",
            (ASIDE, number, message_id),
        )


def _forget_messages(cursor: Cursor, number: int) -> None:
    cursor.execute(
        "DELETE FROM messages WHERE execution = ? AND is_heard <> ?", (number, ASIDE)
    )


def post(connection: Connection, message: Message) -> None:
    """See plait.ports.journal.Journal.post."""
    number = _known(connection, message.execution_id)
    connection.execute(
        "INSERT INTO messages (execution, id, body) VALUES (?, ?, ?)"
        " ON CONFLICT DO NOTHING",
        (number, message.message_id, message.body),
    )


def save_plan(connection: Connection, plan_hash: str, data: bytes) -> None:
    """See plait.ports.journal.Journal.save_plan."""
    connection.execute(
        "INSERT INTO plans (hash, body) VALUES (?, ?) ON CONFLICT DO NOTHING",
        (plan_hash, data),
    )


def beat(
    connection: Connection, worker_id: str, now_ms: int, until_ms: int, dead: list[str]
) -> list[Message]:
    """Prolong the worker's life, end the lives of `dead`, return the worker's messages."""
    prolong(connection, worker_id, until_ms)
    for one in _dead(connection, worker_id, now_ms, dead):
        leave(connection, one)
    connection.execute(_FREE_OF_NOBODY)
    rows = connection.execute(_MESSAGES + _AS_POSTED, (worker_id,))
    return [Message(*row) for row in rows]


def prolong(connection: Connection, worker_id: str, until_ms: int) -> None:
    """Let the worker live until that moment."""
    connection.execute(
        "INSERT INTO workers (id, until_ms) VALUES (?, ?)"
        " ON CONFLICT (id) DO UPDATE SET until_ms = excluded.until_ms",
        (worker_id, until_ms),
    )


def _dead(connection: Connection, worker_id: str, now_ms: int, dead: list[str]) -> set[str]:
    expired = connection.execute(
        "SELECT id FROM workers WHERE until_ms < ? AND id <> ?", (now_ms, worker_id)
    )
    return {*dead, *(row[0] for row in expired)}


def held_by_dead(
    connection: Connection, worker_id: str, now_ms: int, dead: list[str]
) -> list[int]:
    """End the lives of the dead; return what they hold, by an index alone."""
    for one in _dead(connection, worker_id, now_ms, dead):
        connection.execute("DELETE FROM workers WHERE id = ?", (one,))
    rows = connection.execute(
        "SELECT execution FROM standings INDEXED BY standings_held"
        " WHERE owner IS NOT NULL AND owner NOT IN (SELECT id FROM workers)"
    )
    return [row[0] for row in rows]


def free_one(connection: Connection, number: int) -> None:
    """Let nobody hold an execution whose holder is dead."""
    connection.execute(
        "UPDATE standings SET owner = NULL WHERE execution = ?"
        " AND owner NOT IN (SELECT id FROM workers)",
        (number,),
    )


def told(connection: Connection) -> list[int]:
    """Return the executions that have a message, by an index alone."""
    return [row[0] for row in connection.execute(claims.WITH_MESSAGES)]


def messages_of(connection: Connection, number: int, worker_id: str) -> list[Message]:
    """Return the messages for an execution, if the worker holds it."""
    statement = f"{_MESSAGES} AND m.execution = ?{_AS_POSTED}"
    return [Message(*row) for row in connection.execute(statement, (worker_id, number))]


def claim(
    connection: Connection,
    worker_id: str,
    now_ms: int,
    limit: int,
    after: str,
    left_out: Collection[int] = (),
) -> tuple[Claimed, str]:
    """See plait.ports.leases.Leases.claim.

    Args:
        after: The workflow that the claim before ended with.
        left_out: Executions that cannot be read.

    Returns:
        What was claimed, and the workflow that the next claim goes on behind.
    """
    held = []
    for workflow, number in claims.due(connection, now_ms, limit, after, left_out):
        _hold(connection, worker_id, number)
        after = workflow
        held += _whole(connection, number)
    return Claimed(held, claims.next_wake(connection, left_out)), after


def claim_one(
    connection: Connection, number: int, worker_id: str, now_ms: int
) -> list[Summary]:
    """Claim an execution if it is due and nobody holds it by now; none: it is not."""
    _enrol(connection.cursor(), worker_id)
    held = connection.execute(
        "UPDATE standings SET owner = ?, epoch = epoch + 1 WHERE execution = ?"
        " AND status = 'running' AND owner IS NULL AND lane_state < 2 AND (wake_at_ms <= ?"
        f" OR execution IN ({claims.WITH_MESSAGES} AND execution = ?))",
        (worker_id, number, now_ms, number),
    )
    return _whole(connection, number) if held.rowcount else []


def _whole(connection: Connection, number: int) -> list[Summary]:
    """Return an execution's summary; none when its row is damaged or gone."""
    rows = rows_of(connection, f"{SELECT} WHERE e.number = ?", (number,))
    if not rows:
        tell_damaged(f"number {number}", "half of it is gone")
    return whole_of(rows, summary_of, itemgetter(0))


def take(connection: Connection, worker_id: str, now_ms: int, execution_id: str) -> Summary:
    """See plait.ports.leases.Leases.take."""
    number = _known(connection, execution_id)
    holder = connection.execute(
        "SELECT w.id FROM standings s JOIN workers w ON w.id = s.owner"
        " WHERE s.execution = ? AND w.until_ms >= ? AND w.id <> ?",
        (number, now_ms, worker_id),
    ).fetchone()
    if holder is not None:
        raise LostRace(execution_id)
    _hold(connection, worker_id, number)
    row = connection.execute(f"{SELECT} WHERE e.number = ?", (number,)).fetchone()
    return summary_of(row)


def release(connection: Connection, worker_id: str, executions: list[str]) -> None:
    """See plait.ports.leases.Leases.release."""
    for execution_id in executions:
        connection.execute(
            "UPDATE standings SET owner = NULL WHERE owner = ?"
            " AND execution = (SELECT number FROM executions WHERE id = ?)",
            (worker_id, execution_id),
        )


def leave(connection: Connection, worker_id: str) -> None:
    """See plait.ports.leases.Leases.leave."""
    connection.execute("UPDATE standings SET owner = NULL WHERE owner = ?", (worker_id,))
    connection.execute("DELETE FROM workers WHERE id = ?", (worker_id,))


def foreign_writes(connection: Connection) -> int:
    """Return a number that changes when another connection has committed something."""
    count: int = connection.execute("PRAGMA data_version").fetchone()[0]
    return count


def _columns(standing: Standing) -> tuple[object, ...]:
    return standing.status, standing.at_ms, standing.wake_at_ms, standing.error_code


def _enrol(cursor: Cursor, worker_id: str) -> None:
    """Know whoever holds something, so that it can be found dead.

    A worker whose lease has run out holds it until the next beat of another.
    """
    cursor.execute(
        "INSERT INTO workers (id, until_ms) VALUES (?, 0) ON CONFLICT DO NOTHING",
        (worker_id,),
    )


def _hold(connection: Connection, worker_id: str, number: int) -> None:
    _enrol(connection.cursor(), worker_id)
    connection.execute(
        "UPDATE standings SET owner = ?, epoch = epoch + 1 WHERE execution = ?",
        (worker_id, number),
    )


def _number_of(connection: Connection, execution_id: str) -> int | None:
    row = connection.execute(
        "SELECT number FROM executions WHERE id = ?", (execution_id,)
    ).fetchone()
    return None if row is None else int(row[0])


def _known(connection: Connection, execution_id: str) -> int:
    number = _number_of(connection, execution_id)
    if number is None:
        raise UnknownExecution(execution_id)
    return number


def _insert(cursor: Cursor, number: int, first: int, entries: Sequence[Stored]) -> None:
    for position, entry in enumerate(entries, first):
        columns = number, position, entry.body, entry.digest, entry.blob
        cursor.execute(_ENTRY, columns)
