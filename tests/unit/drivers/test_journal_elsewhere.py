"""Calls that only some of the workers on a store can make: who cannot, lets go."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from plait.drivers.journal import JournalDriver, Start, Unkept
from plait.kernel import Kernel
from plait.kernel.codec import load_turn
from plait.kernel.events import WorkerLost
from plait.ports.calls import Call
from plait.ports.journal import Search, Summary
from plait.stores.memory import MemoryStore
from plait.testing.virtual_time import run_virtually
from tests.simulation.asking import ask, plan_with
from tests.unit.drivers.test_journal_promotion import Slow
from tests.unit.drivers.workers import a_while, driver_on, run

PLAN = plan_with(ask("a"), ask("b", "${a.response}"), ask("c", "${b.response}"))
BESIDE = plan_with(ask("a"), ask("b"))
CODE = "execution.worker_missing"


class Some(Slow):
    """Answers a second later; what is not in `known`, it leaves to others."""

    def __init__(self, known: str) -> None:
        super().__init__([])
        self.known = known

    def lacks(self, call: Call) -> bool:
        return call.step not in self.known


async def given_back(driver: JournalDriver) -> Summary:
    async with asyncio.timeout(3):
        return await driver.ended("x", lambda standing: standing.error_code == CODE)


async def deaths_in(store: MemoryStore) -> int:
    entries = (await store.read("x")).entries
    events = [one for entry in entries for one in load_turn(entry.body)]
    return sum(isinstance(one, WorkerLost) for one in events)


def test_who_cannot_make_a_call_lets_go_at_once_and_who_can_goes_on() -> None:
    async def main() -> None:
        store, some, rest = MemoryStore(), Some("ac"), Some("b")
        one, two = driver_on(store, "one", some), driver_on(store, "two", rest)
        await one.open()
        await one.start(PLAN, Start("x", None))
        left = await given_back(one)
        assert (left.owner, left.standing.status) == (None, "running")
        at_ms = left.standing.wake_at_ms
        assert at_ms is not None
        assert one.now_ms() < at_ms <= one.now_ms() + 2_000
        await two.open()
        async with asyncio.timeout(12):
            assert (await two.ended("x")).standing.status == "completed"
        assert [call.step for call in some.made] == ["a", "c"]
        assert [call.step for call in rest.made] == ["b"]
        assert await deaths_in(store) == 0
        await one.close()
        await two.close()

    run(main)


def test_who_begins_what_it_cannot_do_lets_go_at_once() -> None:
    async def main() -> None:
        store, some, whole = MemoryStore(), Some(""), Some("abc")
        one, two = driver_on(store, "one", some), driver_on(store, "two", whole)
        await one.open()
        await one.start(PLAN, Start("x", None))
        async with asyncio.timeout(0.1):
            await given_back(one)
        await two.open()
        async with asyncio.timeout(6):
            await two.ended("x")
        assert (some.made, len(whole.made), await deaths_in(store)) == ([], 3, 0)
        await one.close()
        await two.close()

    run(main)


def test_what_was_let_go_can_be_taken_up_before_it_is_due() -> None:
    async def main() -> None:
        store, whole = MemoryStore(), Some("abc")
        one, two = driver_on(store, "one", Some("")), driver_on(store, "two", whole)
        await one.open()
        await two.open()
        await one.start(PLAN, Start("x", None))
        await given_back(one)
        async with asyncio.timeout(3.1):
            for _ in range(3):
                await two.take_up("x")
            assert (await two.ended("x")).standing.status == "completed"
        await two.take_up("x")
        assert (len(whole.made), await deaths_in(store)) == (3, 0)
        await one.close()
        await two.close()

    run(main)


def test_what_a_living_worker_holds_is_not_taken_from_it() -> None:
    async def main() -> None:
        store, ours, theirs = MemoryStore(), Some("abc"), Some("abc")
        one, two = driver_on(store, "one", ours), driver_on(store, "two", theirs)
        await one.open()
        await two.open()
        await one.start(PLAN, Start("x", None))
        await two.take_up("x")
        await one.ended("x")
        assert (len(ours.made), theirs.made) == (3, [])
        await one.close()
        await two.close()

    run(main)


def test_who_looks_again_and_again_kills_nobody_and_is_second_to_who_can() -> None:
    async def main() -> None:
        store, whole = MemoryStore(), Some("abc")
        one = driver_on(store, "one", Some(""), deaths_max=2)
        await one.open()
        await one.start(PLAN, Start("x", None))
        await a_while(60)
        assert (await store.read("x")).summary.standing.error_code == CODE
        two = driver_on(store, "two", whole, deaths_max=2)
        await two.open()
        async with asyncio.timeout(5.5):  # two seconds at most, and three calls
            assert (await two.ended("x")).standing.status == "completed"
        assert (len(whole.made), await deaths_in(store)) == (3, 0)
        await one.close()
        await two.close()

    run(main)


def test_what_it_can_do_it_does_before_it_lets_go_of_the_rest() -> None:
    async def main() -> None:
        store, some, rest = MemoryStore(), Some("a"), Some("b")
        one, two = driver_on(store, "one", some), driver_on(store, "two", rest)
        await one.open()
        await one.start(BESIDE, Start("x", None))
        await given_back(one)
        await two.open()
        assert (await two.ended("x")).standing.status == "completed"
        assert [[call.step for call in calls.made] for calls in (some, rest)] == [
            ["a"],
            ["b"],
        ]
        await one.close()
        await two.close()

    run(main)


def test_what_waits_for_a_worker_hears_that_it_is_to_end() -> None:
    async def main() -> None:
        store = MemoryStore()
        one = driver_on(store, "one", Some(""))
        await one.open()
        await one.start(PLAN, Start("x", None))
        await given_back(one)
        await one.cancel("x", "no", "m")
        async with asyncio.timeout(1):
            assert (await one.ended("x")).standing.status == "cancelled"
        await one.close()

    run(main)


@pytest.mark.parametrize("known", ["", "a"])
def test_what_is_not_kept_yet_is_written_down_for_others(known: str) -> None:
    async def main() -> tuple[str, int]:
        store, whole = MemoryStore(), Some("abc")
        one = driver_on(store, "one", Some(known))
        await one.open()
        unkept = Unkept(one, Kernel(PLAN), Start("x", None), 60_000)
        async with asyncio.timeout(1.1):
            await unkept.lasts.wait()
        await unkept.promote()
        two = driver_on(store, "two", whole)
        await two.open()
        summary = await two.ended("x")
        found: list[Any] = await store.find(Search())
        assert len(found) == 1
        await one.close()
        await two.close()
        return summary.standing.status, len(whole.made)

    assert run_virtually(main()) == ("completed", 3 - len(known))
