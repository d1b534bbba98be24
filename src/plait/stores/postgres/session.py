"""The session of a process's workers: a connection that lives as long as they do.

It keeps an advisory lock for each worker. The server drops the locks when the process ends,
however it ends, so after a `kill -9` the next worker takes over at once and need not wait
until a lease has run out. A process that hangs keeps its locks and loses its executions by
its lease. When the server itself was restarted no lock is left of anybody's; then, too,
only the leases count.

It also hears the news of other processes, and beats go through it: one that beats has its
locks.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from itertools import chain, repeat
from typing import Any, Final

from plait.ports.journal import StoreUnavailable
from plait.stores.postgres.server import Server, punctual

CHANNEL: Final = "plait_news"

_BACK_OFF_S: Final = (0.05, 0.2, 0.5, 1.0)
# Shared: a worker that reconnects need not wait until the server has noticed that its old
# connection is dead.
_LOCK: Final = "SELECT pg_advisory_lock_shared($1)"
_STARTED: Final = "SELECT pg_postmaster_start_time()::text"


class Session:
    """One connection, opened anew whenever it is lost.

    Args:
        name: What this process's own news are signed with.
    """

    def __init__(self, server: Server, name: str) -> None:
        self._server = server
        self._name = name
        self._connection: Any = None
        self._started = ""
        self._workers: set[str] = set()
        self._mutex = asyncio.Lock()
        self._news = asyncio.Event()

    async def close(self) -> None:
        """Drop the locks and the connection."""
        connection, self._connection = self._connection, None
        if connection is not None and not connection.is_closed():
            with self._server.errors():
                await connection.close()

    @asynccontextmanager
    async def use(self) -> AsyncIterator[Any]:
        """Lend the connection, to one at a time; every worker's lock is held on it.

        Raises:
            StoreUnavailable: There is none to be had, or it was lost meanwhile.
        """
        async with self._mutex:
            connection = await self._connected()
            with self._server.errors():
                async with punctual(connection):
                    yield connection

    async def hold(self, worker_id: str) -> None:
        """Keep the worker's lock until `drop`, or until the process ends."""
        async with self.use() as connection:
            if worker_id not in self._workers:
                await connection.execute(_LOCK, lock_of(worker_id))
                self._workers.add(worker_id)

    async def drop(self, worker_id: str) -> None:
        """Let the worker's lock go."""
        async with self.use() as connection:
            if worker_id in self._workers:
                self._workers.discard(worker_id)
                unlock = "SELECT pg_advisory_unlock_shared($1)"
                await connection.execute(unlock, lock_of(worker_id))

    def server_of(self, worker_id: str) -> str | None:
        """Return the start of the server that has the worker's lock; None: none has."""
        return self._started if worker_id in self._workers else None

    @property
    def started(self) -> str:
        """Return the start of the server that the session is on."""
        return self._started

    async def heard(self) -> None:
        """Return after news, or after the connection was lost and is there again."""
        for delay_s in chain(_BACK_OFF_S, repeat(_BACK_OFF_S[-1])):
            with suppress(StoreUnavailable):
                async with self.use():
                    break
            await asyncio.sleep(delay_s)
        await self._news.wait()
        self._news.clear()

    async def _connected(self) -> Any:
        if self._connection is None or self._connection.is_closed():
            # News of the meantime are lost: whoever waits had better look.
            self._news.set()
            self._connection = await self._opened()
        return self._connection

    async def _opened(self) -> Any:
        connection = await self._server.connect()
        try:
            with self._server.errors():
                connection.add_termination_listener(lambda _: self._news.set())
                await connection.add_listener(CHANNEL, self._hear)
                for worker_id in sorted(self._workers):
                    await connection.execute(_LOCK, lock_of(worker_id))
                self._started = await connection.fetchval(_STARTED)
        except BaseException:
            connection.terminate()
            raise
        return connection

    def _hear(self, *notice: object) -> None:
        if notice[-1] != self._name:
            self._news.set()


def lock_of(worker_id: str) -> int:
    """Return the number of the worker's advisory lock, from 0 to 2**63 - 1."""
    digest = hashlib.sha256(f"plait worker {worker_id}".encode()).digest()
    return int.from_bytes(digest[:8]) >> 1
