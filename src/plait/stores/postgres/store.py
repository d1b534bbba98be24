"""The PostgreSQL store: journal and leases in the schema `plait` of one database.

Appends and starts of one process go to the server in batches (plait.stores.batches), each
batch in one statement. The server must not stand behind a pooler that shares sessions
between transactions: workers are known by a lock of their session.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

from plait.ports.counts import COUNT_MAX
from plait.ports.journal import (
    QUEUED,
    RUNNING,
    Append,
    Created,
    Entry,
    History,
    Hold,
    LostRace,
    Message,
    NewExecution,
    Search,
    Standing,
    Summary,
    UnknownExecution,
    UnknownPlan,
)
from plait.ports.leases import Claimed
from plait.stores.batches import Batches, News
from plait.stores.damaged import KEY_LOOKS_MAX, key_of_nobody
from plait.stores.doubts import Doubts
from plait.stores.postgres import leases
from plait.stores.postgres.appends import Refusal, append_all
from plait.stores.postgres.creates import Start, create_all
from plait.stores.postgres.pages import Pages
from plait.stores.postgres.rows import COLUMNS, SELECT, is_kept_text, summary_of
from plait.stores.postgres.searches import count, find
from plait.stores.postgres.server import Server, fetch
from plait.stores.postgres.session import CHANNEL, Session
from plait.stores.postgres.upkeep import PostgresUpkeep
from plait.stores.unstorable import Unstorable

J = TypeVar("J")
R = TypeVar("R")

_POST = """
WITH known AS (SELECT number FROM executions WHERE id = $1), posted AS (
    INSERT INTO messages (execution, id, body) SELECT number, $2, $3 FROM known
    ON CONFLICT DO NOTHING
) SELECT number FROM known
"""


class PostgresStore(PostgresUpkeep):
    """Keeps executions in a PostgreSQL database. Implements Journal, Leases and Upkeep.

    Make it with `open`, inside a running event loop.
    """

    def __init__(self, server: Server) -> None:
        super().__init__(server)
        name = secrets.token_hex(8)
        self._session = Session(server, name)
        self._doubts = Doubts(name)
        self._pages = Pages()
        # The workflow that the latest claim ended with.
        self._came_last = ""
        self._news = News(lambda: self._publish(name))
        # Two that lock the rows of the same executions in another order would block each
        # other, and the server lets them do that for a second.
        self._locks_rows = asyncio.Lock()
        self._appends: Batches[Append, Refusal | None] = Batches(
            self._append_all,
            lambda job: _bytes_of(job.entries),
            lambda job: job.execution_id,
        )
        self._creates: Batches[Start, int | None] = Batches(
            self._create_all,
            lambda job: len(job.new.input) + _bytes_of(job.entries),
            lambda job: job.new.execution_id,
        )

    @classmethod
    async def open(cls, url: str) -> PostgresStore:
        """Connect to `postgresql://user:password@host:port/database`, and make the schema.

        Raises:
            StoreTooNew: A newer version has changed the schema.
            StoreNotDurable: The server may lose what it has acknowledged.
            StoreUnavailable: The server cannot be reached or used.
        """
        server = Server(url)
        await server.open()
        return cls(server)

    async def close(self) -> None:
        """Finish what was asked for, and close the connections."""
        await self._appends.close()
        await self._creates.close()
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
            with self._doubts.about(owner) as token:
                start = Start(new, entries, standing, owner, token, under)
                lane_state = await self._creates.submit(start)
            if lane_state is not None:
                head = entries[-1].digest
                is_held = lane_state != QUEUED and standing.status == RUNNING
                holder = owner if is_held else None
                summary = Summary(new, standing, len(entries), head, 1, holder, lane_state)
                return Created(summary, is_new=True)
            first = await self._first_of(new)
            if first is not None:
                return Created(first, is_new=False)
        raise key_of_nobody(f"PostgreSQL at {self._server.place}", new)

    async def _first_of(self, new: NewExecution) -> Summary | None:
        """Return the execution that was begun with the same key; None: it is gone again.

        Raises:
            LostRace: It is not the key that is taken.
        """
        where = f"{SELECT} WHERE e.workflow = $1 AND e.key = $2 AND e.tenant = $3"
        async with self._server.connection() as connection:
            first = await connection.fetchrow(where, new.workflow, new.key, new.tenant)
            if first is not None:
                return summary_of(first)
            known = "SELECT FROM executions WHERE id = $1"
            if await connection.fetchrow(known, new.execution_id) is not None:
                raise LostRace(new.execution_id)
        return None

    async def append(self, append: Append) -> None:
        """See plait.ports.journal.Journal."""
        await self._appends.submit(append)
        self._news.tell_of(append)

    async def read(self, execution_id: str) -> History:
        """See plait.ports.journal.Journal."""
        if not is_kept_text(execution_id):
            raise UnknownExecution(execution_id)
        statement = (
            f"SELECT {COLUMNS}, EXISTS (SELECT FROM messages m"
            " WHERE m.execution = e.number AND (m.is_aside OR NOT m.is_heard))"
            " FROM executions e"
            " JOIN standings s ON s.execution = e.number WHERE e.id = $1",
            "SELECT n.body, n.digest FROM entries n"
            " JOIN executions e ON e.number = n.execution"
            " WHERE e.id = $1 AND n.number < $2 ORDER BY n.number",
        )
        async with self._server.connection() as connection:
            length = -1
            while True:
                row = await connection.fetchrow(statement[0], execution_id)
                if row is None:
                    raise UnknownExecution(execution_id)
                summary = summary_of(row)
                # What was appended since is left out: entries never change.
                rows = await connection.fetch(statement[1], execution_id, summary.length)
                if rows or summary.length == length:
                    entries = [Entry(*entry) for entry in rows]
                    if not row[-1]:
                        return History(summary, entries)
                    messages = await _messages(connection, execution_id)
                    return History(summary, entries, *messages)
                # Between the two the history began anew: none of those is left.
                length = summary.length

    async def find(self, search: Search) -> list[Summary]:
        """See plait.ports.journal.Journal."""
        return await find(self._server, search)

    async def count(self, search: Search, count_max: int = COUNT_MAX) -> int | None:
        """See plait.ports.counts.Counts."""
        return await count(self._server, search, count_max)

    async def post(self, message: Message) -> None:
        """See plait.ports.journal.Journal."""
        if not is_kept_text(message.execution_id):
            raise UnknownExecution(message.execution_id)
        values = (message.execution_id, message.message_id, message.body)
        async with self._server.connection() as connection:
            if not await fetch(connection, _POST, *values):
                raise UnknownExecution(message.execution_id)
        self._news.tell()

    async def save_plan(self, plan_hash: str, data: bytes) -> None:
        """See plait.ports.journal.Journal."""
        insert = "INSERT INTO plans (hash, body) VALUES ($1, $2) ON CONFLICT DO NOTHING"
        async with self._server.connection() as connection:
            await connection.execute(insert, plan_hash, data)

    async def load_plan(self, plan_hash: str) -> bytes:
        """See plait.ports.journal.Journal."""
        select = "SELECT body FROM plans WHERE hash = $1"
        async with self._server.connection() as connection:
            data: bytes | None = await connection.fetchval(select, plan_hash)
        if data is None:
            raise UnknownPlan(plan_hash)
        return data

    # -- Leases ------------------------------------------------------------------------

    async def join(self, worker_id: str) -> None:
        """See plait.ports.leases.Leases."""
        await self._session.hold(worker_id)
        async with self._session.use() as connection:
            started = self._session.server_of(worker_id)
            await leases.join(connection, worker_id, started)

    async def beat(self, worker_id: str, now_ms: int, until_ms: int) -> list[Message]:
        """See plait.ports.leases.Leases."""
        async with self._session.use() as connection:
            server = self._session.server_of(worker_id)
            wanted = (worker_id, now_ms, until_ms, server, self._pages)
            return await leases.beat(connection, *wanted)

    async def claim(self, worker_id: str, now_ms: int, limit: int) -> Claimed:
        """See plait.ports.leases.Leases."""
        doubtful = self._doubts.of(worker_id)
        with self._doubts.about(worker_id) as token:
            async with self._server.connection() as connection:
                if doubtful:
                    await leases.give_back(connection, worker_id, doubtful)
                wanted = (worker_id, now_ms, limit, token, self._came_last)
                claimed, self._came_last = await leases.claim(
                    connection, *wanted, self._pages
                )
                return claimed

    async def take(self, worker_id: str, now_ms: int, execution_id: str) -> Summary:
        """See plait.ports.leases.Leases."""
        started = self._session.started
        with self._doubts.about(worker_id) as token:
            async with self._server.connection() as connection:
                wanted = (worker_id, now_ms, execution_id, started, token)
                return await leases.take(connection, *wanted)

    async def release(self, worker_id: str, executions: list[str]) -> None:
        """See plait.ports.leases.Leases."""
        async with self._server.connection() as connection:
            await leases.release(connection, worker_id, executions)
        self._news.tell()

    async def leave(self, worker_id: str) -> None:
        """See plait.ports.leases.Leases."""
        async with self._server.connection() as connection:
            await leases.leave(connection, worker_id)
        await self._session.drop(worker_id)
        self._news.tell()

    async def changed(self) -> None:
        """See plait.ports.leases.Leases."""
        await self._session.heard()

    # -- batches -----------------------------------------------------------------------

    async def _append_all(self, jobs: list[Append]) -> list[Refusal | Exception | None]:
        async with self._locks_rows:
            return await self._all(append_all, jobs)

    async def _create_all(self, jobs: list[Start]) -> list[int | Exception | None]:
        if all(job.under is None for job in jobs):
            return await self._all(create_all, jobs)
        async with self._locks_rows:
            return await self._all(create_all, jobs)

    async def _all(
        self, do: Callable[[Any, Sequence[J]], Awaitable[list[R]]], jobs: list[J]
    ) -> list[R | Exception]:
        """Do jobs together, or one by one when one of them has a value of no use."""
        try:
            async with self._server.connection() as connection:
                return [*await do(connection, jobs)]
        except Unstorable as error:
            if len(jobs) == 1:
                return [error]
            return [one for job in jobs for one in await self._all(do, [job])]

    async def _publish(self, name: str) -> None:
        async with self._server.connection() as connection:
            await connection.execute("SELECT pg_notify($1, $2)", CHANNEL, name)


async def _messages(
    connection: Any, execution_id: str
) -> tuple[tuple[Message, ...], tuple[Message, ...]]:
    """Return what was put aside, and what nobody has heard yet."""
    rows = await connection.fetch(
        "SELECT m.is_aside, m.id, m.body FROM messages m"
        " JOIN executions e ON e.number = m.execution"
        " WHERE e.id = $1 AND (m.is_aside OR NOT m.is_heard)"
        " ORDER BY m.number",
        execution_id,
    )
    told = [(is_aside, Message(id_, execution_id, body)) for is_aside, id_, body in rows]
    aside = [message for is_aside, message in told if is_aside]
    aside.sort(key=lambda message: message.message_id)
    return tuple(aside), tuple(message for is_aside, message in told if not is_aside)


def _bytes_of(entries: Sequence[Entry]) -> int:
    return sum(len(one.body) for one in entries)
