"""Disk store: a SQLite file, which a restart does not empty and processes can share.

Ages are by the machine's wall clock: no other is known after a restart. A value kept "in
the future", because the clock was set back, counts as too old.
"""

from __future__ import annotations

import hashlib
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from plait.resilience.cache.store import Found
from plait.resilience.checks import check_count
from plait.resilience.json_values import JSON, Codec
from plait.resilience.sqlite_file import SqliteFile

MAX_BYTES: Final = 1024 * 1024 * 1024
ENTRY_BYTES: Final = 100
"""What a row takes besides its value: its key, times and place in two indexes."""

_APPLICATION_ID: Final = 0x506C4361  # "PlCa"
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS entries (
    key BLOB PRIMARY KEY, value BLOB NOT NULL, kept_at REAL NOT NULL, ends_at REAL NOT NULL,
    used INTEGER NOT NULL, bytes INTEGER NOT NULL) WITHOUT ROWID;

CREATE INDEX IF NOT EXISTS by_use ON entries (used);

CREATE TABLE IF NOT EXISTS total (bytes INTEGER NOT NULL, used INTEGER NOT NULL);

INSERT INTO total SELECT 0, 0 WHERE NOT EXISTS (SELECT * FROM total);

CREATE TRIGGER IF NOT EXISTS counted AFTER INSERT ON entries BEGIN
    UPDATE total SET bytes = bytes + new.bytes; END;

CREATE TRIGGER IF NOT EXISTS uncounted AFTER DELETE ON entries BEGIN
    UPDATE total SET bytes = bytes - old.bytes; END
"""


class DiskStore:
    """Values as bytes in one file, least recently used first out, bounded in bytes.

    The file has the mode 0600. Keys are in it as hashes, values as the codec makes them.
    """

    __slots__ = ("_codec", "_file", "_now", "max_bytes")

    def __init__(
        self,
        path: str | Path,
        max_bytes: int = MAX_BYTES,
        *,
        codec: Codec = JSON,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        """Remember the file; it is opened, or made, at the first use.

        Args:
            path: Its folder must be there.
            max_bytes: What values and 100 bytes for each may take; the file has a little
                more, and does not shrink.
            codec: Makes bytes of values.
            wall_clock: Seconds since 1970.

        Raises:
            ValueError: `max_bytes` is no whole number of at least 1.
        """
        check_count("max_bytes", max_bytes)
        self.max_bytes = max_bytes
        self._codec = codec
        self._now = wall_clock
        self._file = SqliteFile(path, schema=_SCHEMA, application_id=_APPLICATION_ID)

    async def get(self, key: str) -> Found | None:
        """Return what is kept under `key`, and count it as used."""
        name = _hashed(key)
        row = await self._file.run(lambda connection: self._read(connection, name))
        return Found(self._codec.decode(row[0]), row[1]) if row is not None else None

    async def put(self, key: str, value: Any, keep_s: float) -> bool:
        """Keep `value`; others go, if there is no room."""
        name, data = _hashed(key), self._codec.encode(value)

        def write(connection: sqlite3.Connection) -> bool:
            return self._write(connection, name, data, keep_s)

        return await self._file.run(write)

    async def delete(self, key: str) -> None:
        """Forget `key`."""
        name = _hashed(key)
        await self._file.run(lambda connection: _delete(connection, name))

    async def clear(self) -> None:
        """Forget all."""
        await self._file.run(lambda connection: connection.execute("DELETE FROM entries"))

    async def used_bytes(self) -> int:
        """Return what all entries together take."""
        return await self._file.run(_total)

    async def aclose(self) -> None:
        """Close the file."""
        await self._file.aclose()

    def _read(
        self, connection: sqlite3.Connection, name: bytes
    ) -> tuple[bytes, float] | None:
        find = "SELECT value, kept_at, ends_at FROM entries WHERE key = ?"
        row = connection.execute(find, (name,)).fetchone()
        if row is None:
            return None
        now = self._now()
        if not row[1] <= now < row[2]:
            _delete(connection, name)
            return None
        used = _next_use(connection)
        connection.execute("UPDATE entries SET used = ? WHERE key = ?", (used, name))
        return row[0], now - row[1]

    def _write(
        self, connection: sqlite3.Connection, name: bytes, data: bytes, keep_s: float
    ) -> bool:
        _delete(connection, name)
        size = ENTRY_BYTES + len(data)
        if size > self.max_bytes:
            return False
        now = self._now()
        row = (name, data, now, now + keep_s, _next_use(connection), size)
        connection.execute("INSERT INTO entries VALUES (?, ?, ?, ?, ?, ?)", row)
        while _total(connection) > self.max_bytes:
            oldest = "SELECT key FROM entries ORDER BY used LIMIT 1"
            connection.execute(f"DELETE FROM entries WHERE key = ({oldest})")
        return True


def _delete(connection: sqlite3.Connection, name: bytes) -> None:
    connection.execute("DELETE FROM entries WHERE key = ?", (name,))


def _next_use(connection: sqlite3.Connection) -> int:
    connection.execute("UPDATE total SET used = used + 1")
    used: int = connection.execute("SELECT used FROM total").fetchone()[0]
    return used


def _total(connection: sqlite3.Connection) -> int:
    total: int = connection.execute("SELECT bytes FROM total").fetchone()[0]
    return total


def _hashed(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()
