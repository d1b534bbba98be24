"""Upkeep of the PostgreSQL store: removing what ended long ago, and looking for damage.

What is removed is some twenty executions per statement. Their rows are locked for as long
as that takes, and nobody wants those any more; all others go on.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import partial
from operator import itemgetter
from pathlib import Path
from shlex import quote
from typing import Any, Final

from plait.ports.derived import Difference
from plait.ports.journal import Summary
from plait.ports.upkeep import BackupElsewhere, check_target
from plait.stores.damaged import filled, whole_of
from plait.stores.derived import Found, compared
from plait.stores.faults import StoreDamaged
from plait.stores.parents import DEPTH_MAX
from plait.stores.postgres import derived
from plait.stores.postgres.appends import columns
from plait.stores.postgres.pages import rows_of, unreadable
from plait.stores.postgres.rows import SELECT, readable, summary_of
from plait.stores.postgres.server import Server, fetch

REMOVED_MAX: Final = 20
_TABLES: Final = ("entries", "messages", "tags", "standings", "executions")
_PROBLEMS_MAX: Final = 100
# To look at all tables, or to vacuum them, takes as long as it takes.
_LONG_S: Final = 24 * 3_600.0

_CHARGE: Final = """
INSERT INTO charge (number, worker, until_ms) VALUES (1, $1, $3)
ON CONFLICT (number) DO UPDATE SET worker = excluded.worker, until_ms = excluded.until_ms
WHERE charge.worker = excluded.worker OR charge.until_ms <= $2 RETURNING number
"""
# $1: before; $2: statuses; $4, $5: where the page before ended.
_MAY_GO: Final = (
    "{0}.status <> 'running' AND {0}.status = ANY($2) AND {0}.owner IS NULL"
    " AND {0}.at_ms < $1"
)
_ENDED: Final = f"""
{SELECT} WHERE e.created_at_ms < $1 AND (e.created_at_ms, e.id) > ($4, $5)
AND {_MAY_GO.format("s")} AND (e.parent IS NULL OR NOT EXISTS (
    WITH RECURSIVE up (id, depth) AS (
        SELECT e.parent, 1
        UNION ALL SELECT p.parent, depth + 1 FROM up JOIN executions p ON p.id = up.id
        WHERE depth < {DEPTH_MAX}
    )
    SELECT FROM up JOIN executions p ON p.id = up.id
    JOIN standings t ON t.execution = p.number WHERE NOT ({_MAY_GO.format("t")})
)) ORDER BY e.created_at_ms, e.id LIMIT $3
"""
_GONE: Final = "= ANY (ARRAY(SELECT execution FROM gone))"
_REMOVE: Final = f"""
WITH wanted AS (
    SELECT w.*, (SELECT e.number FROM executions e WHERE e.id = w.id) AS number
    FROM unnest($1::text[], $2::bigint[]) WITH ORDINALITY AS w (id, length, place)
), gone AS (
    DELETE FROM standings s USING wanted w
    WHERE s.execution = ANY (ARRAY(SELECT number FROM wanted)) AND s.execution = w.number
        AND s.length = w.length AND s.status <> 'running' AND s.owner IS NULL
        AND NOT EXISTS (
            WITH RECURSIVE up (id, depth) AS (
                SELECT e.parent, 1 FROM executions e WHERE e.number = s.execution
                UNION ALL SELECT p.parent, depth + 1 FROM up
                JOIN executions p ON p.id = up.id WHERE depth < {DEPTH_MAX}
            )
            SELECT FROM up JOIN executions p ON p.id = up.id
            JOIN standings t ON t.execution = p.number
            WHERE t.status = 'running' OR t.owner IS NOT NULL
        )
    RETURNING s.execution, w.id, w.place
), entries_gone AS (DELETE FROM entries WHERE execution {_GONE}),
messages_gone AS (DELETE FROM messages WHERE execution {_GONE}),
tags_gone AS (
    DELETE FROM tags t USING executions e
    WHERE e.number {_GONE} AND t.execution = e.number
        AND t.tag IN (SELECT jsonb_array_elements_text(e.tags))
), executions_gone AS (DELETE FROM executions WHERE number {_GONE})
SELECT id FROM gone ORDER BY place
"""
# Messages that came while their execution went. Their sender was told it was there.
_STRAY: Final = """
DELETE FROM messages m WHERE NOT EXISTS (
    SELECT FROM executions e WHERE e.number = m.execution
)
"""
_SIZE: Final = (
    "SELECT sum(pg_total_relation_size(t::regclass))::bigint FROM unnest($1::text[]) t"
)
_NOT_THERE: Final = "NOT EXISTS (SELECT FROM executions e WHERE e.number = {}.execution)"
_CHECKS: Final = {
    "SELECT e.id FROM executions e WHERE NOT EXISTS"
    " (SELECT FROM standings s WHERE s.execution = e.number)": "it stands nowhere",
    f"SELECT s.execution FROM standings s WHERE {_NOT_THERE.format('s')}": (
        "a row of no execution"
    ),
    f"SELECT DISTINCT n.execution FROM entries n WHERE {_NOT_THERE.format('n')}": (
        "entries of no execution"
    ),
    f"SELECT t.execution || ' ' || t.tag FROM tags t WHERE {_NOT_THERE.format('t')}": (
        "a tag of no execution"
    ),
}


class PostgresUpkeep:
    """Looks after the store on one server. Implements Upkeep."""

    def __init__(self, server: Server) -> None:
        self._server = server

    async def ids(self) -> list[str]:
        """See plait.ports.upkeep.Upkeep."""
        try:
            rows = await self._long('SELECT id FROM executions ORDER BY id COLLATE "C"')
        except StoreDamaged:
            bad = await self._unreadable("executions")
            readable = rows_of("executions", bad, "id")
            rows = await self._long(f'SELECT id FROM {readable} e ORDER BY id COLLATE "C"')
        return [row[0] for row in rows]

    async def check(self) -> list[str]:
        """See plait.ports.upkeep.Upkeep."""
        found = [
            f"block {block} of the table {table} cannot be read"
            for table in _TABLES
            for block in await self._unreadable(table)
        ]
        for query, text in _CHECKS.items() if not found else ():
            rows = await self._long(f"{query} LIMIT {_PROBLEMS_MAX}")
            found += [f"{row[0]}: {text}" for row in rows]
        return found

    async def differences(
        self, *, mends: bool = False, unsure: Collection[str] = ()
    ) -> list[Difference]:
        """See plait.ports.derived.Derived."""
        return await compared(
            self._told,
            lambda found: derived.mend(self._server, found),
            mends=mends,
            unsure=unsure,
        )

    async def _told(self) -> list[Found]:
        """Return what differs, if all can be read that is compared."""
        try:
            return await derived.tell(self._long)
        except StoreDamaged:
            if await self._unreadable(*_TABLES):
                return []  # the check of the store says which pages
            raise

    async def backup(self, target: Path) -> None:
        """See plait.ports.upkeep.Upkeep."""
        check_target(target)
        command = (
            f"pg_dump --schema=plait --format=custom --file={quote(str(target))} ADDRESS"
        )
        where = f"PostgreSQL at {self._server.place}"
        raise BackupElsewhere(where, f"its own means: `{command}`")

    async def charge(self, worker_id: str, now_ms: int, until_ms: int) -> bool:
        """See plait.ports.upkeep.Upkeep."""
        async with self._server.connection() as connection:
            return bool(await fetch(connection, _CHARGE, worker_id, now_ms, until_ms))

    async def ended(
        self,
        before_ms: int,
        statuses: Sequence[str],
        limit: int,
        after: Summary | None = None,
    ) -> list[Summary]:
        """See plait.ports.upkeep.Upkeep."""
        from_ms, from_id = 0, ""
        if after is not None:
            from_ms, from_id = after.new.created_at_ms, after.new.execution_id

        async def fetch(count: int) -> tuple[list[Summary], int]:
            wanted = (before_ms, list(statuses), count, from_ms, from_id)
            async with self._server.connection() as connection:
                fetch = partial(connection.fetch, timeout=_LONG_S)
                rows, seen = await readable(fetch, _ENDED, *wanted)
            return whole_of(rows, summary_of, itemgetter(0)), seen

        return await filled(limit, fetch)

    async def remove(self, ended: Sequence[Summary]) -> list[str]:
        """See plait.ports.upkeep.Upkeep."""
        removed: list[str] = []
        for first in range(0, len(ended), REMOVED_MAX):
            some = ended[first : first + REMOVED_MAX]
            wanted = columns([(one.new.execution_id, one.length) for one in some], 2)
            async with self._server.connection() as connection:
                removed += [row[0] for row in await fetch(connection, _REMOVE, *wanted)]
        return removed

    async def tidy(self) -> int:
        """See plait.ports.upkeep.Upkeep.

        What is at a table's end goes back to the file system, the rest is used again.
        """
        names = [f"plait.{name}" for name in _TABLES]
        before: int = (await self._long(_SIZE, names))[0][0]
        await self._long(_STRAY)
        for name in names:
            await self._long(f"VACUUM {name}")
        after: int = (await self._long(_SIZE, names))[0][0]
        return max(before - after, 0)

    async def _unreadable(self, *tables: str) -> list[int]:
        async with self._server.connection() as connection:
            run = partial(connection.fetch, timeout=_LONG_S)
            return [block for table in tables for block in await unreadable(run, table)]

    async def _long(self, statement: str, *values: object) -> list[Any]:
        async with self._server.connection() as connection:
            return list(await connection.fetch(statement, *values, timeout=_LONG_S))
