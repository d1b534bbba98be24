"""A parent that is resumed after its child was undone has another child do the work."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from plait.drivers.journal import Start
from plait.kernel import Kernel
from plait.model.failure import Failure
from plait.operations import Hand, resume
from plait.plan import Plan
from plait.ports.calls import Call, CallHandle, CallReply, Done, Outcome
from plait.ports.journal import Search
from plait.stores.memory import MemoryStore
from plait.testing.virtual_time import run_virtually
from tests.simulation.asking import ask, plan_with
from tests.unit.drivers.workers import a_while, driver_on

UNDO: Any = {"type": "ask", "effect": "keyed", "request": {"play": [], "arg": None}}
CHILD = plan_with(
    ask("pay", effect="keyed", compensate=UNDO),
    ask("ship", "${pay.response}", effect="keyed"),
    name="child",
    on_failure="compensate",
)
KID: Any = {"id": "kid", "type": "workflow", "request": {"name": "child"}}
PARENT = plan_with(KID, output="${kid.response}")


class Shop:
    """Answers at once; shipping fails as often as `failures` says, or hangs."""

    def __init__(self, failures: int) -> None:
        self.failures = failures
        self.hangs = False
        self.made: list[Call] = []

    def start(self, call: Call, done: Done) -> CallHandle:
        self.made.append(call)
        outcome: Outcome = CallReply(call.step, {})
        if call.step == "ship" and self.failures:
            self.failures -= 1
            outcome = Failure("connector.http.404", "sold out")
        delay_s = 1e9 if self.hangs and call.step == "ship" else 0.01
        return asyncio.get_running_loop().call_later(delay_s, done, outcome)

    async def close(self) -> None:
        """Nothing to close."""


def workflows(_: str, name: str) -> Plan:
    """Find the one child there is."""
    assert name == CHILD.name
    return CHILD


async def children(store: MemoryStore) -> list[str]:
    rows = await store.find(Search(workflow="child"))
    return [row.standing.status for row in reversed(rows)]


@pytest.mark.parametrize("failures", [1, 2])
def test_another_child_does_it_again_under_other_keys(failures: int) -> None:
    async def main() -> None:
        store, shop = MemoryStore(), Shop(failures)
        driver = driver_on(store, "w", shop, workflows=workflows)
        await driver.open()
        await driver.start(PARENT, Start("x", None))
        for number in range(failures):
            assert (await driver.ended("x")).standing.status == "failed"
            assert await children(store) == ["compensated"] * (number + 1)
            await a_while(0.1)
            await resume(Hand(store, Kernel, "hand", driver.now_ms(), {}), "x")
            driver.stir()
        assert (await driver.ended("x")).standing.status == "completed"
        assert await children(store) == [*["compensated"] * failures, "completed"]
        paid = [one.idempotency_key for one in shop.made if one.step == "pay"]
        assert len(set(paid)) == len(paid) == failures + 1
        await driver.close()

    run_virtually(main())


def test_after_a_crash_it_is_the_same_other_child() -> None:
    async def main() -> None:
        store, shop = MemoryStore(), Shop(1)
        driver = driver_on(store, "w", shop, workflows=workflows)
        await driver.open()
        await driver.start(PARENT, Start("x", None))
        await driver.ended("x")
        await a_while(0.1)
        await resume(Hand(store, Kernel, "hand", driver.now_ms(), {}), "x")
        shop.hangs = True
        driver.stir()
        await a_while(1)
        await driver.perish()
        await store.leave("w")
        shop.hangs = False
        heir = driver_on(store, "heir", shop, workflows=workflows)
        await heir.open()
        assert (await heir.ended("x")).standing.status == "completed"
        assert await children(store) == ["compensated", "completed"]
        await heir.close()

    run_virtually(main())


def test_the_other_child_too_is_cancelled_with_its_parent() -> None:
    async def main() -> None:
        store, shop = MemoryStore(), Shop(1)
        driver = driver_on(store, "w", shop, workflows=workflows)
        await driver.open()
        await driver.start(PARENT, Start("x", None))
        await driver.ended("x")
        await a_while(0.1)
        await resume(Hand(store, Kernel, "hand", driver.now_ms(), {}), "x")
        shop.hangs = True
        driver.stir()
        await a_while(1)
        await driver.cancel("x", "enough", "m")
        assert (await driver.ended("x")).standing.status == "cancelled"
        await a_while(5)
        assert "running" not in await children(store)
        await driver.close()

    run_virtually(main())
