"""SQLite store of an idempotency guard: processes of one machine, and the next start.

Times are by the machine's wall clock. `synchronous=FULL`: what was told to have begun or
ended is known after a loss of power, too.
"""

from __future__ import annotations

import hashlib
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from plait.resilience.idempotency.store import Record, State
from plait.resilience.sqlite_file import SqliteFile

_APPLICATION_ID: Final = 0x506C4964  # "PlId"
_SWEPT_AT_ONCE: Final = 10
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS records (
    key BLOB PRIMARY KEY, state TEXT NOT NULL, owner TEXT NOT NULL, request TEXT NOT NULL,
    data BLOB NOT NULL, ends_at REAL NOT NULL) WITHOUT ROWID;

CREATE INDEX IF NOT EXISTS by_end ON records (ends_at)
"""


class SqliteIdempotencyStore:
    """Records in one file of mode 0600; keys are in it as hashes."""

    __slots__ = ("_file", "_now")

    def __init__(
        self, path: str | Path, *, wall_clock: Callable[[], float] = time.time
    ) -> None:
        """Remember the file, whose folder must be there; it is made at the first use."""
        self._now = wall_clock
        self._file = SqliteFile(
            path, schema=_SCHEMA, application_id=_APPLICATION_ID, synchronous="FULL"
        )

    async def begin(self, key: str, owner: str, request: str, pending_s: float) -> Record:
        """Let `owner` in, or answer what stands there."""
        name = _hashed(key)

        def step(connection: sqlite3.Connection) -> Record:
            now = self._now()
            find = "SELECT state, request, data, ends_at, owner FROM records WHERE key = ?"
            row = connection.execute(find, (name,)).fetchone()
            is_own = row is not None and (row[0], row[4]) == (State.PENDING, owner)
            if row is not None and now < row[3] and not is_own:
                return Record(State(row[0]), row[1], row[2], row[3] - now)
            _sweep(connection, now)
            new = (name, State.PENDING.value, owner, request, b"", now + pending_s)
            connection.execute("REPLACE INTO records VALUES (?, ?, ?, ?, ?, ?)", new)
            return Record(State.BEGUN, request, b"", pending_s)

        return await self._file.run(step)

    async def finish(
        self, key: str, owner: str, state: State, data: bytes, keep_s: float
    ) -> bool:
        """Write how `owner`'s call ended."""
        set_to = "state = ?, data = ?, ends_at = ?"
        now = self._now()
        return await self._change(set_to, (state.value, data, now + keep_s), key, owner)

    async def extend(self, key: str, owner: str, pending_s: float) -> bool:
        """Let `owner`'s claim last longer."""
        return await self._change("ends_at = ?", (self._now() + pending_s,), key, owner)

    async def release(self, key: str, owner: str) -> None:
        """Forget `owner`'s claim."""
        await self._change("ends_at = ?", (0.0,), key, owner)

    async def aclose(self) -> None:
        """Close the file."""
        await self._file.aclose()

    async def _change(
        self, set_to: str, values: tuple[object, ...], key: str, owner: str
    ) -> bool:
        claim = (_hashed(key), owner, State.PENDING.value)
        where = "key = ? AND owner = ? AND state = ? AND ends_at > ?"
        statement = f"UPDATE records SET {set_to} WHERE {where}"

        def step(connection: sqlite3.Connection) -> bool:
            values_of = (*values, *claim, self._now())
            return connection.execute(statement, values_of).rowcount == 1

        return await self._file.run(step)


def _sweep(connection: sqlite3.Connection, now: float) -> None:
    """Remove some that have expired: more than come, so that the file does not grow."""
    expired = "SELECT key FROM records WHERE ends_at <= ? ORDER BY ends_at LIMIT ?"
    remove = f"DELETE FROM records WHERE key IN ({expired})"
    connection.execute(remove, (now, _SWEPT_AT_ONCE))


def _hashed(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()
