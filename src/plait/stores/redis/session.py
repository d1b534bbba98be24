"""The session of a process's workers: a connection that lives as long as they do.

Beats go through it and leave its id with the worker's lease. Once the server no longer
lists the connection, its process has ended, however it ended: after a `kill -9` the next
worker takes over at once. A process that hangs keeps its connection and loses its
executions by its lease. After a restart of the server no old connection is left of
anybody's; then, and where CLIENT LIST is not allowed, only the leases count.

News of other processes come by a connection of their own.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from itertools import chain, repeat
from typing import Any, Final

from redis import exceptions

from plait.ports.journal import Message, StoreUnavailable
from plait.stores.redis.rows import NUMBER_BYTES, PREFIX
from plait.stores.redis.scripting import Scripts
from plait.stores.redis.server import Server

CHANNEL: Final = f"{PREFIX}news"
_BACK_OFF_S: Final = (0.05, 0.2, 0.5, 1.0)
# What one script frees: some 30 ms, in which the server does nothing else.
SLICE: Final = 1_000
# What one beat frees takes no second, or it would come late: the next does the rest.
_SLICES_MAX: Final = 20


class Session:
    """The connection of the workers, and the ear for news.

    Args:
        name: What this process's own news are signed with.
    """

    def __init__(self, server: Server, scripts: Scripts, name: str) -> None:
        self._server = server
        self._scripts = scripts
        self._name = name.encode()
        self._client = server.single()
        self._mutex = asyncio.Lock()
        self._news = asyncio.Event()
        self._ear: asyncio.Task[None] | None = None

    async def close(self) -> None:
        """Close both connections."""
        if self._ear is not None:
            self._ear.cancel()
            with suppress(asyncio.CancelledError):
                await self._ear
        await self._client.connection_pool.disconnect()

    async def join(self, worker_id: str) -> None:
        """See plait.ports.leases.Leases.join."""
        client_id, run_id = await self._identity()
        await self._scripts.run("join", "", worker_id, client_id, run_id)

    async def beat(self, worker_id: str, now_ms: int, until_ms: int) -> list[Message]:
        """See plait.ports.leases.Leases.beat."""
        client_id, run_id = await self._identity()
        dead = await self._dead(worker_id, run_id)
        lease = (worker_id, now_ms, until_ms, client_id, run_id, SLICE)
        found, is_more = await self._scripts.run("beat", "", *lease, *dead)
        slices = 1
        while is_more and slices < _SLICES_MAX:
            is_more = await self._scripts.run("bury", "", SLICE)
            slices += 1
        found.sort(key=lambda message: message[2][:NUMBER_BYTES])
        return [
            Message(id_.decode(), execution_id.decode(), body[NUMBER_BYTES:])
            for id_, execution_id, body in found
        ]

    async def leave(self, worker_id: str) -> None:
        """See plait.ports.leases.Leases.leave. A beat does what it leaves undone."""
        while await self._scripts.run("leave", "", worker_id, SLICE):
            pass

    async def heard(self) -> None:
        """Return after news, or after the connection was lost and is there again."""
        if self._ear is None:
            self._ear = asyncio.get_running_loop().create_task(self._listen())
        await self._news.wait()
        self._news.clear()

    async def _identity(self) -> tuple[int, str]:
        """Return the ids of the connection and of the server's run, connecting if needed.

        The server may have closed the connection meanwhile, so the first try may fail.
        """
        async with self._mutex:
            with self._server.errors():
                try:
                    return await self._asked()
                except exceptions.ConnectionError:
                    return await self._asked()

    async def _asked(self) -> tuple[int, str]:
        info = await self._client.info("server")
        return await self._client.client_id(), str(info["run_id"])

    async def _dead(self, worker_id: str, run_id: str) -> list[bytes]:
        """Return the workers whose connection has gone, each with its entry as seen."""
        with self._server.errors():
            kept = await self._server.client.hgetall(f"{PREFIX}workers")
            others = {
                other: entry
                for other, entry in kept.items()
                if other.decode() != worker_id and entry.split(b"|")[2] == run_id.encode()
            }
            clients = {int(entry.split(b"|")[1]) for entry in others.values()}
            if not clients:
                return []
            with suppress(exceptions.ResponseError):
                listed = await self._server.client.client_list(client_id=sorted(clients))
                gone = clients - {int(one["id"]) for one in listed}
                dead = {
                    other: entry
                    for other, entry in others.items()
                    if int(entry.split(b"|")[1]) in gone
                }
                return [part for pair in dead.items() for part in pair]
        return []

    async def _listen(self) -> None:
        delays_s = chain(_BACK_OFF_S, repeat(_BACK_OFF_S[-1]))
        while True:
            with suppress(StoreUnavailable), self._server.errors():
                async with self._server.client.pubsub() as pubsub:
                    await pubsub.subscribe(CHANNEL)
                    delays_s = chain(_BACK_OFF_S, repeat(_BACK_OFF_S[-1]))
                    await self._hear(pubsub)
            await asyncio.sleep(next(delays_s))

    async def _hear(self, pubsub: Any) -> None:
        """Wake whoever waits, with the confirmation of the subscription for a start."""
        while True:
            message = await pubsub.get_message(timeout=5.0)
            if message is not None and message["data"] != self._name:
                self._news.set()
