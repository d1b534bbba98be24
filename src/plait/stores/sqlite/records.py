"""Records in the database file of the journal, through a writer and readers of their own.

The journal's writer goes on as it did: it waits for a record as it does for any other
process that writes, 0.3 ms for a commit on a good disk.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path
from sqlite3 import Connection
from typing import Any, Final

from plait.ports.records import Change, Conflict, Record
from plait.stores.faults import StoreDamaged
from plait.stores.records import check, checksum, end_of, is_text
from plait.stores.sqlite.database import opened
from plait.stores.sqlite.faults import NotAsWritten
from plait.stores.sqlite.readers import Readers
from plait.stores.sqlite.rows import rows_of
from plait.stores.sqlite.writer import Writer

_SELECT: Final = "SELECT kind, tenant, key, value, version, at_ms, checksum FROM records"
_ONE: Final = "kind = ? AND tenant = ? AND key = ?"
_KINDS: Final = (str, str, str, bytes, int, int, int)
_REVISION: Final = "SELECT revision FROM record_revision"
_PUT: Final = (
    "INSERT INTO records (kind, tenant, key, value, version, at_ms, checksum)"
    " VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (kind, tenant, key) DO UPDATE SET"
    " value = excluded.value, version = excluded.version, at_ms = excluded.at_ms,"
    " checksum = excluded.checksum"
)


class SqliteRecords:
    """Keeps records in the file at `path`. Implements plait.ports.records.Records.

    Make it with `open`, inside a running event loop.
    """

    def __init__(self, path: Path, writer: Writer, readers: Readers) -> None:
        self._path = path
        self._writer = writer
        self._readers = readers

    @classmethod
    async def open(cls, path: Path) -> SqliteRecords:
        """Open the file, making it and its folder if need be, and bring its schema up.

        Raises:
            StoreTooNew: A newer version has changed it.
            StoreUnavailable: It cannot be opened.
        """
        connection, keeper = await asyncio.to_thread(opened, path)
        return cls(path, Writer(path, connection), Readers(path, keeper))

    async def get(self, kind: str, tenant: str, key: str) -> Record | None:
        """See plait.ports.records.Records.get."""
        if not is_text(kind, tenant, key):
            return None
        found = await self._found(f"{_SELECT} WHERE {_ONE}", (kind, tenant, key))
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
        if not is_text(kind, prefix, after, tenant or ""):
            return []
        if tenant is None:
            return await self._found(f"{_SELECT} WHERE kind = ? {order}", (kind,))
        wanted: list[tuple[str, str | None]] = [
            ("kind = ?", kind),
            ("tenant = ?", tenant),
            ("key >= ?", prefix),
            ("key < ?", end_of(prefix)),
            (f"key {'<' if is_backward else '>'} ?", after or None),
        ]
        given = [(text, value) for text, value in wanted if value is not None]
        where = f"WHERE {' AND '.join(text for text, _ in given)}"
        values = (*(value for _, value in given), limit)
        return await self._found(f"{_SELECT} {where} {order} LIMIT ?", values)

    async def count(self, kind: str, tenant: str) -> int:
        """See plait.ports.records.Records.count."""
        if not is_text(kind, tenant):
            return 0
        statement = "SELECT count(*) FROM records WHERE kind = ? AND tenant = ?"
        return await self._readers.run(partial(_number, statement, (kind, tenant)))

    async def change(self, changes: Sequence[Change], at_ms: int) -> list[int]:
        """See plait.ports.records.Records.change."""
        check(changes)
        if not changes:
            return []
        job = partial(_change, changes=changes, at_ms=at_ms)
        return await self._writer.submit(job)

    async def revision(self) -> int:
        """See plait.ports.records.Records.revision."""
        return await self._readers.run(partial(_number, _REVISION, ()))

    async def close(self) -> None:
        """See plait.ports.records.Records.close."""
        await self._writer.close()
        await self._readers.close()

    async def _found(self, statement: str, values: Sequence[object]) -> list[Record]:
        rows = await self._readers.run(
            lambda connection: rows_of(connection, statement, values)
        )
        try:
            return [_record_of(row) for row in rows]
        except NotAsWritten as error:
            raise StoreDamaged(self._path, str(error)) from error


def damaged_records(connection: Connection) -> Iterable[str]:
    """Yield what is wrong with records, one sentence each."""
    numbers = [row[0] for row in connection.execute("SELECT rowid FROM records")]
    for number in numbers:
        for row in rows_of(connection, f"{_SELECT} WHERE rowid = ?", (number,)):
            try:
                _record_of(row)
            except NotAsWritten as error:
                yield str(error)


def _record_of(row: tuple[Any, ...]) -> Record:
    """Return the record in a row.

    Raises:
        NotAsWritten: It is not the one that was written.
    """
    if all(map(isinstance, row, _KINDS)):
        record = Record(*row[:6])
        if checksum(record) == row[6]:
            return record
    raise NotAsWritten(f"the record {row[0]!r} {row[2]!r} of {row[1]!r} was altered")


def _number(statement: str, values: Sequence[object], connection: Connection) -> int:
    return int(connection.execute(statement, values).fetchone()[0])


def _change(connection: Connection, changes: Sequence[Change], at_ms: int) -> list[int]:
    """Make all changes; a refusal comes before the first write (see Writer, rule 1)."""
    for one in changes:
        if one.expected is not None and one.expected != _version(connection, one):
            raise Conflict(one.kind, one.key)
    first = 1 + _number(_REVISION, (), connection)
    versions = list(range(first, first + len(changes)))
    connection.execute("UPDATE record_revision SET revision = ?", (versions[-1],))
    for one, version in zip(changes, versions, strict=True):
        name = (one.kind, one.tenant, one.key)
        if one.value is None:
            connection.execute(f"DELETE FROM records WHERE {_ONE}", name)
        else:
            record = Record(*name, one.value, version, at_ms)
            values = (*name, one.value, version, at_ms, checksum(record))
            connection.execute(_PUT, values)
    return versions


def _version(connection: Connection, change: Change) -> int:
    row = connection.execute(
        f"SELECT version FROM records WHERE {_ONE}",
        (change.kind, change.tenant, change.key),
    ).fetchone()
    return 0 if row is None else int(row[0])
