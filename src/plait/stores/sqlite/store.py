"""The SQLite store: journal and leases over one database file.

Writes go through one thread that commits many of them together (writer); reads have
connections of their own and, under WAL, neither wait for the writer nor stop it.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable, Collection, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

from plait.ports.blobs import BlobDamaged
from plait.ports.counts import COUNT_MAX
from plait.ports.derived import Difference
from plait.ports.journal import (
    Append,
    Created,
    Entry,
    History,
    Hold,
    Message,
    NewExecution,
    Search,
    Standing,
    StoreUnavailable,
    Summary,
    UnknownExecution,
    UnknownPlan,
)
from plait.ports.leases import Claimed
from plait.stores.damaged import filled
from plait.stores.derived import compared
from plait.stores.faults import StoreDamaged
from plait.stores.sqlite import derived, indexes, jobs, searches, upkeep
from plait.stores.sqlite.backup import backup
from plait.stores.sqlite.database import opened
from plait.stores.sqlite.payloads import Payloads
from plait.stores.sqlite.piecemeal import Piecemeal
from plait.stores.sqlite.readers import Readers
from plait.stores.sqlite.rows import SELECT, summary_of
from plait.stores.sqlite.workers import WorkerLocks
from plait.stores.sqlite.writer import Writer

T = TypeVar("T")

# How soon a worker hears of what another process has written. A look costs 30 µs.
_LOOK_EVERY_S: Final = 0.1
_SWEPT_AT_JOIN: Final = 1_000


class SqliteStore:
    """Keeps executions in the file at `path`. Implements Journal, Leases and Upkeep.

    Make it with `open`, inside a running event loop.
    """

    def __init__(self, path: Path, writer: Writer, readers: Readers) -> None:
        self._path = path
        self._writer = writer
        self._readers = readers
        self._payloads = Payloads(path, writer)
        self._locks = WorkerLocks(path)
        self._piecemeal = Piecemeal(writer)
        self._seen = 0
        # The workflow that the latest claim ended with.
        self._came_last = ""

    @classmethod
    async def open(cls, path: Path) -> SqliteStore:
        """Open the store, making file and folder if need be, and bring its schema up.

        Raises:
            StoreTooNew: A newer version has changed it.
            StoreUnavailable: It cannot be opened.
        """
        connection, keeper = await asyncio.to_thread(opened, path)
        return cls(path, Writer(path, connection), Readers(path, keeper))

    async def close(self) -> None:
        """Finish what was asked for, and close the file."""
        await self._writer.close()
        await self._readers.close()

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
        job = partial(jobs.create, new=new, standing=standing, owner=owner, under=under)
        return await self._payloads.submit(entries, job)

    def append(self, append: Append) -> Awaitable[None]:
        """See plait.ports.journal.Journal."""
        job = partial(jobs.append, wanted=append)
        return self._payloads.submit(append.entries, job)

    async def read(self, execution_id: str) -> History:
        """See plait.ports.journal.Journal."""
        query = partial(_history, execution_id=execution_id, entry_of=self._payloads.entry)
        try:
            return await self._readers.run(query)
        except BlobDamaged:
            # Perhaps the execution was removed while it was read: then it is unknown now.
            return await self._readers.run(query)

    async def find(self, search: Search) -> list[Summary]:
        """See plait.ports.journal.Journal."""
        return await searches.find(self._readers.run, search)

    async def count(self, search: Search, count_max: int = COUNT_MAX) -> int | None:
        """See plait.ports.counts.Counts."""
        return await searches.count(self._readers.run, search, count_max)

    async def post(self, message: Message) -> None:
        """See plait.ports.journal.Journal."""
        await self._writer.submit(partial(jobs.post, message=message))

    async def save_plan(self, plan_hash: str, data: bytes) -> None:
        """See plait.ports.journal.Journal."""
        await self._writer.submit(partial(jobs.save_plan, plan_hash=plan_hash, data=data))

    async def load_plan(self, plan_hash: str) -> bytes:
        """See plait.ports.journal.Journal."""
        return await self._readers.run(partial(_plan, plan_hash=plan_hash))

    # -- Leases ------------------------------------------------------------------------

    async def join(self, worker_id: str) -> None:
        """See plait.ports.leases.Leases."""
        await asyncio.to_thread(self._locks.hold, worker_id)
        # What a worker that died had saved and not named. A full disk is no reason to stay.
        with suppress(StoreUnavailable):
            await self._payloads.sweep(_SWEPT_AT_JOIN)

    async def beat(self, worker_id: str, now_ms: int, until_ms: int) -> list[Message]:
        """See plait.ports.leases.Leases."""
        dead = await asyncio.to_thread(self._locks.bury)
        job = partial(
            jobs.beat, worker_id=worker_id, now_ms=now_ms, until_ms=until_ms, dead=dead
        )
        try:
            return await self._writer.submit(job)
        except StoreDamaged:
            return await self._piecemeal.beat(worker_id, now_ms, until_ms, dead)

    async def claim(self, worker_id: str, now_ms: int, limit: int) -> Claimed:
        """See plait.ports.leases.Leases."""
        job = partial(
            jobs.claim,
            worker_id=worker_id,
            now_ms=now_ms,
            limit=limit,
            after=self._came_last,
            left_out=frozenset(self._piecemeal.unreadable),
        )
        try:
            claimed, self._came_last = await self._writer.submit(job)
        except StoreDamaged:
            return await self._piecemeal.claim(worker_id, now_ms, limit)
        return claimed

    async def take(self, worker_id: str, now_ms: int, execution_id: str) -> Summary:
        """See plait.ports.leases.Leases."""
        job = partial(
            jobs.take, worker_id=worker_id, now_ms=now_ms, execution_id=execution_id
        )
        return await self._writer.submit(job)

    async def release(self, worker_id: str, executions: list[str]) -> None:
        """See plait.ports.leases.Leases."""
        job = partial(jobs.release, worker_id=worker_id, executions=executions)
        await self._writer.submit(job)

    async def leave(self, worker_id: str) -> None:
        """See plait.ports.leases.Leases."""
        await self._writer.submit(partial(jobs.leave, worker_id=worker_id))
        await asyncio.to_thread(self._locks.drop, worker_id)

    async def changed(self) -> None:
        """See plait.ports.leases.Leases."""
        while True:
            known = await self._writer.submit(jobs.foreign_writes)
            if self._seen != known:
                self._seen = known
                return
            await asyncio.sleep(_LOOK_EVERY_S)

    # -- Upkeep ------------------------------------------------------------------------

    async def ids(self) -> list[str]:
        """See plait.ports.upkeep.Upkeep."""
        return await self._readers.run(upkeep.ids)

    async def check(self) -> list[str]:
        """See plait.ports.upkeep.Upkeep."""
        return await asyncio.to_thread(upkeep.check, self._path)

    async def rebuild(self) -> list[Difference]:
        """See plait.ports.derived.Indexed."""
        return await asyncio.to_thread(indexes.rebuild, self._path)

    async def differences(
        self, *, mends: bool = False, unsure: Collection[str] = ()
    ) -> list[Difference]:
        """See plait.ports.derived.Derived."""
        return await compared(
            lambda: asyncio.to_thread(derived.tell, self._path),
            lambda found: self._piece(partial(derived.mend, found=found)),
            mends=mends,
            unsure=unsure,
        )

    async def backup(self, target: Path) -> None:
        """See plait.ports.upkeep.Upkeep."""
        await asyncio.to_thread(backup, self._path, target, self._payloads.blobs)

    async def charge(self, worker_id: str, now_ms: int, until_ms: int) -> bool:
        """See plait.ports.upkeep.Upkeep."""
        job = partial(upkeep.charge, worker_id=worker_id, now_ms=now_ms, until_ms=until_ms)
        return await self._writer.submit(job)

    async def ended(
        self,
        before_ms: int,
        statuses: Sequence[str],
        limit: int,
        after: Summary | None = None,
    ) -> list[Summary]:
        """See plait.ports.upkeep.Upkeep."""
        wanted = partial(upkeep.ended, before_ms=before_ms, statuses=statuses, after=after)

        async def fetch(count: int) -> tuple[list[Summary], int]:
            return await self._readers.run(partial(wanted, limit=count))

        return await filled(limit, fetch)

    async def remove(self, ended: Sequence[Summary]) -> list[str]:
        """See plait.ports.upkeep.Upkeep."""
        removed: list[str] = []
        for first in range(0, len(ended), upkeep.REMOVED_MAX):
            slice_ = ended[first : first + upkeep.REMOVED_MAX]
            removed += await self._piece(partial(upkeep.remove, ended=slice_))
        return removed

    async def tidy(self) -> int:
        """See plait.ports.upkeep.Upkeep."""
        while await self._piece(upkeep.clear_leftovers):
            pass
        freed = 0
        while byte_count := await self._piece(upkeep.free_pages):
            freed += byte_count
        return freed + await self._payloads.sweep()

    async def _piece(self, job: Callable[[sqlite3.Connection], T]) -> T:
        """Do a piece of upkeep, then rest for as long, so that others have their turn."""
        loop = asyncio.get_running_loop()
        begun_s = loop.time()
        done = await self._writer.submit(job, is_alone=True)
        await asyncio.sleep(loop.time() - begun_s)
        return done


def _history(
    connection: sqlite3.Connection,
    execution_id: str,
    entry_of: Callable[[bytes, bytes, str | None], Entry],
) -> History:
    row = connection.execute(f"{SELECT} WHERE e.id = ?", (execution_id,)).fetchone()
    if row is None:
        raise UnknownExecution(execution_id)
    entries = connection.execute(
        "SELECT body, digest, blob FROM entries"
        " WHERE execution = (SELECT number FROM executions WHERE id = ?) ORDER BY number",
        (execution_id,),
    )
    told = connection.execute(
        "SELECT is_heard, id, body FROM messages WHERE is_heard <> 1 AND execution ="
        " (SELECT number FROM executions WHERE id = ?) ORDER BY +number",
        (execution_id,),
    )
    messages: dict[int, list[Message]] = {jobs.ASIDE: [], jobs.WAITS: []}
    for is_heard, id_, body in told:
        messages[is_heard].append(Message(id_, execution_id, body))
    aside, waiting = messages.values()
    aside.sort(key=lambda message: message.message_id)
    listed = [entry_of(*entry) for entry in entries]
    return History(summary_of(row), listed, tuple(aside), tuple(waiting))


def _plan(connection: sqlite3.Connection, plan_hash: str) -> bytes:
    row = connection.execute(
        "SELECT body FROM plans WHERE hash = ?", (plan_hash,)
    ).fetchone()
    if row is None:
        raise UnknownPlan(plan_hash)
    data: bytes = row[0]
    return data
