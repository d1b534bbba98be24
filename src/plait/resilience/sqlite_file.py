"""A SQLite file that one thread of its own reads and writes.

Rule 1. Under WAL a power cut damages nothing. `synchronous=NORMAL` lets it undo the last
    commits, `FULL` does not.
Rule 2. Only files that this class has made are opened: `application_id` tells.
Rule 3. Statements run one after the other, each transaction immediate: other processes on
    the same file come before or after it, not in between.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import monotonic, sleep
from typing import Any, Final, Literal, TypeVar

T = TypeVar("T")
Work = Callable[[sqlite3.Connection], T]

BUSY_TIMEOUT_MS: Final = 5_000
_PAUSE_S: Final = 0.01


class SqliteFile:
    """Opened at the first use; `aclose` waits for what is under way, and closes it."""

    __slots__ = (
        "_application_id",
        "_connection",
        "_schema",
        "_synchronous",
        "_thread",
        "path",
    )

    def __init__(
        self,
        path: str | Path,
        *,
        schema: str,
        application_id: int,
        synchronous: Literal["NORMAL", "FULL"] = "NORMAL",
    ) -> None:
        """Remember where the file is, or is to be."""
        self.path = Path(path)
        self._schema = schema
        self._synchronous = synchronous
        self._application_id = application_id
        self._connection: sqlite3.Connection | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=f"plait-{self.path.stem}")

    async def run(self, work: Work[T]) -> T:
        """Return what `work` returns, in one transaction.

        A cancelled caller does not interrupt what has begun.

        Raises:
            sqlite3.Error: The file cannot be used.
            ValueError: The file is something else.
        """
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, self._transact, work)

    async def aclose(self) -> None:
        """Close the file; it can be used no more."""
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._thread, self._close)
        self._thread.shutdown(wait=False)

    def _transact(self, work: Work[T]) -> T:
        connection = self._connection
        if connection is None:
            connection = self._connection = self._opened()
        connection.execute("BEGIN IMMEDIATE")
        try:
            result = work(connection)
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
        return result

    def _opened(self) -> sqlite3.Connection:
        # Answers may be private; SQLite gives its log the same mode.
        os.close(os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600))
        connection = sqlite3.connect(self.path, isolation_level=None)
        try:
            self._prepare(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _prepare(self, connection: sqlite3.Connection) -> None:
        connection.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")
        self._check(connection)
        _keep_a_log(connection)
        connection.execute(f"PRAGMA synchronous = {self._synchronous}")
        connection.execute("BEGIN IMMEDIATE")
        self._check(connection)  # once more: another program may have made it meanwhile
        for statement in self._schema.split(";\n\n"):
            connection.execute(statement)
        connection.execute(f"PRAGMA application_id = {self._application_id}")
        connection.execute("COMMIT")

    def _check(self, connection: sqlite3.Connection) -> None:
        """Raise ValueError if the file is another program's."""
        # In this order: who makes the tables says in the same commit whose they are.
        has_tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        made_by = connection.execute("PRAGMA application_id").fetchone()[0]
        if has_tables and made_by != self._application_id:
            message = f"{self.path} is another program's database; name another file"
            raise ValueError(message)

    def _close(self) -> Any:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _keep_a_log(connection: sqlite3.Connection) -> None:
    """Begin write-ahead logging; whoever else writes to the file is waited for.

    SQLite does not wait here, whatever its busy timeout: it has begun to read. Of eight who
    opened one new file at once, one in 60 was told `database is locked`.
    """
    until_s = monotonic() + BUSY_TIMEOUT_MS / 1000
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            is_busy = error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY
            if not is_busy or monotonic() >= until_s:
                raise
            sleep(_PAUSE_S)
        else:
            return
