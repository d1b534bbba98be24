"""The Redis store: journal and leases under the keys {plait}:* of one database.

Writes are scripts (scripts/*.lua; common.lua lists the keys). They go to the server in
batches (plait.stores.batches), each in one pipeline.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence

from plait.model.caller import DEFAULT_TENANT
from plait.ports.counts import COUNT_MAX
from plait.ports.journal import (
    IN_LANE,
    QUEUED,
    RUNNING,
    Append,
    Created,
    Entry,
    History,
    Hold,
    Message,
    NewExecution,
    Search,
    Standing,
    Summary,
    UnknownExecution,
    UnknownPlan,
)
from plait.ports.leases import Claimed
from plait.stores.batches import News
from plait.stores.damaged import KEY_LOOKS_MAX, key_of_nobody, tell_damaged, whole_of
from plait.stores.doubts import Doubts
from plait.stores.redis.rows import (
    PREFIX,
    fields_of,
    key_field,
    messages_of,
    name_of,
    packed,
    row_of,
    standing_of,
    summary_of,
    unpacked,
    waiting_of,
)
from plait.stores.redis.scripting import Scripts
from plait.stores.redis.search import count, find
from plait.stores.redis.server import Server
from plait.stores.redis.session import CHANNEL, SLICE, Session
from plait.stores.redis.upkeep import RedisUpkeep


class RedisStore(RedisUpkeep):
    """Keeps executions in a Redis database. Implements Journal, Leases and Upkeep.

    Make it with `open`, inside a running event loop.
    """

    def __init__(self, server: Server) -> None:
        name = secrets.token_hex(8)
        super().__init__(server, Scripts(server))
        self._session = Session(server, self._scripts, name)
        self._doubts = Doubts(name)
        self._news = News(lambda: self._publish(name))

    @classmethod
    async def open(cls, url: str) -> RedisStore:
        """Connect to `redis://user:password@host:port/number`.

        Raises:
            StoreTooNew: A newer version has changed the store.
            StoreNotDurable: The server may lose what it has acknowledged.
            StoreUnavailable: The server cannot be reached or used.
        """
        server = Server(url)
        await server.open()
        store = cls(server)
        number: bytes | None = b"0"
        while server.is_old and number is not None:
            number = await store._scripts.run("migrate", "", number)
        return store

    async def close(self) -> None:
        """Finish what was asked for, and close the connections."""
        await self._scripts.close()
        await self._news.close()
        await self._session.close()
        await self._server.close()

    # -- Journal -----------------------------------------------------------------------

    async def create(
        self,
        new: NewExecution,
        entries: Sequence[Entry],
        standing: Standing,
        owner: str,
        under: Hold | None = None,
    ) -> Created:
        """See plait.ports.journal.Journal."""
        for _ in range(KEY_LOOKS_MAX):
            created = await self._created(new, entries, standing, owner, under)
            if created is not None:
                return created
        raise key_of_nobody(f"Redis at {self._server.place}", new)

    async def _created(
        self,
        new: NewExecution,
        entries: Sequence[Entry],
        standing: Standing,
        owner: str,
        under: Hold | None,
    ) -> Created | None:
        """Begin an execution; None: it has a key of one that has gone meanwhile."""
        length, head = len(entries), entries[-1].digest
        with self._doubts.about(owner) as token:
            row = row_of(new, standing, length, head, token)
            known = await self._scripts.run(
                "create",
                new.execution_id,
                new.execution_id,
                new.workflow,
                key_field(new.workflow, new.key, new.tenant),
                new.parent or "",
                standing.status,
                new.priority,
                owner,
                new.lane or "",
                new.lane_max,
                standing.at_ms,
                standing.error_code or "",
                "" if new.tenant == DEFAULT_TENANT else new.tenant,
                *_condition(under),
                len(new.tags),
                length,
                *new.tags,
                *map(packed, entries),
                *row,
            )
        if isinstance(known, bytes):
            first = await self._summary(known.decode())
            return None if first is None else Created(first, is_new=False)
        lane_state = QUEUED if known else IN_LANE
        holder = None if known or standing.status != RUNNING else owner
        summary = Summary(new, standing, length, head, 1, holder, lane_state)
        return Created(summary, is_new=True)

    async def append(self, append: Append) -> None:
        """See plait.ports.journal.Journal."""
        entries, standing = append.entries, append.standing
        await self._scripts.run(
            "append",
            append.execution_id,
            append.execution_id,
            append.expected_length,
            append.epoch,
            int(append.is_released),
            *standing_of(standing),
            entries[-1].digest if entries else "",
            int(append.is_begun),
            int(append.begins_history),
            len(entries),
            len(append.put_aside),
            *_condition(append.under),
            *map(packed, entries),
            *append.put_aside,
            *append.heard,
        )
        self._news.tell_of(append)

    async def read(self, execution_id: str) -> History:
        """See plait.ports.journal.Journal."""
        row, entries = f"{PREFIX}x:{execution_id}", f"{PREFIX}h:{execution_id}"
        with self._server.errors():
            while True:
                # No transaction: a full server refuses those, and has to be read still.
                pipeline = self._server.client.pipeline(transaction=False)
                pipeline.hgetall(row)
                pipeline.lrange(entries, 0, -1)
                pipeline.hgetall(row)
                pipeline.hgetall(f"{PREFIX}a:{execution_id}")
                pipeline.hgetall(f"{PREFIX}m:{execution_id}")
                before, listed, after, aside, told = await pipeline.execute()
                if not before:
                    raise UnknownExecution(execution_id)
                summary = summary_of(before)
                # Else something was appended meanwhile, or the history began anew.
                if after and summary_of(after).length == summary.length:
                    kept = messages_of(execution_id, aside)
                    waiting = waiting_of(execution_id, told)
                    found = [unpacked(one) for one in listed]
                    return History(summary, found, kept, waiting)

    async def find(self, search: Search) -> list[Summary]:
        """See plait.ports.journal.Journal."""
        with self._server.errors():
            return await find(self._server.client, self._scripts, search)

    async def count(self, search: Search, count_max: int = COUNT_MAX) -> int | None:
        """See plait.ports.counts.Counts."""
        with self._server.errors():
            return await count(self._server.client, self._scripts, search, count_max)

    async def post(self, message: Message) -> None:
        """See plait.ports.journal.Journal."""
        execution_id = message.execution_id
        arguments = (execution_id, message.message_id, message.body)
        await self._scripts.run("post", execution_id, *arguments)
        self._news.tell()

    async def save_plan(self, plan_hash: str, data: bytes) -> None:
        """See plait.ports.journal.Journal."""
        with self._server.errors():
            await self._server.client.hsetnx(f"{PREFIX}plans", plan_hash, data)

    async def load_plan(self, plan_hash: str) -> bytes:
        """See plait.ports.journal.Journal."""
        with self._server.errors():
            data: bytes | None = await self._server.client.hget(f"{PREFIX}plans", plan_hash)
        if data is None:
            raise UnknownPlan(plan_hash)
        return data

    # -- Leases ------------------------------------------------------------------------

    async def join(self, worker_id: str) -> None:
        """See plait.ports.leases.Leases."""
        await self._session.join(worker_id)

    async def beat(self, worker_id: str, now_ms: int, until_ms: int) -> list[Message]:
        """See plait.ports.leases.Leases."""
        return await self._session.beat(worker_id, now_ms, until_ms)

    async def claim(self, worker_id: str, now_ms: int, limit: int) -> Claimed:
        """See plait.ports.leases.Leases."""
        doubtful = self._doubts.of(worker_id)
        with self._doubts.about(worker_id) as token:
            wanted = (worker_id, now_ms, limit, token)
            rows, wake, damaged = await self._scripts.run("claim", "", *wanted, *doubtful)
        for execution_id in damaged:
            tell_damaged(execution_id.decode(), "it is not the one that was written")
        held = whole_of(map(fields_of, rows), summary_of, name_of)
        return Claimed(held, None if wake is None else int(float(wake)))

    async def take(self, worker_id: str, now_ms: int, execution_id: str) -> Summary:
        """See plait.ports.leases.Leases."""
        with self._doubts.about(worker_id) as token:
            wanted = (worker_id, now_ms, execution_id, token)
            row = await self._scripts.run("take", execution_id, *wanted)
        return summary_of(fields_of(row))

    async def release(self, worker_id: str, executions: list[str]) -> None:
        """See plait.ports.leases.Leases."""
        for first in range(0, len(executions), SLICE):
            piece = executions[first : first + SLICE]
            await self._scripts.run("release", "", worker_id, *piece)
        self._news.tell()

    async def leave(self, worker_id: str) -> None:
        """See plait.ports.leases.Leases."""
        await self._session.leave(worker_id)
        self._news.tell()

    async def changed(self) -> None:
        """See plait.ports.leases.Leases."""
        await self._session.heard()

    # -- helpers -----------------------------------------------------------------------

    async def _summary(self, execution_id: str) -> Summary | None:
        with self._server.errors():
            row = await self._server.client.hgetall(f"{PREFIX}x:{execution_id}")
        return summary_of(row) if row else None

    async def _publish(self, name: str) -> None:
        with self._server.errors():
            await self._server.client.publish(CHANNEL, name)


def _condition(under: Hold | None) -> tuple[str, int]:
    """Return the arguments of a script that say what has to hold still."""
    return ("", 0) if under is None else (under.execution_id, under.epoch)
