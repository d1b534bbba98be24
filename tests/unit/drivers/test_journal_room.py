"""How many executions a worker has in memory: at most so many act, and none is lost."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from plait.drivers.journal import JournalDriver, Start, is_put_off
from plait.drivers.journal.room import Overloaded
from plait.kernel import Kernel
from plait.operations import Hand, show
from plait.operations.checking import Checker
from plait.operations.course import restart, resume
from plait.operations.forking import Fork, fork
from plait.operations.messages import cancel
from plait.operations.waits import waits
from plait.plan import Plan
from plait.ports.calls import Call, CallHandle, CallReply, Done
from plait.stores.memory import MemoryStore
from plait.testing.virtual_time import run_virtually
from tests.simulation.asking import ask, plan_with
from tests.unit.drivers.workers import a_while, driver_on

ASK = plan_with(ask("a"))
TWICE = plan_with(ask("a"), ask("b", depends_on=["a"]))


class Slow:
    """Answers each call after a second, and counts how many are under way.

    Attributes:
        made: The executions that called, in order.
    """

    def __init__(self, took_s: float = 1.0) -> None:
        self.took_s = took_s
        self.made: list[str] = []
        self.now = self.most = 0

    def start(self, call: Call, done: Done) -> CallHandle:
        self.made.append(call.execution_id)
        self.now += 1
        self.most = max(self.most, self.now)

        def answer() -> None:
            self.now -= 1
            done(CallReply(call.step, {}))

        return asyncio.get_running_loop().call_later(self.took_s, answer)

    async def close(self) -> None:
        """Nothing to close."""


class Stuck(MemoryStore):
    """Writes nothing new until it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.goes_on = asyncio.Event()

    async def create(self, *given: Any) -> Any:
        await self.goes_on.wait()
        return await super().create(*given)


class Counting(MemoryStore):
    """Counts how often somebody counts."""

    def __init__(self) -> None:
        super().__init__()
        self.counts = 0

    async def count(self, *given: Any) -> int | None:
        self.counts += 1
        return await super().count(*given)


async def opened(
    store: MemoryStore, calls: Slow, name: str = "ann", **options: Any
) -> JournalDriver:
    driver = driver_on(store, name, calls, **options)
    await driver.open()
    return driver


async def start(driver: JournalDriver, count: int, plan: Plan = ASK) -> list[str]:
    names = [f"x{number:03}" for number in range(count)]
    for name in names:
        await driver.start(plan, Start(name, None))
    return names


async def all_ended(driver: JournalDriver, names: list[str]) -> None:
    async with asyncio.timeout(1_000):
        ended = await asyncio.gather(*map(driver.ended, names))
    assert {one.standing.status for one in ended} == {"completed"}


@pytest.mark.parametrize("held_max", [1, 3, 64])
def test_so_many_act_at_once_and_the_others_do_as_soon_as_there_is_room(
    held_max: int,
) -> None:
    async def main() -> None:
        calls = Slow()
        driver = await opened(MemoryStore(), calls, held_max=held_max)
        names = await start(driver, 100)
        began_s = asyncio.get_running_loop().time()
        await all_ended(driver, names)
        assert calls.most == held_max
        assert calls.made == sorted(calls.made), "first come, first served"
        took_s = asyncio.get_running_loop().time() - began_s
        assert took_s < 1.5 * 100 / held_max + 1, "no place is left empty for long"
        await driver.close()

    run_virtually(main())


def test_what_came_all_at_once_is_held_no_more_than_what_came_one_by_one() -> None:
    async def main() -> None:
        calls = Slow()
        store = Stuck()
        driver = await opened(store, calls, held_max=5)
        starts = [driver.start(TWICE, Start(f"x{n}", None)) for n in range(50)]
        writing = asyncio.gather(*starts)
        await a_while(1)
        store.goes_on.set()
        names = [one.new.execution_id for one in await writing]
        await all_ended(driver, names)
        assert calls.most == 5
        await driver.close()

    run_virtually(main())


def test_nobody_passes_those_who_wait_however_many_come() -> None:
    async def main() -> None:
        calls = Slow(1.6)
        driver = await opened(MemoryStore(), calls, held_max=32)
        names = []
        for number in range(200):  # twice as many as it can do
            names.append(f"x{number:03}")
            await driver.start(ASK, Start(names[-1], None))
            await a_while(0.025)
        await all_ended(driver, names)
        assert calls.made == names
        await driver.close()

    run_virtually(main())


def test_what_goes_on_has_its_turn_before_what_came_later() -> None:
    async def main() -> None:
        calls = Slow(0.5)
        driver = await opened(MemoryStore(), calls, held_max=1)
        nap: dict[str, Any] = {"id": "nap", "type": "wait", "for": "2s"}
        await driver.start(plan_with(nap, ask("a", depends_on=["nap"])), Start("nap", None))
        names = []
        for number in range(100):  # twice as many as it can do
            names.append(f"x{number:03}")
            await driver.start(ASK, Start(names[-1], None))
            await a_while(0.25)
        await all_ended(driver, [*names, "nap"])
        before = calls.made[: calls.made.index("nap")]
        assert len(before) == pytest.approx(2 / 0.25, abs=3), "those that came before"
        await driver.close()

    run_virtually(main())


def test_a_higher_priority_goes_first_among_those_who_wait() -> None:
    async def main() -> None:
        calls = Slow()
        driver = await opened(MemoryStore(), calls, held_max=1)
        await driver.start(ASK, Start("first", None))
        for name, priority in (("low", 1), ("mid", 5), ("high", 9)):
            await driver.start(ASK, Start(name, None, priority=priority))
        await all_ended(driver, ["low", "mid", "high"])
        assert calls.made == ["first", "high", "mid", "low"]
        await driver.close()

    run_virtually(main())


def test_lanes_hold_while_some_wait_for_room() -> None:
    async def main() -> None:
        calls = Slow()
        driver = await opened(MemoryStore(), calls, held_max=3)
        one_by_one = plan_with(ask("a"), name="lane", concurrency={"max": 1})
        for number in range(4):
            await driver.start(one_by_one, Start(f"lane{number}", None))
        names = await start(driver, 12)
        lane = [f"lane{number}" for number in range(4)]
        await all_ended(driver, [*names, *lane])
        assert [one for one in calls.made if one.startswith("lane")] == lane
        assert calls.most == 3
        await driver.close()

    run_virtually(main())


KID: dict[str, Any] = {"id": "kid", "type": "workflow", "request": {"name": "child"}}
PARENT = plan_with(ask("p"), {**KID, "depends_on": ["p"]})
NAP: dict[str, Any] = {"id": "nap", "type": "wait", "for": "5s"}


def two_at_once(*steps: dict[str, Any]) -> dict[str, Any]:
    # Of the same name: else the two would be taken up in turn.
    child = plan_with(*steps)
    return {"held_max": 2, "workflows": lambda *_: child}


def test_a_child_has_its_parents_place_and_parents_begin_no_sooner() -> None:
    async def main() -> None:
        calls = Slow()
        driver = await opened(MemoryStore(), calls, **two_at_once(ask("a")))
        names = await start(driver, 40, PARENT)
        await all_ended(driver, names)
        assert calls.most <= 2 * 2, "the place that a parent leaves may be taken already"
        kids = [one not in names for one in calls.made]
        for count in range(len(kids)):
            begun, ended = kids[:count].count(False), kids[:count].count(True)
            assert begun - ended <= 4, "parents gather in memory"
        await driver.close()

    run_virtually(main())


@pytest.mark.parametrize("dies", [False, True])
def test_parents_keep_no_place_from_children_that_have_left_the_memory(dies: bool) -> None:
    async def main() -> None:
        store, calls = MemoryStore(), Slow()
        options = two_at_once(NAP, ask("a", depends_on=["nap"]))
        driver = await opened(store, calls, **options)
        names = await start(driver, 20, PARENT)
        if dies:
            await a_while(4)
            await driver.perish()
            await store.leave("ann")
            driver = await opened(store, calls, "bob", **options)
        await all_ended(driver, names)
        await driver.close()

    run_virtually(main())


def left_by_a_crash(plan: Plan, count: int, held_max: int) -> Callable[[], Any]:
    async def main() -> tuple[MemoryStore, list[str], list[str]]:
        store, calls = MemoryStore(), Slow(1e6)
        eve = await opened(store, calls, "eve", held_max=held_max)
        names = await start(eve, count, plan)
        await eve.perish()
        await store.leave("eve")
        return store, names, calls.made

    return main


def test_a_crash_loses_none_that_wait_and_doubts_only_what_was_acted_on() -> None:
    async def main() -> None:
        plan = plan_with(ask("a", effect="unsafe"))
        store, names, begun = await left_by_a_crash(plan, 30, 4)()
        calls = Slow()
        driver = await opened(store, calls, held_max=7)
        await all_ended(driver, [one for one in names if one not in begun])
        assert len(begun) == 4
        assert sorted(calls.made) == sorted(set(names) - set(begun)), "each once"
        for name in begun:
            standing = (await store.read(name)).summary.standing
            assert standing.error_code == "step.outcome_unknown"
        await driver.close()

    run_virtually(main())


def test_another_worker_takes_what_a_full_one_has_put_off() -> None:
    async def main() -> None:
        store, calls, others = MemoryStore(), Slow(1e6), Slow()
        driver = await opened(store, calls, held_max=2)
        names = await start(driver, 10)
        bob = await opened(store, others, "bob")
        await asyncio.gather(*(driver.ended(one) for one in names[2:]))
        assert (sorted(calls.made), sorted(others.made)) == (names[:2], names[2:])
        await bob.close()
        await driver.close()

    run_virtually(main())


def test_time_limits_count_from_when_there_was_room() -> None:
    async def main() -> None:
        calls = Slow()
        driver = await opened(MemoryStore(), calls, held_max=1)
        names = await start(driver, 5, plan_with(ask("a"), timeout="1500ms"))
        await all_ended(driver, names)
        await driver.close()

    run_virtually(main())


def test_one_that_waits_for_room_says_so_and_its_end_needs_none() -> None:
    async def main() -> None:
        store, calls = MemoryStore(), Slow(1e6)
        driver = await opened(store, calls, held_max=1)
        await start(driver, 2)
        history = await store.read("x001")
        assert is_put_off(history.summary.standing)
        assert history.summary.standing.error_code == "execution.no_room"
        hand = Hand(store, Kernel, "hand", driver.now_ms(), {})
        assert await waits(hand, history) == [{"for": "room"}]
        assert show(history, driver.now_ms()).status == "running"
        await Checker(hand).check(history)
        await driver.cancel("x001", "not wanted", "m1")
        async with asyncio.timeout(1):
            assert (await driver.ended("x001")).standing.status == "cancelled"
        assert calls.made == ["x000"]
        await driver.close()

    run_virtually(main())


def test_what_goes_on_or_begins_again_waits_for_room_behind_those_who_came_first() -> None:
    async def main() -> None:
        store, calls = MemoryStore(), Slow()
        driver = await opened(store, calls, held_max=1)
        plan = plan_with(
            ask("a", effect="unsafe"), ask("b", effect="unsafe", depends_on=["a"])
        )
        await driver.start(plan, Start("old", None))
        await a_while(1.5)
        await driver.cancel("old", "not now", "m1")
        await driver.ended("old")
        calls.now = calls.most = 0  # one was given up
        names = await start(driver, 3)
        await a_while(0.1)
        hand = Hand(store, Kernel, "hand", driver.now_ms(), {}, is_full=driver.room.is_full)
        rows = [await restart(hand, "old", "new"), await resume(hand, "old")]
        rows.append(await fork(hand, Fork("old", "b"), "forked"))
        for row in rows:
            driver.room.let_in(row)
            history = await store.read(row.new.execution_id)
            assert await waits(hand, history) == [{"for": "room"}]
            await Checker(hand).check(history)
        assert driver.room.waiting == 2 + 3
        driver.stir()
        await all_ended(driver, [*names, "new", "old", "forked"])
        made = ["old", "old", *names, "new", "new", "old", "forked"]
        assert sorted(calls.made) == sorted(made), "what was done is not done again"
        assert calls.made[2:5] == names
        assert (calls.most, driver.room.waiting) == (1, 0)
        await driver.close()

    run_virtually(main())


def test_what_goes_on_where_there_is_room_is_due_at_once() -> None:
    async def main() -> None:
        store, calls = MemoryStore(), Slow()
        driver = await opened(store, calls, held_max=1)
        await start(driver, 1)
        await driver.ended("x000")
        hand = Hand(store, Kernel, "hand", driver.now_ms(), {}, is_full=driver.room.is_full)
        row = await restart(hand, "x000", "new")
        driver.room.let_in(row)
        assert (row.standing.wake_at_ms, driver.room.waiting) == (0, 0)
        await driver.close()

    run_virtually(main())


def test_what_only_waits_needs_no_room() -> None:
    async def main() -> None:
        calls = Slow(1e6)
        driver = await opened(MemoryStore(), calls, held_max=1)
        await start(driver, 1)
        nap = plan_with({"id": "nap", "type": "wait", "for": "1h"}, name="nap")
        row = await driver.start(nap, Start("sleeper", None))
        assert not is_put_off(row.standing)
        at_once = plan_with({"id": "one", "type": "set", "value": 1}, name="at-once")
        row = await driver.start(at_once, Start("short", None))
        assert row.standing.status == "completed"
        await driver.close()

    run_virtually(main())


def test_who_asks_from_outside_is_refused_when_too_many_wait_and_let_in_again() -> None:
    async def main() -> None:
        calls = Slow()
        driver = await opened(MemoryStore(), calls, held_max=2, backlog_max=3)
        await start(driver, 4)
        driver.room.check()
        await driver.start(ASK, Start("last", None))
        with pytest.raises(Overloaded) as refused:
            driver.room.check()
        assert refused.value.code == "limit.overload"
        await driver.ended("last")
        driver.room.check()
        await driver.close()

    run_virtually(main())


async def full(driver: JournalDriver) -> None:
    await start(driver, 4)
    with pytest.raises(Overloaded):
        driver.room.check()
    # It looks whether that is so still, and finds that it is.
    await a_while(5)
    with pytest.raises(Overloaded):
        driver.room.check()


def test_who_asks_is_let_in_when_those_who_waited_were_cancelled_from_elsewhere() -> None:
    async def main() -> None:
        store = MemoryStore()
        driver = await opened(store, Slow(1e6), held_max=1, backlog_max=3)
        await full(driver)
        hand = Hand(store, Kernel, "hand", driver.now_ms(), {})
        for name in ("x001", "x002", "x003"):
            await cancel(hand, name, "not wanted", compensates=False)
        await a_while(1.1)
        driver.room.check()
        assert driver.room.waiting == 0
        await driver.start(ASK, Start("next", None))
        assert driver.room.waiting == 1
        await driver.close()

    run_virtually(main())


def test_who_asks_is_let_in_when_another_worker_has_taken_some_of_those_who_wait() -> None:
    async def main() -> None:
        store = MemoryStore()
        driver = await opened(store, Slow(1e6), held_max=1, backlog_max=3)
        await full(driver)
        bob = await opened(store, Slow(1e6), "bob", held_max=1)
        await a_while(5)
        driver.room.check()
        assert driver.room.waiting == 2
        await bob.close()
        await driver.close()

    run_virtually(main())


def test_the_store_is_asked_how_many_wait_now_and_then_only_and_while_it_matters() -> None:
    async def main() -> None:
        store = Counting()
        driver = await opened(store, Slow(1e6), held_max=1, backlog_max=3)
        await start(driver, 3)
        await a_while(60)
        assert store.counts == 0, "nobody is refused"
        await driver.start(ASK, Start("last", None))
        for _ in range(1_000):
            driver.stir()
            await a_while(0.01)
        assert 2 <= store.counts <= 10 + 1, "once in a second"
        await driver.close()

    run_virtually(main())


def test_who_asks_is_refused_while_the_store_is_late_for_long_and_let_in_after() -> None:
    async def main() -> None:
        store = Stuck()
        driver = await opened(store, Slow())
        starts = [driver.start(ASK, Start(f"x{n}", None)) for n in range(100)]
        writing = asyncio.gather(*starts)
        for _ in range(4):  # one moment of it is no reason
            await a_while(0.1)
            driver.room.check()
        await a_while(0.1)
        with pytest.raises(Overloaded, match="the store has more to do"):
            driver.room.check()
        store.goes_on.set()
        await writing
        driver.room.check()
        await driver.close()

    run_virtually(main())


@pytest.mark.parametrize(("calm_s", "is_over"), [(1.0, False), (3.0, True)])
def test_a_store_that_was_quick_in_between_is_late_at_once(
    calm_s: float, is_over: bool
) -> None:
    async def main() -> None:
        store = Stuck()
        driver = await opened(store, Slow())
        for number, wait_s in enumerate((0.5, 0.15)):
            store.goes_on.clear()
            starts = [driver.start(ASK, Start(f"{number}-{n}", None)) for n in range(100)]
            writing = asyncio.gather(*starts)
            late = False
            for _ in range(round(wait_s / 0.05)):
                await a_while(0.05)
                try:
                    driver.room.check()
                except Overloaded:
                    late = True
            assert late is (number == 0 or not is_over)
            store.goes_on.set()
            await writing
            await a_while(calm_s)
        await driver.close()

    run_virtually(main())


def test_a_slow_disk_alone_refuses_nobody() -> None:
    async def main() -> None:
        store = Stuck()
        driver = await opened(store, Slow())
        writing = asyncio.gather(
            *(driver.start(ASK, Start(f"x{n}", None)) for n in range(8))
        )
        for _ in range(50):
            await a_while(0.1)
            driver.room.check()
        store.goes_on.set()
        await writing
        await driver.close()

    run_virtually(main())


def test_who_asks_is_refused_while_much_is_on_its_way_into_the_store() -> None:
    async def main() -> None:
        store, large = Stuck(), "x" * 900_000
        driver = await opened(store, Slow())
        writing = asyncio.gather(
            *(driver.start(ASK, Start(f"x{n}", large)) for n in range(20))
        )
        await a_while(0.01)
        with pytest.raises(Overloaded):
            driver.room.check()
        store.goes_on.set()
        await writing
        driver.room.check()
        await driver.close()

    run_virtually(main())
