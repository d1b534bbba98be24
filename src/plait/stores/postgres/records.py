"""Records in the schema `plait` of the journal, over connections of their own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from plait.ports.records import Change, Conflict, Record
from plait.stores.faults import StoreDamaged
from plait.stores.postgres.rows import is_kept_text
from plait.stores.postgres.server import RECORDS_POOL_MAX, Server
from plait.stores.records import check, end_of

_SELECT: Final = "SELECT kind, tenant, key, value, version, at_ms FROM records"
_ONE: Final = "kind = $1 AND tenant = $2 AND key = $3"
_REVISION: Final = "SELECT revision FROM record_revision"
_NEXT: Final = "UPDATE record_revision SET revision = revision + $1 RETURNING revision"
_VERSIONS: Final = (
    "SELECT coalesce(r.version, 0) FROM unnest($1::text[], $2::text[], $3::text[])"
    " WITH ORDINALITY AS w (kind, tenant, key, place)"
    " LEFT JOIN records r USING (kind, tenant, key) ORDER BY w.place"
)
_PUT: Final = (
    "INSERT INTO records (kind, tenant, key, value, version, at_ms)"
    " VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (kind, tenant, key) DO UPDATE"
    " SET value = excluded.value, version = excluded.version, at_ms = excluded.at_ms"
)


class PostgresRecords:
    """Keeps records in a PostgreSQL database. Implements plait.ports.records.Records.

    Make it with `open`, inside a running event loop.
    """

    def __init__(self, server: Server) -> None:
        self._server = server

    @classmethod
    async def open(cls, url: str) -> PostgresRecords:
        """Connect to `postgresql://user:password@host:port/database`, and make the schema.

        Raises:
            StoreTooNew: A newer version has changed the schema.
            StoreNotDurable: The server may lose what it has acknowledged.
            StoreUnavailable: The server cannot be reached or used.
        """
        server = Server(url, RECORDS_POOL_MAX)
        await server.open()
        return cls(server)

    async def get(self, kind: str, tenant: str, key: str) -> Record | None:
        """See plait.ports.records.Records.get."""
        found = await self._found(f"{_SELECT} WHERE {_ONE}", [kind, tenant, key])
        return found[0] if found else None

    async def find(
        self,
        kind: str,
        tenant: str | None,
        *,
        prefix: str = "",
        after: str = "",
        limit: int = 100,
        is_backward: bool = False,
    ) -> list[Record]:
        """See plait.ports.records.Records.find."""
        way = "DESC" if is_backward else "ASC"
        order = f"ORDER BY tenant {way}, key {way}"
        if tenant is None:
            return await self._found(f"{_SELECT} WHERE kind = $1 {order}", [kind])
        wanted = [
            ("kind = ${}", kind),
            ("tenant = ${}", tenant),
            ("key >= ${}", prefix),
            ("key < ${}", end_of(prefix)),
            (f"key {'<' if is_backward else '>'} ${{}}", after or None),
        ]
        given = [(text, value) for text, value in wanted if value is not None]
        conditions = [text.format(number) for number, (text, _) in enumerate(given, 1)]
        where = f"WHERE {' AND '.join(conditions)}"
        limited = f"{_SELECT} {where} {order} LIMIT {int(limit)}"
        return await self._found(limited, [value for _, value in given])

    async def count(self, kind: str, tenant: str) -> int:
        """See plait.ports.records.Records.count."""
        if not is_kept_text(kind, tenant):
            return 0
        statement = "SELECT count(*) FROM records WHERE kind = $1 AND tenant = $2"
        async with self._server.connection() as connection:
            return int(await connection.fetchval(statement, kind, tenant))

    async def change(self, changes: Sequence[Change], at_ms: int) -> list[int]:
        """See plait.ports.records.Records.change."""
        check(changes)
        if not changes:
            return []
        async with self._server.connection() as connection, connection.transaction():
            last = await connection.fetchval(_NEXT, len(changes))
            await _check_versions(connection, changes)
            versions = list(range(last - len(changes) + 1, last + 1))
            for one, version in zip(changes, versions, strict=True):
                await _make(connection, one, version, at_ms)
        return versions

    async def revision(self) -> int:
        """See plait.ports.records.Records.revision."""
        async with self._server.connection() as connection:
            return int(await connection.fetchval(_REVISION))

    async def close(self) -> None:
        """See plait.ports.records.Records.close."""
        await self._server.close()

    async def _found(self, statement: str, values: Sequence[str]) -> list[Record]:
        if not is_kept_text(*values):
            return []
        async with self._server.connection() as connection:
            rows = await connection.fetch(statement, *values)
        return [self._record_of(row) for row in rows]

    def _record_of(self, row: Any) -> Record:
        if any(isinstance(one, bytes) for one in row[:3]):
            place = f"PostgreSQL at {self._server.place}"
            raise StoreDamaged(place, f"the name of the record {row[2]!r} is no text")
        return Record(*row)


async def _check_versions(connection: Any, changes: Sequence[Change]) -> None:
    """See whether all stand as their changes expect; nobody else changes any meanwhile.

    Raises:
        Conflict: One does not.
    """
    names = [(one.kind, one.tenant, one.key) for one in changes]
    rows = await connection.fetch(_VERSIONS, *map(list, zip(*names, strict=True)))
    for one, row in zip(changes, rows, strict=True):
        if one.expected is not None and one.expected != row[0]:
            raise Conflict(one.kind, one.key)


async def _make(connection: Any, change: Change, version: int, at_ms: int) -> None:
    name = (change.kind, change.tenant, change.key)
    if change.value is None:
        await connection.execute(f"DELETE FROM records WHERE {_ONE}", *name)
    else:
        await connection.execute(_PUT, *name, change.value, version, at_ms)
