"""Workers that freeze and die: a durable driver, and its way to the store.

Rule 1. A dead worker does nothing any more: what it waits for never comes.
Rule 2. A frozen worker sends nothing and hears nothing until it thaws; what it had sent
        before takes effect meanwhile.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from contextvars import ContextVar
from dataclasses import replace
from typing import Any, Final, TypeVar

from plait.drivers.children import Workflows
from plait.drivers.journal import JournalDriver, Store, Times
from plait.drivers.journal.terms import HELD_MAX
from plait.kernel import Kernel, Limits
from plait.kernel.codec import load_turn
from plait.kernel.events import CallCompleted
from plait.plan import Plan
from plait.ports.calls import Calls
from plait.ports.journal import (
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
    StoreFull,
    StoreUnavailable,
    Summary,
)
from plait.ports.leases import Claimed
from plait.testing.durable.faults import Fate, Fault
from plait.testing.durable.ledger import Ledger
from plait.testing.durable.upstreams import Upstreams, WorkerCalls

T = TypeVar("T")

TIMES: Final = Times(lease_ms=1_000, beat_ms=250)
# Of the executions of a storm, some 20.
_FEW: Final = 2
IS_ONLOOKER: Final[ContextVar[bool]] = ContextVar("is_onlooker", default=False)
"""True where somebody only looks: what they are shown has no consequences."""


# A history that has more events begins anew, where loops are: so that storms meet that too.
_EVENTS_KEPT: Final = 50


def kernel_for(plan: Plan) -> Kernel:
    """Return what decides the executions of a plan in every worker."""
    return Kernel(plan, limits=Limits(events_kept=_EVENTS_KEPT))


class WorkerDied(Exception):
    """What was asked of a worker that is no more."""


class Worker:
    """One process. Make it inside the simulation's loop; `live` ends with its death."""

    def __init__(
        self,
        worker_id: str,
        fate: Fate,
        ledger: Ledger,
        store: Store,
        upstreams: Upstreams,
        workflows: Workflows,
        *,
        make_store: Callable[[Worker, Store, Ledger], WorkerStore] | None = None,
    ) -> None:
        self.worker_id = worker_id
        self.lot = fate.lot(worker_id)
        self.is_frozen = False
        self.has_seen_damage = False
        loop = asyncio.get_running_loop()
        self._died: asyncio.Future[None] = loop.create_future()
        self._thawed = asyncio.Event()
        self._postponed: list[Callable[[], object]] = []
        # Whoever waits for a dead worker is kept, or it would be collected as it waits.
        self._never: list[asyncio.Future[None]] = []
        ahead_s = self.lot.seconds(-0.3, 0.3) if self.lot.falls(Fault.CLOCK_AHEAD) else 0
        held_max = _FEW if self.lot.falls(Fault.LITTLE_ROOM) else HELD_MAX
        calls: Calls = WorkerCalls(self, upstreams)
        self.store = (make_store or WorkerStore)(self, store, ledger)
        self.driver = JournalDriver(
            self.store,
            calls,
            kernel_for,
            worker_id=worker_id,
            times=TIMES,
            workflows=workflows,
            held_max=held_max,
            wall_clock_s=lambda: loop.time() + ahead_s,
        )

    @property
    def is_alive(self) -> bool:
        """Tell whether it has not died."""
        return not self._died.done()

    def die(self) -> None:
        """Be no more, from this instant on."""
        if self.is_alive:
            self._died.set_result(None)

    async def death(self) -> None:
        """Return when it has died."""
        await asyncio.shield(self._died)

    async def ask(self, work: Awaitable[T]) -> T:
        """Wait for what the worker was asked for.

        Raises:
            WorkerDied: It died over it.
        """
        task = asyncio.ensure_future(work)
        try:
            both: list[asyncio.Future[Any]] = [task, self._died]
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
            if not task.done() or not self.is_alive:
                raise WorkerDied(self.worker_id)
            return await task
        finally:
            task.cancel()
            while not self.is_alive and not task.done():
                # Whoever tidies up on their way out waits for a dead worker there, too.
                await asyncio.sleep(0)
                task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    def freeze(self) -> None:
        """Stop until `thaw`."""
        self.is_frozen = True
        self._thawed.clear()

    def thaw(self) -> None:
        """Go on as if nothing had happened."""
        self.is_frozen = False
        self._thawed.set()
        postponed, self._postponed = self._postponed, []
        for work in postponed:
            self.when_awake(work)

    def when_awake(self, work: Callable[[], object]) -> None:
        """Do `work` now, or at the thaw, or never."""
        if not self.is_alive:
            return
        if self.is_frozen:
            self._postponed.append(work)
        else:
            work()

    async def passage(self) -> None:
        """Return once the worker is awake; never when it is dead."""
        while True:
            if not self.is_alive:
                self._never.append(asyncio.get_running_loop().create_future())
                await self._never[-1]
            if not self.is_frozen:
                return
            await self._thawed.wait()


class WorkerStore:
    """One worker's way to the store, on which everything goes wrong that can.

    Implements plait.drivers.journal.Store.
    """

    def __init__(self, worker: Worker, store: Store, ledger: Ledger) -> None:
        self._worker = worker
        self._store = store
        self._ledger = ledger
        self._lot = worker.lot

    async def close(self) -> None:
        """The store stays for the others."""

    async def _reach(self) -> None:
        """Wait as long as the way to the store takes."""
        await asyncio.sleep(self._lot.seconds(0.0002, 0.003))
        if self._lot.falls(Fault.STORE_SLOW):
            await asyncio.sleep(self._lot.seconds(0.05, 1.5))
        await self._worker.passage()

    async def _write(self, write: Callable[[], Awaitable[T]]) -> T:
        """Write, unless it is refused; lose the answer, or the worker, now and then."""
        await self._reach()
        if self._lot.falls(Fault.CRASH_BEFORE_WRITE):
            await self._perish()
        if self._lot.falls(Fault.WRITE_REFUSED):
            raise StoreUnavailable("the store refused the connection")
        if self._lot.falls(Fault.STORE_FULL):
            raise StoreFull("there is no space left")
        written = await write()
        if self._lot.falls(Fault.CRASH_AFTER_WRITE):
            await self._perish()
        if self._lot.falls(Fault.ACKNOWLEDGEMENT_LOST):
            raise StoreUnavailable("the connection was lost")
        await self._reach()
        return written

    async def _recover(self, read: Callable[[], Awaitable[T]]) -> T:
        await self._reach()
        if self._lot.falls(Fault.CRASH_IN_RECOVERY):
            await self._perish()
        found = await read()
        await self._reach()
        return found

    async def _perish(self) -> None:
        self._worker.die()
        await self._worker.passage()

    def _now_s(self) -> float:
        return asyncio.get_running_loop().time()

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

        async def write() -> Created:
            created = await self._store.create(new, entries, standing, owner, under)
            self._ledger.created(owner, new, entries, created)
            return created

        is_promoted = new.execution_id in self._ledger.unwritten
        created = await self._write(write)
        if is_promoted and self._lot.falls(Fault.PROMOTION_LOST):
            raise StoreUnavailable("the connection was lost")
        return created

    async def append(self, append: Append) -> None:
        """See plait.ports.journal.Journal."""

        async def write() -> None:
            try:
                await self._append(append)
            except LostRace:
                self._lot.fate.fired[Fault.STALE_WRITE] += 1
                raise
            if append.entries and self._lot.falls(Fault.WRITE_TWICE):
                with suppress(LostRace):
                    await self._append(append)

        await self._write(write)

    async def _append(self, append: Append) -> None:
        if append.execution_id in self._ledger.refused and any(
            map(_is_answer, append.entries)
        ):
            raise StoreUnavailable("the store does not take that in")
        await self._store.append(append)
        self._ledger.appended(self._worker.worker_id, append, self._now_s())

    async def read(self, execution_id: str) -> History:
        """See plait.ports.journal.Journal. Now and then a bit of it is wrong."""
        history = await self._recover(lambda: self._store.read(execution_id))
        self._ledger.showed(self._worker.worker_id, history.summary)
        account, summary = self._ledger.accounts[execution_id], history.summary
        # As it was read: by now the worker may hold it in another epoch.
        is_ours = summary.owner == self._worker.worker_id
        if not is_ours or account.terminal_count or IS_ONLOOKER.get():
            return history
        if not self._lot.falls(Fault.HISTORY_DAMAGED):
            return history
        self._worker.has_seen_damage = True
        account.damaged_epochs.add(summary.epoch)
        return damaged(history, self._lot.random.randrange(1 << 30))

    async def find(self, search: Search) -> list[Summary]:
        """See plait.ports.journal.Journal."""
        return await self._recover(lambda: self._store.find(search))

    async def post(self, message: Message) -> None:
        """See plait.ports.journal.Journal."""

        async def write() -> None:
            await self._store.post(message)
            self._ledger.posted(message)

        await self._write(write)

    async def save_plan(self, plan_hash: str, data: bytes) -> None:
        """See plait.ports.journal.Journal."""
        await self._write(lambda: self._store.save_plan(plan_hash, data))

    async def load_plan(self, plan_hash: str) -> bytes:
        """See plait.ports.journal.Journal."""
        return await self._recover(lambda: self._store.load_plan(plan_hash))

    # -- Leases ------------------------------------------------------------------------

    async def join(self, worker_id: str) -> None:
        """See plait.ports.leases.Leases."""
        await self._write(lambda: self._store.join(worker_id))

    async def beat(self, worker_id: str, now_ms: int, until_ms: int) -> list[Message]:
        """See plait.ports.leases.Leases."""

        async def write() -> list[Message]:
            messages = await self._store.beat(worker_id, now_ms, until_ms)
            self._ledger.beaten(worker_id, now_ms, until_ms, messages)
            return messages

        return await self._write(write)

    async def claim(self, worker_id: str, now_ms: int, limit: int) -> Claimed:
        """See plait.ports.leases.Leases."""

        async def write() -> Claimed:
            claimed = await self._store.claim(worker_id, now_ms, limit)
            for summary in claimed.executions:
                self._ledger.handed(worker_id, summary, now_ms)
            return claimed

        return await self._write(write)

    async def take(self, worker_id: str, now_ms: int, execution_id: str) -> Summary:
        """See plait.ports.leases.Leases."""

        async def write() -> Summary:
            summary = await self._store.take(worker_id, now_ms, execution_id)
            self._ledger.handed(worker_id, summary, now_ms)
            return summary

        return await self._write(write)

    async def release(self, worker_id: str, executions: list[str]) -> None:
        """See plait.ports.leases.Leases."""

        async def write() -> None:
            await self._store.release(worker_id, executions)
            self._ledger.released(worker_id, executions)

        await self._write(write)

    async def leave(self, worker_id: str) -> None:
        """See plait.ports.leases.Leases."""

        async def write() -> None:
            await self._store.leave(worker_id)
            self._ledger.released(worker_id, None)

        await self._write(write)

    async def changed(self) -> None:
        """See plait.ports.leases.Leases."""
        await self._store.changed()
        await self._worker.passage()


def _is_answer(entry: Entry) -> bool:
    return isinstance(load_turn(entry.body)[0], CallCompleted)


def damaged(history: History, bit: int) -> History:
    """Return a copy of `history` with one bit of one entry turned over."""
    entries = list(history.entries)
    number = bit % len(entries)
    body = bytearray(entries[number].body)
    place = (bit // len(entries)) % (len(body) * 8)
    body[place // 8] ^= 1 << (place % 8)
    entries[number] = replace(entries[number], body=bytes(body))
    return History(history.summary, entries)
