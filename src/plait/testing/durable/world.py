"""The world of a durable simulation: several workers on one store, and their clients.

For some seconds everything that can go wrong does. Then it is calm, and whatever was begun
has to come to its end. What must hold then is in plait.testing.durable.invariants.

Rule 1. Time is virtual, and every draw is by the seed: a seed repeats exactly.
Rule 2. Clients know only what they were told: a start that returned is acknowledged, a
        start that failed or whose worker died is not.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, TypeVar

from plait.drivers.journal import HistoryDamaged, Start, Store
from plait.drivers.journal.waiters import is_at_rest
from plait.model.errors import PlaitError
from plait.model.json import JsonValue
from plait.model.record import record
from plait.plan import Plan
from plait.ports.journal import RUNNING, Search, StoreUnavailable, Summary
from plait.testing.durable.faults import Fate, Fault, Lot
from plait.testing.durable.ledger import Ledger
from plait.testing.durable.rest import waits_for_rest
from plait.testing.durable.unwritten import promoted
from plait.testing.durable.upstreams import Upstreams
from plait.testing.durable.worker import IS_ONLOOKER, Worker, WorkerDied
from plait.testing.script import Script

T = TypeVar("T")

# For how long faults fire, and how long the longest execution may take after that.
STORM_S: Final = 12.0
CALM_S_MAX: Final = 600.0


@record
class Work:
    """One workflow to be run in the world.

    Attributes:
        is_steady: Its outcome does not depend on how long anything takes.
        children: The workflows that its `workflow` steps name.
    """

    plan: Plan
    input: JsonValue
    is_steady: bool = True
    children: tuple[Plan, ...] = ()


@dataclass(slots=True)
class Promise:
    """What a client was told.

    Attributes:
        execution_id: None until a start was acknowledged.
        cancel_at_s: When a wish to cancel was acknowledged.
        ended_as: What the client was told of its end.
    """

    work: Work
    execution_id: str | None = None
    cancel_at_s: float | None = None
    ended_as: str | None = None


class World:
    """Workers, clients, a store, upstreams, and the faults among them."""

    def __init__(self, fate: Fate, store: Store, script: Script, worker_count: int) -> None:
        self.fate = fate
        self.store = store
        self.ledger = Ledger(fate)
        self.promises: list[Promise] = []
        self.converged_at_s: float | None = None
        self._upstreams = Upstreams(fate, self.ledger, script)
        self._workflows: dict[str, Plan] = {}
        self._workers: list[Worker | None] = [None] * worker_count
        self._change = asyncio.Event()
        # The dead are kept: what still waits for them would be collected as it waits.
        self._all_workers: list[Worker] = []
        self._tasks: list[asyncio.Task[None]] = []

    async def run(self, works: Sequence[Work]) -> None:
        """Live through the storm, then wait until everything has ended."""
        self._workflows = {one.name: one for work in works for one in work.children}
        for number in range(len(self._workers)):
            self._spawn(self._keep_alive(number))
        self.promises = [Promise(work) for work in works]
        for number, promise in enumerate(self.promises):
            self._spawn(Client(self, promise, self.fate.lot(f"client {number}")).live())
        await asyncio.sleep(STORM_S)
        self.fate.is_calm = True
        for worker in self._workers:
            if worker is not None and worker.has_seen_damage:
                worker.die()
        if not self.ledger.broken:  # else more would only follow from what is known
            with suppress(TimeoutError):
                async with asyncio.timeout(CALM_S_MAX):
                    await self._everything_ended()
                    self.converged_at_s = self.now_s()
        await self._clear_away()

    def now_s(self) -> float:
        """Return the virtual moment."""
        return asyncio.get_running_loop().time()

    async def any_worker(self, lot: Lot) -> Worker:
        """Return a worker that lives; wait for one if none does."""
        while True:
            alive = [one for one in self._workers if one is not None and one.is_alive]
            if alive:
                return lot.random.choice(alive)
            self._change.clear()
            await self._change.wait()

    def kill_holder(self, execution_id: str) -> None:
        """Let the worker die that holds an execution, before it can hear of anything."""
        holder = self.ledger.accounts[execution_id].holder
        for worker in self._workers:
            if worker is not None and worker.worker_id == holder:
                worker.die()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        self._tasks.append(asyncio.get_running_loop().create_task(work))

    async def _everything_ended(self) -> None:
        while await self._goes_on():
            await asyncio.sleep(0.25)

    async def _goes_on(self) -> bool:
        """Tell whether an execution, or a client, has not come to its end yet."""
        waiting: set[str | None] = set()
        limit = len(self.ledger.accounts) + 1
        for one in await self.store.find(Search(statuses=(RUNNING,), limit=limit)):
            if one.new.execution_id in self._cancelled():
                return True
            if await waits_for_rest(self.store, one):
                waiting.add(one.new.execution_id)
            elif not is_at_rest(one.standing):
                return True
        # Whoever waits for one of these waits for a person, too.
        clients = zip(self._tasks[len(self._workers) :], self.promises, strict=True)
        asking = [task for task, one in clients if one.execution_id not in waiting]
        for task in asking:
            if task.done():
                task.result()  # raises what went wrong in it
        return not all(task.done() for task in asking)

    def _cancelled(self) -> set[str | None]:
        """Return what nobody may leave at rest: clients were told that it will end."""
        promises = (one for one in self.promises if one.cancel_at_s is not None)
        return {one.execution_id for one in promises}

    async def _clear_away(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    # -- workers -----------------------------------------------------------------------

    async def _keep_alive(self, number: int) -> None:
        """Start worker after worker: each time one has died, the next."""
        lot = self.fate.lot(f"place {number}")
        life = 0
        while True:
            life += 1
            name = f"worker-{number}.{life}"
            worker = Worker(
                name,
                self.fate,
                self.ledger,
                self.store,
                self._upstreams,
                lambda _, name: self._workflows.get(name),
            )
            self._all_workers.append(worker)
            try:
                await self._live(number, worker, lot)
            finally:
                worker.die()
                self._workers[number] = None
                await worker.driver.perish()
            await asyncio.sleep(lot.seconds(0.05, 1.5))

    async def _live(self, number: int, worker: Worker, lot: Lot) -> None:
        with suppress(StoreUnavailable, WorkerDied):
            await worker.ask(worker.driver.open())
            self._workers[number] = worker
            self._change.set()
            trouble = asyncio.get_running_loop().create_task(_trouble(worker, lot))
            try:
                await worker.death()
            finally:
                trouble.cancel()


async def _trouble(worker: Worker, lot: Lot) -> None:
    """Freeze the worker for a while, or end it, at moments of the lot's choice."""
    while True:
        await asyncio.sleep(lot.seconds(0.2, 4))
        if lot.falls(Fault.FREEZE):
            worker.freeze()
            # Leases last a second: some freezes are shorter, most are longer.
            await asyncio.sleep(lot.seconds(0.2, 3))
            worker.thaw()
        elif lot.falls(Fault.CRASH_WHENEVER):
            worker.die()


class Client:
    """Starts one execution, and perhaps starts it again, cancels it, waits for its end."""

    def __init__(self, world: World, promise: Promise, lot: Lot) -> None:
        self._world = world
        self._promise = promise
        self._lot = lot
        self._number = 0
        self._name = f"{lot.random.getrandbits(48):012x}"

    async def live(self) -> None:
        """Do all of it; return when there is nothing more to ask for."""
        await asyncio.sleep(self._lot.seconds(0, 5))
        is_keyed = self._lot.random.random() < 0.8
        lot = self._world.fate.lot(f"promoted {self._name}")
        if lot.chooses(Fault.PROMOTED) and not self._promise.work.children:
            is_keyed = False
            summary = await self._promote(lot)
        else:
            summary = await self._start(is_keyed)
        if summary is None:
            return
        self._acknowledged(summary)
        if is_keyed and self._lot.falls(Fault.STARTED_TWICE):
            again = await self._start(is_keyed)
            if again is not None:
                self._acknowledged(again)
        if self._lot.falls(Fault.CANCELLED):
            await self._cancel()
        if self._lot.random.random() < 0.3:
            await self._hear_of_the_end()

    def _acknowledged(self, summary: Summary) -> None:
        execution_id, ledger = summary.new.execution_id, self._world.ledger
        if execution_id not in ledger.accounts:
            ledger.breach(f"{execution_id}: its start was acknowledged, and not recorded")
        if self._promise.execution_id not in (None, execution_id):
            ledger.breach(f"{execution_id}: another start of the same key gave another")
        self._promise.execution_id = execution_id

    async def _promote(self, lot: Lot) -> Summary | None:
        """Begin in memory, and have it written if it lasts."""
        worker = await self._world.any_worker(self._lot)
        work, name = self._promise.work, f"{self._name}-1"
        start = Start(name, work.input)
        return await promoted(worker, work.plan, start, self._world.ledger, lot)

    async def _start(self, is_keyed: bool) -> Summary | None:
        """Start until it is acknowledged; without a key only once."""
        key = f"order-{self._name}" if is_keyed else None
        # A parent that nobody runs any more leaves its children as they are, for ever.
        lot = self._world.fate.lot(f"refused {self._name}")
        is_parent = bool(self._promise.work.children)
        is_refused = not is_parent and lot.falls(Fault.TURN_REFUSED)
        is_deadly = not is_parent and lot.chooses(Fault.DEADLY)
        while True:
            self._number += 1
            name = f"{self._name}-{self._number}"
            if is_refused:
                self._world.ledger.refused.add(name)
            if is_deadly:
                self._world.ledger.deadly[name] = None
            start = Start(name, self._promise.work.input, key=key)
            asked = await self._ask(partial(_started, self._promise.work.plan, start))
            if asked is not None or not is_keyed:
                return asked
            await asyncio.sleep(self._lot.seconds(0.01, 0.5))

    async def _cancel(self) -> None:
        """Ask until it is acknowledged, by one message id."""
        await asyncio.sleep(self._lot.seconds(0, 4))
        name = self._promise.execution_id
        assert name is not None
        posted = None
        while posted is None:
            posted = await self._ask(lambda one: _cancelled(one, name))
        self._promise.cancel_at_s = self._world.now_s()
        lot = self._world.fate.lot(f"wish {self._name}")
        if lot.falls(Fault.CRASH_AFTER_WISH):
            self._world.kill_holder(name)
        if self._world.ledger.accounts[name].terminal_count:
            self._world.fate.fired[Fault.CANCEL_RACED] += 1

    async def _hear_of_the_end(self) -> None:
        IS_ONLOOKER.set(True)
        name = self._promise.execution_id
        assert name is not None
        summary = None
        while summary is None:
            summary = await self._ask(lambda one: one.driver.ended(name, is_at_rest))
        ledger = self._world.ledger
        self._promise.ended_as = summary.standing.status
        is_over = self._promise.ended_as != RUNNING
        if is_over and not ledger.accounts[name].terminal_count:
            ledger.breach(f"{name}: its end was told before it was recorded")

    async def _ask(self, verb: Callable[[Worker], Awaitable[T]]) -> T | None:
        """Ask any worker; return None when nothing is known of what came of it."""
        worker = await self._world.any_worker(self._lot)
        try:
            return await worker.ask(verb(worker))
        except (StoreUnavailable, WorkerDied):
            return None
        except PlaitError as error:
            if worker.has_seen_damage and error.code == HistoryDamaged.code:
                return None  # as it should: that worker does not run it
            self._world.ledger.breach(f"a client was refused: {error.code}: {error}")
            return None


async def _started(plan: Plan, start: Start, worker: Worker) -> Summary:
    return await worker.driver.start(plan, start)


async def _cancelled(worker: Worker, execution_id: str) -> bool:
    await worker.driver.cancel(execution_id, "changed our mind", f"cancel {execution_id}")
    return True
