"""Who lives and who holds what: the statements behind plait.ports.leases."""

from __future__ import annotations

from collections import defaultdict
from operator import itemgetter
from typing import Any, Final

from plait.ports.journal import LostRace, Message, Summary, UnknownExecution
from plait.ports.leases import Claimed
from plait.stores.damaged import whole_of
from plait.stores.postgres.pages import Pages
from plait.stores.postgres.rows import COLUMNS, SELECT, one_by_one, summary_of
from plait.stores.postgres.server import DAMAGED, fetch
from plait.stores.postgres.session import lock_of
from plait.stores.turns import in_turn

# $1: now; $2: the server's start. A lock says something only if it was taken since then.
_LIVES: Final = """(
    coalesce(w.until_ms, $1) >= $1
    AND (w.server IS DISTINCT FROM $2 OR w.lock IN (
        SELECT (l.classid::bigint << 32) | l.objid::bigint FROM pg_locks l
        JOIN pg_database d ON d.oid = l.database AND d.datname = current_database()
        WHERE l.locktype = 'advisory' AND l.objsubid = 1 AND l.granted
    ))
)"""

_JOIN: Final = """
INSERT INTO workers (id, lock, server) VALUES ($1, $2, $3)
ON CONFLICT (id) DO UPDATE SET until_ms = NULL, server = excluded.server
"""
_BEAT: Final = """
INSERT INTO workers (id, until_ms, lock, server) VALUES ($1, $2, $3, $4)
ON CONFLICT (id) DO UPDATE SET until_ms = excluded.until_ms, server = excluded.server
"""
_BURY: Final = f"DELETE FROM workers w WHERE w.id <> $3 AND NOT {_LIVES}"
# The list is made before the first row is changed, and so are the rows: what somebody
# claims meanwhile is not on it.
_FREE: Final = """
UPDATE standings SET owner = NULL WHERE owner = ANY (ARRAY(
    SELECT DISTINCT s.owner FROM standings s WHERE s.owner IS NOT NULL
    AND NOT EXISTS (SELECT FROM workers w WHERE w.id = s.owner)
))
"""
_MESSAGES: Final = """
WITH told AS (
    SELECT s.execution FROM {pages} s WHERE s.owner = $1 AND s.execution = ANY (ARRAY(
        SELECT DISTINCT execution FROM messages WHERE NOT is_heard
    ))
)
SELECT m.id, (SELECT e.id FROM executions e WHERE e.number = m.execution), m.body
FROM messages m
WHERE NOT m.is_heard AND m.execution = ANY (ARRAY(SELECT execution FROM told))
ORDER BY m.number
"""
# The same by the pages that can be read: see plait.stores.postgres.pages.
_DEAD: Final = """
SELECT s.execution, s.owner FROM {pages} s WHERE s.owner IS NOT NULL
AND NOT EXISTS (SELECT FROM workers w WHERE w.id = s.owner)
"""
_FREE_THESE: Final = """
UPDATE standings s SET owner = NULL FROM unnest($1::bigint[], $2::text[]) d (number, owner)
WHERE s.execution = ANY ($1) AND s.execution = d.number AND coalesce(s.owner, '') = d.owner
"""

_IS_FREE: Final = "s.status = 'running' AND s.owner IS NULL AND s.lane_state < 2"
# The priorities and workflows of what is free: one look into the index for each.
_GROUPS: Final = f"""
WITH RECURSIVE groups (priority, workflow) AS (
    (SELECT s.priority, s.workflow FROM standings s WHERE {_IS_FREE}
        ORDER BY s.priority, s.workflow LIMIT 1)
    UNION ALL SELECT following.* FROM groups g CROSS JOIN LATERAL (
        SELECT s.priority, s.workflow FROM standings s
        WHERE {_IS_FREE} AND (s.priority, s.workflow) > (g.priority, g.workflow)
        ORDER BY s.priority, s.workflow LIMIT 1
    ) following
)
"""
# However many are due, no more rows are read than are wanted of each priority and workflow:
# the two kinds of due are read apart, and no row is of both. The second asks for the owner
# in words that keep the planner from the index of all that is free: it has the numbers
# already. $5: the workflow that the claim before ended with (plait.stores.turns).
_HELD: Final = f"""
{_GROUPS}, due AS (
    SELECT timed.* FROM groups g CROSS JOIN LATERAL (
        SELECT s.execution, s.priority, s.workflow, s.wake_at_ms FROM standings s
        WHERE {_IS_FREE} AND s.priority = g.priority AND s.workflow = g.workflow
            AND s.wake_at_ms <= $2
        ORDER BY s.wake_at_ms, s.execution LIMIT $3 FOR UPDATE SKIP LOCKED
    ) timed
    UNION ALL
    SELECT told.* FROM (
        SELECT s.execution, s.priority, s.workflow, coalesce(s.wake_at_ms, 0)
        FROM standings s WHERE s.execution = ANY (ARRAY(
            SELECT DISTINCT execution FROM messages WHERE NOT is_heard
        )) AND s.status = 'running' AND coalesce(s.owner, '') = '' AND s.lane_state < 2
            AND (s.wake_at_ms IS NULL OR s.wake_at_ms > $2)
        ORDER BY s.priority DESC, coalesce(s.wake_at_ms, 0), s.execution
        LIMIT $3 FOR UPDATE SKIP LOCKED
    ) told
), ranked AS (
    SELECT execution, priority, workflow, row_number() OVER (
        PARTITION BY priority, workflow ORDER BY wake_at_ms, execution
    ) AS turn FROM due
), first AS (
    SELECT execution FROM ranked
    ORDER BY priority DESC, turn, workflow COLLATE "C" <= $5, workflow COLLATE "C" LIMIT $3
), held AS (
    UPDATE standings s SET owner = $1, epoch = s.epoch + 1, token = $4
    WHERE s.execution = ANY (ARRAY(SELECT execution FROM first)) RETURNING s.*
)
"""
_CLAIM: Final = f"""
{_HELD}
SELECT {COLUMNS} FROM held s JOIN executions e ON e.number = s.execution
    AND e.number = ANY (ARRAY(SELECT execution FROM held))
ORDER BY coalesce(s.wake_at_ms, 0), s.execution
"""
# Whose turn it is among workflows does not count here.
_DUE_BY_PAGES: Final = f"""
SELECT s.execution FROM {{pages}} s WHERE {_IS_FREE} AND (
    s.wake_at_ms <= $1 OR s.execution = ANY (ARRAY(
        SELECT DISTINCT execution FROM messages WHERE NOT is_heard
    ))
) ORDER BY s.priority DESC, coalesce(s.wake_at_ms, 0), s.execution LIMIT $2
"""
# Somebody may have it by now. The owner is asked for in words that no index knows.
_HOLD_THESE: Final = """
UPDATE standings s SET owner = $1, epoch = s.epoch + 1, token = $2
WHERE s.execution = ANY (ARRAY(
    SELECT s.execution FROM standings s WHERE s.execution = ANY ($3)
    AND coalesce(s.status, '') = 'running' AND coalesce(s.owner, '') = ''
    AND s.lane_state < 2 FOR UPDATE SKIP LOCKED
)) RETURNING s.execution
"""
_NEXT_BY_PAGES: Final = f"SELECT min(s.wake_at_ms) FROM {{pages}} s WHERE {_IS_FREE}"
_NEXT: Final = f"""
{_GROUPS}
SELECT min(first.wake_at_ms) FROM groups g CROSS JOIN LATERAL (
    SELECT s.wake_at_ms FROM standings s
    WHERE {_IS_FREE} AND s.priority = g.priority AND s.workflow = g.workflow
        AND s.wake_at_ms IS NOT NULL
    ORDER BY s.wake_at_ms LIMIT 1
) first
"""

_TAKE: Final = f"""
UPDATE standings s SET owner = $4, epoch = s.epoch + 1, token = $5 FROM executions e
WHERE e.id = $3 AND s.execution = e.number AND (
    s.owner IS NULL OR s.owner = $4
    OR NOT EXISTS (SELECT FROM workers w WHERE w.id = s.owner AND {_LIVES})
)
RETURNING {COLUMNS}
"""
_RELEASE: Final = """
UPDATE standings SET owner = NULL WHERE owner = $1 AND execution = ANY (ARRAY(
    SELECT number FROM executions WHERE id = ANY ($2)
))
"""


async def join(connection: Any, worker_id: str, started: str | None) -> None:
    """See plait.ports.leases.Leases.join."""
    await connection.execute(_JOIN, worker_id, lock_of(worker_id), started)


async def beat(
    connection: Any,
    worker_id: str,
    now_ms: int,
    until_ms: int,
    server: str | None,
    pages: Pages,
) -> list[Message]:
    """See plait.ports.leases.Leases.beat. `server`: see `Session.server_of`.

    Each statement is a transaction of its own: what one has not done the next beat does.
    """
    await fetch(connection, _BEAT, worker_id, until_ms, lock_of(worker_id), server)
    await fetch(connection, _BURY, now_ms, server, worker_id)
    try:
        await fetch(connection, _FREE)
    except DAMAGED:
        dead = await pages.fetch(connection, _DEAD)
        columns = [row[0] for row in dead], [row[1] for row in dead]
        await fetch(connection, _FREE_THESE, *columns)
    try:
        rows = await connection.fetch(_MESSAGES.format(pages="standings"), worker_id)
    except DAMAGED:
        rows = await pages.fetch(connection, _MESSAGES, worker_id)
    return [Message(*row) for row in rows]


async def give_back(connection: Any, worker_id: str, tokens: list[str]) -> None:
    """Release what the worker has by the requests of these tokens."""
    statement = "UPDATE standings SET owner = NULL WHERE owner = $1 AND token = ANY($2)"
    await fetch(connection, statement, worker_id, tokens)


async def claim(
    connection: Any,
    worker_id: str,
    now_ms: int,
    limit: int,
    token: str,
    after: str,
    pages: Pages,
) -> tuple[Claimed, str]:
    """See plait.ports.leases.Leases.claim.

    Args:
        after: The workflow that the claim before ended with.
        pages: What is known of pages that cannot be read.

    Returns:
        What was claimed, and the workflow that the next claim goes on behind.
    """
    wanted = (worker_id, now_ms, limit, token, after)
    try:
        rows = await fetch(connection, _CLAIM, *wanted)
    except DAMAGED:
        rows = await _claim_and_read(connection, wanted, pages)
    due: dict[int, dict[str, list[Summary]]] = defaultdict(lambda: defaultdict(list))
    for one in whole_of(rows, summary_of, itemgetter(0)):
        due[one.new.priority][one.new.workflow].append(one)
    held = [*in_turn(due, after)]
    executions = [one for _, one in held]
    try:
        next_wake_at_ms = await connection.fetchval(_NEXT)
    except DAMAGED:
        ((next_wake_at_ms,),) = await pages.fetch(connection, _NEXT_BY_PAGES)
    return Claimed(executions, next_wake_at_ms), held[-1][0] if held else after


async def _claim_and_read(
    connection: Any, wanted: tuple[Any, ...], pages: Pages
) -> list[Any]:
    """Claim without a look at what may be damaged, then read row by row.

    As any damaged row, one that cannot be read is held and nobody runs it.
    """
    try:
        held = await fetch(connection, f"{_HELD} SELECT execution FROM held", *wanted)
        numbers = [row[0] for row in held]
    except DAMAGED:
        numbers = await _claim_by_pages(connection, wanted, pages)
    return await one_by_one(connection.fetch, numbers)


async def _claim_by_pages(
    connection: Any, wanted: tuple[Any, ...], pages: Pages
) -> list[int]:
    """Claim what stands in pages that can be read; return its numbers in their order."""
    worker_id, now_ms, limit, token, _ = wanted
    due = [row[0] for row in await pages.fetch(connection, _DUE_BY_PAGES, now_ms, limit)]
    held = {row[0] for row in await fetch(connection, _HOLD_THESE, worker_id, token, due)}
    return [number for number in due if number in held]


async def take(
    connection: Any,
    worker_id: str,
    now_ms: int,
    execution_id: str,
    started: str,
    token: str,
) -> Summary:
    """See plait.ports.leases.Leases.take."""
    values = (now_ms, started, execution_id, worker_id, token)
    rows = await fetch(connection, _TAKE, *values)
    if rows:
        return summary_of(rows[0])
    known = await connection.fetchrow(f"{SELECT} WHERE e.id = $1", execution_id)
    raise UnknownExecution(execution_id) if known is None else LostRace(execution_id)


async def release(connection: Any, worker_id: str, executions: list[str]) -> None:
    """See plait.ports.leases.Leases.release."""
    await fetch(connection, _RELEASE, worker_id, executions)


async def leave(connection: Any, worker_id: str) -> None:
    """See plait.ports.leases.Leases.leave."""
    await fetch(connection, "UPDATE standings SET owner = NULL WHERE owner = $1", worker_id)
    await fetch(connection, "DELETE FROM workers WHERE id = $1", worker_id)
