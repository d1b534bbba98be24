"""Whether a child that has failed goes on is decided by when its parent was resumed."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

from plait.drivers.journal import Start, entry_of
from plait.drivers.journal.messages import given_up_message
from plait.kernel import Kernel
from plait.kernel.events import ExecutionResumed
from plait.model.failure import Failure
from plait.operations import Hand, cancel, resume
from plait.ports.calls import Call, CallHandle, CallReply, Done
from plait.ports.journal import Append, History, Search, StoreUnavailable, Summary
from plait.stores.memory import MemoryStore
from plait.testing.virtual_time import run_virtually
from tests.simulation.asking import ask, plan_with
from tests.unit.drivers.workers import a_while, driver_on

CHILD = plan_with(ask("ship", effect="keyed"), name="child")
KID: Any = {"id": "kid", "type": "workflow", "request": {"name": "child"}}
PARENT = plan_with(KID)


class Shop:
    """Is sold out when it is asked first, and only then; each answer takes 20 s."""

    def __init__(self) -> None:
        self.count = 0

    def start(self, call: Call, done: Done) -> CallHandle:
        self.count += 1
        sold_out = Failure("connector.http.404", "sold out")
        outcome = sold_out if self.count == 1 else CallReply(call.step, {})
        return asyncio.get_running_loop().call_later(20, done, outcome)

    async def close(self) -> None:
        """Nothing to close."""


class DamagedLater(MemoryStore):
    """Takes in nothing of the parent's for a while.

    After that the parent's history is shown once as it is, and then as if it had been
    resumed after its child failed.
    """

    takes_in = False
    reads = 0

    async def append(self, append: Append) -> None:
        if append.execution_id == "x" and append.entries and not self.takes_in:
            raise StoreUnavailable("away")
        await super().append(append)

    async def read(self, execution_id: str) -> History:
        history = await super().read(execution_id)
        self.reads += execution_id == "x" and self.takes_in
        if execution_id != "x" or self.reads < 2:
            return history
        at_ms = int(asyncio.get_running_loop().time() * 1000)
        forged = entry_of([ExecutionResumed([], at_ms, 1)], history.summary.head)
        return replace(history, entries=[*history.entries, forged])


def test_a_child_is_not_let_go_on_by_a_damaged_history_of_its_parent() -> None:
    async def main() -> tuple[str, int]:
        store, shop = DamagedLater(), Shop()
        first = driver_on(store, "first", shop, workflows=lambda *_: CHILD)
        await first.open()
        await first.start(PARENT, Start("x", None))
        await a_while(30)
        await first.perish()
        await store.leave("first")
        store.takes_in = True
        heir = driver_on(store, "heir", shop, workflows=lambda *_: CHILD)
        await heir.open()
        status = (await heir.ended("x")).standing.status
        await heir.close()
        return status, shop.count

    assert run_virtually(main()) == ("failed", 1)


def test_a_wish_to_cancel_that_came_after_the_end_ends_no_child_that_goes_on() -> None:
    async def main() -> tuple[str, int]:
        store, shop = MemoryStore(), Shop()
        driver = driver_on(store, "w", shop, workflows=lambda *_: CHILD)
        await driver.open()
        await driver.start(PARENT, Start("x", None))
        await driver.ended("x")
        (child,) = await store.find(Search(workflow="child"))
        # A worker that held the parent before says so late.
        await store.post(given_up_message(child.new.execution_id))
        await a_while(0.1)
        await resume(Hand(store, Kernel, "hand", driver.now_ms(), {}), "x")
        driver.stir()
        status = (await driver.ended("x")).standing.status
        await driver.close()
        return status, shop.count

    assert run_virtually(main()) == ("completed", 2)


class SlowToTake(MemoryStore):
    """A second goes by between the look at a child and its taking."""

    async def take(self, worker_id: str, now_ms: int, execution_id: str) -> Summary:
        if execution_id != "x":
            await a_while(1)
        return await super().take(worker_id, now_ms, execution_id)


def test_a_child_is_not_let_go_on_by_a_worker_that_has_lost_its_parent() -> None:
    async def main() -> tuple[str, str | None, int]:
        store, shop = SlowToTake(), Shop()
        driver = driver_on(store, "w", shop, workflows=lambda *_: CHILD)
        await driver.open()
        await driver.start(PARENT, Start("x", None))
        await driver.ended("x")
        hand = Hand(store, Kernel, "hand", driver.now_ms(), {})
        await resume(hand, "x")
        driver.stir()
        await a_while(0.5)
        await store.leave("w")  # as when its lease has run out
        await cancel(hand, "x", "enough")
        await a_while(1)
        await driver.perish()
        (child,) = await store.find(Search(workflow="child"))
        return child.standing.status, child.owner, shop.count

    assert run_virtually(main()) == ("failed", None, 1)
