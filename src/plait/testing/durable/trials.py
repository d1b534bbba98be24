"""One execution whose worker dies at the writes of one's choice, in virtual time.

    found = trial(Work(plan, {}), script, crashes=[Crash(7, Position.INSIDE)])
    assert not found.broken

A storm draws its faults by lot; here nothing goes wrong but what was asked for. So every
write of a history can be tried, one after the other.

Rule. Only writes to the journal count, of all workers together: not beats, nor claims.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import suppress
from enum import StrEnum
from typing import Any, Final

from plait.drivers.journal import Start, is_at_rest
from plait.kernel import Kernel
from plait.kernel.codec import load_turn
from plait.kernel.events import Event
from plait.model.errors import PlaitError
from plait.model.record import record
from plait.operations import course
from plait.ports.calls import Call
from plait.ports.journal import RUNNING, Append, History, LostRace
from plait.stores.memory import MemoryStore
from plait.testing.durable.faults import Fate
from plait.testing.durable.invariants import wrong_with
from plait.testing.durable.ledger import Ledger
from plait.testing.durable.storm import quiet
from plait.testing.durable.upstreams import Upstreams
from plait.testing.durable.worker import Worker, WorkerDied, WorkerStore
from plait.testing.durable.world import Work
from plait.testing.script import Answer, Script, answer_to
from plait.testing.virtual_time import run_virtually

EXECUTION: Final = "x"
# A hand that dies keeps what it holds for 30 s, and the longest workflow takes some more.
TRIAL_S_MAX: Final = 120.0
# On its way to the store a write outlives its worker by this much.
LATE_S: Final = 0.02
LIVES_MAX: Final = 20


class Position(StrEnum):
    """Where, in the making of a write, its worker dies."""

    BEFORE = "before"
    """Nothing was sent."""
    INSIDE = "inside"
    """It was sent, and takes effect when its worker is no more."""
    AFTER = "after"
    """It has taken effect, and nobody has heard of that."""


@record
class Crash:
    """A death.

    Attributes:
        nth: At which write it comes, from 1, counted from the crash before.
    """

    nth: int
    position: Position


@record
class Reached:
    """A call that has reached the upstream, when `entry_count` entries were recorded."""

    call: Call
    entry_count: int


@record
class Trial:
    """What one execution came to.

    Attributes:
        broken: What does not hold, in words.
        history: All that was recorded; None: it was not even begun.
        calls: Every call as it reached the upstream, repeated ones too.
        writes: The events of each write that was asked for, in order, refused ones too.
        fired: How many of the crashes have come.
    """

    broken: list[str]
    history: History | None
    calls: list[Reached]
    writes: list[list[Event]]
    fired: int


def trial(
    work: Work,
    script: Script,
    *,
    crashes: Sequence[Crash] = (),
    rolled_back_with: Script | None = None,
) -> Trial:
    """Run one execution, worker after worker, until it has ended.

    Args:
        crashes: When workers die: each counts from the one before.
        rolled_back_with: Once it has ended it is rolled back, with this script.
    """

    async def main() -> Trial:
        hospital = _Trial(work, script, [*crashes], rolled_back_with)
        return await hospital.run()

    with quiet():
        return run_virtually(main())


class _Trial:
    def __init__(
        self, work: Work, script: Script, crashes: list[Crash], mended: Script | None
    ) -> None:
        self.fate = Fate(0, {})
        self.ledger = Ledger(self.fate)
        self.store = MemoryStore()
        self.writes: list[list[Event]] = []
        self.fired = 0
        self._work = work
        self._script = script
        self._mended = mended
        self._crashes = crashes
        self._left = 0
        self._late: list[asyncio.Task[None]] = []
        self._calls: list[Reached] = []
        self._upstreams = Upstreams(self.fate, self.ledger, self._answer)
        # The dead are kept: what still waits for them would be collected as it waits.
        self._workers: list[Worker] = []
        self._next_crash()

    async def run(self) -> Trial:
        """Live life after life until nothing is left to be done."""
        try:
            async with asyncio.timeout(TRIAL_S_MAX):
                await self._whole(self._see_to_its_end)
                if self._mended is not None:
                    self._script = self._mended
                    await self._whole(self._roll_back)
        except TimeoutError:
            self.ledger.breach("it has not come to its end")
        except PlaitError as error:
            self.ledger.breach(f"{error.code}: {error}")
        history = await self._judged()
        found = (self.ledger.broken, history, self._calls, self.writes, self.fired)
        return Trial(*found)

    def _answer(self, call: Call) -> Answer:
        entry_count = len(self.ledger.accounts[EXECUTION].entries)
        self._calls.append(Reached(call, entry_count))
        return answer_to(self._script, call)

    async def _judged(self) -> History | None:
        account = self.ledger.accounts.get(EXECUTION)
        if account is None:
            return None
        history = await self.store.read(EXECUTION)
        if not self.ledger.broken:
            for text in await wrong_with(self.store, account, history):
                self.ledger.breach(text)
        return history

    # -- lives -------------------------------------------------------------------------

    async def _whole(self, live: Callable[[Worker], Awaitable[None]]) -> None:
        """Do something, by as many workers as it takes."""
        for _ in range(LIVES_MAX):
            worker = self._worker()
            try:
                await worker.ask(live(worker))
                return
            except WorkerDied:
                continue
            finally:
                worker.die()
                await worker.driver.perish()
        self.ledger.breach(f"{LIVES_MAX} workers did not bring it to its end")

    def _worker(self) -> Worker:
        name = f"worker-{len(self._workers) + 1}"
        children = {one.name: one for one in self._work.children}
        worker = Worker(
            name,
            self.fate,
            self.ledger,
            self.store,
            self._upstreams,
            lambda _, name: children.get(name),
            make_store=self._mortal_store,
        )
        self._workers.append(worker)
        return worker

    def _mortal_store(self, *given: Any) -> WorkerStore:
        return _MortalStore(self, *given)

    async def _see_to_its_end(self, worker: Worker) -> None:
        await worker.driver.open()
        start = Start(EXECUTION, self._work.input, key="once")
        await worker.driver.start(self._work.plan, start)
        await worker.driver.ended(EXECUTION, is_at_rest)

    async def _roll_back(self, worker: Worker) -> None:
        """Ask for it as a command does, then be the worker that does it."""
        while not await self._is_asked_for(worker):
            await asyncio.sleep(1)
        await worker.driver.open()
        await worker.driver.ended(EXECUTION, is_at_rest)

    async def _is_asked_for(self, worker: Worker) -> bool:
        summary = (await self.store.read(EXECUTION)).summary
        if summary.standing.status in (RUNNING, "compensated"):
            return True
        now_ms, name = worker.driver.now_ms(), worker.worker_id
        hand = course.Hand(worker.store, Kernel, name, now_ms, {})
        try:
            await course.rollback(hand, EXECUTION, "mended")
        except LostRace:  # a hand that has died holds it still
            await worker.store.beat(name, now_ms, now_ms + 1_000)
            return False
        return True

    # -- deaths ------------------------------------------------------------------------

    def comes(self, events: list[Event]) -> Position | None:
        """Count a write; tell where in its making its worker dies, if it does."""
        self.writes.append(events)
        self._left -= 1
        if self._left or not self._crashes:
            return None
        position = self._crashes.pop(0).position
        self.fired += 1
        self._next_crash()
        return position

    def send(self, late: Coroutine[Any, Any, None]) -> None:
        """Let a write go on its way that outlives its worker."""
        self._late.append(asyncio.get_running_loop().create_task(late))

    def _next_crash(self) -> None:
        self._left = self._crashes[0].nth if self._crashes else 0


class _MortalStore(WorkerStore):
    """The way to the store of a worker that may die at each write."""

    def __init__(self, world: _Trial, *given: Any) -> None:
        super().__init__(*given)
        self._world = world

    async def create(self, *given: Any) -> Any:
        """See plait.ports.journal.Journal."""
        entries = given[1]
        events = [one for entry in entries for one in load_turn(entry.body)]
        # A later life that starts it anew, by its key, writes nothing.
        if EXECUTION in self._ledger.accounts:
            return await super().create(*given)
        position = self._world.comes(events)
        if position is Position.INSIDE:
            # Its answer is lost with its worker: as good as after.
            position = Position.AFTER
        return await self._mortal(
            position, lambda: super(_MortalStore, self).create(*given)
        )

    async def append(self, append: Append) -> None:
        """See plait.ports.journal.Journal."""
        events = [one for entry in append.entries for one in load_turn(entry.body)]
        position = self._world.comes(events)
        if position is Position.INSIDE:
            self._world.send(self._arrive_late(append))
            await self._perish()
        write = super().append
        await self._mortal(position, lambda: write(append))

    async def _arrive_late(self, append: Append) -> None:
        await asyncio.sleep(LATE_S)
        with suppress(LostRace):
            await self._append(append)

    async def _mortal(
        self, position: Position | None, write: Callable[[], Awaitable[Any]]
    ) -> Any:
        if position is Position.BEFORE:
            await self._perish()
        written = await write()
        if position is Position.AFTER:
            await self._perish()
        return written
