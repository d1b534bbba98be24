"""Lanes under fire: many starts, several workers that die, and never more side by side.

Time is virtual, and a worker dies at one of its writes: before it, so that nothing is kept,
or after it, so that it is kept and nobody is told.
"""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Sequence
from random import Random
from typing import Any, TypeVar

import pytest

from plait.drivers.journal import JournalDriver, Start, Times
from plait.kernel import Kernel
from plait.ports.calls import Call, CallHandle, CallReply, Done
from plait.ports.journal import (
    QUEUED,
    RUNNING,
    Append,
    Created,
    Entry,
    Hold,
    NewExecution,
    Search,
    Standing,
    StoreUnavailable,
)
from plait.stores.memory import MemoryStore
from plait.testing.virtual_time import run_virtually
from tests.simulation.asking import ask, plan_with
from tests.unit.drivers.workers import a_while

T = TypeVar("T")
TIMES = Times(lease_ms=2_000, beat_ms=500)
MAX = 2
STEPS = (
    ask("a"),
    {"id": "nap", "type": "wait", "for": "3s", "depends_on": ["a"]},
    ask("b", depends_on=["nap"]),
)


class WatchedStore(MemoryStore):
    """Looks at every write: how many are in each lane, and whether that is allowed.

    Attributes:
        most: The most that were in a lane at a time.
        queued: How many starts had to wait.
    """

    def __init__(self) -> None:
        super().__init__()
        self.inside: dict[str, set[str]] = defaultdict(set)
        self.most: Counter[str] = Counter()
        self.queued = 0

    def acts(self, execution_id: str) -> None:
        """Note that something is done for an execution."""
        new = self._histories[execution_id].summary.new
        if new.lane is not None:
            self.inside[new.lane].add(execution_id)
            self.most[new.lane] = max(self.most[new.lane], len(self.inside[new.lane]))

    async def create(
        self,
        new: NewExecution,
        entries: Sequence[Entry],
        standing: Standing,
        owner: str,
        under: Hold | None = None,
    ) -> Created:
        created = await super().create(new, entries, standing, owner, under)
        self.queued += created.summary.lane_state == QUEUED
        return created

    async def append(self, append: Append) -> None:
        await super().append(append)
        if append.standing.status != RUNNING:
            new = self._histories[append.execution_id].summary.new
            self.inside[new.lane or ""].discard(append.execution_id)


class MortalStore:
    """The store as one worker sees it, which dies at its write number `write_count`."""

    def __init__(self, store: WatchedStore, write_count: int, *, is_kept: bool) -> None:
        self._store = store
        self._left = write_count
        self._is_kept = is_kept
        self.died = asyncio.Event()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def create(self, *args: Any) -> Created:
        return await self._written(lambda: self._store.create(*args))

    async def append(self, append: Append) -> None:
        await self._written(lambda: self._store.append(append))

    async def claim(self, *args: Any) -> Any:
        return await self._store.claim(*args)

    async def _written(self, write: Callable[[], Awaitable[T]]) -> T:
        self._left -= 1
        if self._left > 0:
            return await write()
        if self._left == 0 and self._is_kept:
            await write()
        self.died.set()
        never: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        return await never


class WatchedCalls:
    """Answers every call after half a second of virtual time."""

    def __init__(self, store: WatchedStore) -> None:
        self._store = store

    def start(self, call: Call, done: Done) -> CallHandle:
        self._store.acts(call.execution_id)
        loop = asyncio.get_running_loop()
        return loop.call_later(0.5, done, CallReply(call.step, {}))

    async def close(self) -> None:
        """Nothing to close."""


class World:
    """Three places for workers; who dies is followed by another, until all is calm."""

    def __init__(self, seed: int) -> None:
        self.lot = Random(seed)
        self.store = WatchedStore()
        self.deaths = 0
        self.drivers: dict[int, JournalDriver] = {}
        self.is_calm = False
        self._all: list[JournalDriver] = []

    async def keep_alive(self, place: int) -> None:
        life = 0
        while True:
            life += 1
            writes = 10**9 if self.is_calm else self.lot.randint(1, 25)
            mortal = MortalStore(self.store, writes, is_kept=self.lot.random() < 0.5)
            loop = asyncio.get_running_loop()
            driver = JournalDriver(
                mortal,
                WatchedCalls(self.store),
                Kernel,
                worker_id=f"w{place}-{life}",
                times=TIMES,
                wall_clock_s=loop.time,
            )
            self._all.append(driver)
            await driver.open()
            self.drivers[place] = driver
            await mortal.died.wait()
            del self.drivers[place]
            self.deaths += 1
            await driver.perish()
            await asyncio.sleep(self.lot.uniform(0.1, 3))

    async def start(self, number: int) -> None:
        """Start one execution, by its key until that is acknowledged."""
        await asyncio.sleep(self.lot.uniform(0, 30))
        plan = plan_with(
            *STEPS,
            concurrency={"key": "${input.customer}", "max": MAX},
            priority="${input.priority}",
        )
        given: Any = {
            "customer": self.lot.choice(["ann", "ann", "ann", "bob", "eve"]),
            "priority": self.lot.choice([0, 0, 9]),
        }
        attempt = 0
        while True:
            attempt += 1
            while not self.drivers:
                await a_while(0.1)
            driver = self.drivers[self.lot.choice(sorted(self.drivers))]
            start = Start(f"x{number}-{attempt}", given, key=f"k{number}")
            try:
                async with asyncio.timeout(5):
                    summary = await driver.start(plan, start)
            except (StoreUnavailable, TimeoutError, asyncio.CancelledError):
                # The worker died over it, and took what it was doing with it.
                continue
            if self.lot.random() < 0.1:
                await asyncio.sleep(self.lot.uniform(0, 5))
                await self.cancel(summary.new.execution_id)
            return

    async def cancel(self, execution_id: str) -> None:
        while not self.drivers:
            await a_while(0.1)
        driver = self.drivers[self.lot.choice(sorted(self.drivers))]
        try:
            async with asyncio.timeout(5):
                await driver.cancel(execution_id, "over", f"cancel {execution_id}")
        except (TimeoutError, asyncio.CancelledError):
            return

    async def live(self, count: int) -> None:
        loop = asyncio.get_running_loop()
        places = [loop.create_task(self.keep_alive(place)) for place in range(3)]
        await asyncio.gather(*(self.start(number) for number in range(count)))
        self.is_calm = True
        running = Search(statuses=(RUNNING,), limit=count * 9)
        async with asyncio.timeout(3_600):
            while await self.store.find(running):
                await a_while(1)
                assert not any(one.done() for one in places)
        for one in places:
            one.cancel()
        await asyncio.gather(*places, return_exceptions=True)
        for driver in self._all:
            await driver.perish()


@pytest.mark.parametrize("seed", range(8))
def test_no_more_than_a_lane_takes_run_and_all_of_them_end(seed: int) -> None:
    world = World(seed)
    run_virtually(world.live(40))
    rows = run_virtually(world.store.find(Search(limit=1_000)))
    assert len({one.new.key for one in rows}) == len(rows) == 40
    assert {one.standing.status for one in rows} <= {"completed", "cancelled"}
    assert max(world.store.most.values()) == MAX
    assert world.deaths >= 5
    assert world.store.queued >= 5
