"""Readers: connections that neither wait for the writer nor stop it.

Rule 1. Each query sees the database as of one moment, and is over soon: while one is
        under way the log cannot begin anew.
Rule 2. One connection stays open for as long as the store does. SQLite would otherwise take
        down, with the last connection, what the next one has to build again, and on a full
        disk that is refused: reading must go on there.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, TypeVar

from plait.stores.sqlite.database import connect
from plait.stores.sqlite.faults import fault

T = TypeVar("T")

THREADS: Final = 2


class Readers:
    """Runs queries on the database at `path`; a few at once."""

    def __init__(self, path: Path, keeper: sqlite3.Connection) -> None:
        self._path = path
        self._keeper = keeper
        self._idle: deque[sqlite3.Connection] = deque()
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="plait-sqlite-read")

    async def run(self, query: Callable[[sqlite3.Connection], T]) -> T:
        """Return what `query` does; all that it reads is as of one moment.

        Raises:
            StoreUnavailable, StoreDamaged: It could not be read.
        """
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, self._query, query)

    async def close(self) -> None:
        """Let what is under way come to its end, and close all connections."""
        await asyncio.to_thread(self._close)

    def _close(self) -> None:
        self._threads.shutdown()
        for connection in (*self._idle, self._keeper):
            connection.close()

    def _query(self, query: Callable[[sqlite3.Connection], T]) -> T:
        connection = self._connection()
        try:
            connection.execute("BEGIN")
            try:
                found = query(connection)
            finally:
                connection.execute("ROLLBACK")
        except (sqlite3.Error, ValueError) as error:
            connection.close()
            raise fault(self._path, error) from error
        except BaseException:
            self._idle.append(connection)
            raise
        self._idle.append(connection)
        return found

    def _connection(self) -> sqlite3.Connection:
        try:
            return self._idle.pop()
        except IndexError:
            return connect(self._path)
