"""`concurrency` and `priority`: who has to wait, for whom, and from when time counts."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from plait.drivers.journal import JournalDriver, Start
from plait.drivers.journal.starting import Unplaceable
from plait.kernel import Kernel
from plait.operations import Fork, Hand, cancel, fork, restart, resume, show
from plait.operations.messages import Signal, signal
from plait.plan import Plan
from plait.ports.journal import IN_LANE, LET_IN, QUEUED, Search, Summary, UnknownExecution
from plait.stores.memory import MemoryStore
from plait.testing.virtual_time import run_virtually
from tests.simulation.asking import ask, plan_with
from tests.unit.drivers.test_journal_doubt import Calls, ForgetfulStore
from tests.unit.drivers.workers import a_while, driver_on

NAP: dict[str, Any] = {"id": "nap", "type": "wait", "for": "10s"}
PER_CUSTOMER = {"key": "${input.customer}", "max": 1}


def plan(*steps: dict[str, Any], **document: Any) -> Plan:
    """Return a plan whose executions run one after the other, ten seconds each."""
    return plan_with(*(steps or (NAP,)), **{"concurrency": {}, **document})


def elapsed_ms(summary: Summary) -> int:
    return summary.standing.at_ms - summary.new.created_at_ms


async def start(driver: JournalDriver, plan: Plan, name: str, **given: Any) -> Summary:
    customer = given.pop("customer", "ann")
    return await driver.start(plan, Start(name, {"customer": customer}, **given))


def hand_on(store: MemoryStore) -> Hand:
    now_ms = int(asyncio.get_running_loop().time() * 1000)
    return Hand(store, Kernel, "hand", now_ms, {})


def test_a_start_that_has_to_wait_is_acknowledged_and_acts_when_its_turn_comes() -> None:
    async def main() -> None:
        store, calls = MemoryStore(), Calls([])
        driver = driver_on(store, "ann", calls)
        await driver.open()
        one_by_one = plan(NAP, ask("a", depends_on=["nap"]))
        for name in ("x1", "x2", "x3"):
            await start(driver, one_by_one, name)
        states = [(await store.read(f"x{n}")).summary.lane_state for n in (1, 2, 3)]
        assert states == [IN_LANE, QUEUED, QUEUED]
        ended = [await driver.ended(f"x{number}") for number in (1, 2, 3)]
        assert [call.execution_id for call in calls.made] == ["x1", "x2", "x3"]
        # One after the other, and each at once after the one before.
        assert [round(elapsed_ms(one), -2) for one in ended] == [10_000, 20_000, 30_000]
        await driver.close()

    run_virtually(main())


def test_the_timeline_begins_when_it_was_let_in() -> None:
    async def main() -> None:
        store = MemoryStore()
        driver = driver_on(store, "ann", Calls([]))
        await driver.open()
        for name in ("x1", "x2"):
            await start(driver, plan(), name)
        assert show(await store.read("x2"), 0).trace.as_json() == [], "it waits yet"
        await driver.ended("x2")
        (step,) = show(await store.read("x2"), 0).trace.as_json()
        moments = [round(float(str(step[key])), -2) for key in ("started_ms", "ended_ms")]
        assert moments == [10_000, 20_000]
        await driver.close()

    run_virtually(main())


def test_lanes_go_by_the_key_and_each_takes_its_maximum() -> None:
    async def main() -> None:
        driver = driver_on(MemoryStore(), "ann", Calls([]))
        await driver.open()
        two_each = plan(concurrency={"key": "${input.customer}", "max": 2})
        customers = ["ann", "ann", "ann", "bob", 1, "1"]
        started = [
            await start(driver, two_each, f"x{number}", customer=customer)
            for number, customer in enumerate(customers)
        ]
        queued = [one.new.execution_id for one in started if one.lane_state == QUEUED]
        assert queued == ["x2"]
        lanes = [one.new.lane for one in started[2:]]
        assert lanes == ['test:"ann"', 'test:"bob"', "test:1", 'test:"1"']
        await driver.close()

    run_virtually(main())


def test_time_limits_and_waits_count_from_when_it_was_let_in() -> None:
    async def main() -> None:
        store = MemoryStore()
        driver = driver_on(store, "ann", Calls([]))
        await driver.open()
        limited = plan(timeout="15s")
        for name in ("x1", "x2", "x3"):
            await start(driver, limited, name)
        for name in ("x1", "x2", "x3"):
            assert (await driver.ended(name)).standing.status == "completed"
        slow = plan({**NAP, "for": "1h"}, timeout="15s", name="slow")
        for name in ("y1", "y2"):
            await start(driver, slow, name)
        for name, ms in (("y1", 15_000), ("y2", 30_000)):
            ended = await driver.ended(name)
            assert ended.standing.error_code == "execution.timeout"
            assert round(elapsed_ms(ended), -2) == ms
        await driver.close()

    run_virtually(main())


def test_another_worker_takes_up_what_was_let_in_and_nothing_is_in_doubt() -> None:
    """An unsafe call of one that queued has surely not been made."""

    async def main() -> None:
        store, calls = MemoryStore(), Calls([])
        ann, bob = driver_on(store, "ann", calls), driver_on(store, "bob", calls)
        await ann.open()
        unsafe = plan(ask("a", effect="unsafe"), {**NAP, "depends_on": ["a"]})
        for name in ("x1", "x2"):
            await start(ann, unsafe, name)
        await a_while(1)
        await ann.close()
        await bob.open()
        assert (await bob.ended("x2")).standing.status == "completed"
        assert [call.execution_id for call in calls.made] == ["x1", "x2"]
        await bob.close()

    run_virtually(main())


def test_who_dies_as_it_begins_what_was_let_in_leaves_it_to_the_next() -> None:
    async def main() -> None:
        store, calls = MemoryStore(), Calls([])
        ann = driver_on(store, "ann", calls)
        await ann.open()
        for name in ("x1", "x2"):
            await start(ann, plan(), name)
        await ann.perish()
        hand = hand_on(store)
        await store.leave("ann")
        await cancel(hand, "x1", "over")
        assert [one.new.execution_id for one in (await store.claim("ann", 0, 9)).executions]
        await store.leave("ann")
        assert (await store.read("x2")).summary.lane_state == LET_IN
        bob = driver_on(store, "bob", calls)
        await bob.open()
        assert (await bob.ended("x2")).standing.status == "completed"
        await bob.close()

    run_virtually(main())


@pytest.mark.parametrize("lost", [["append"], ["append"] * 2, ["claim"]])
def test_a_lost_answer_strands_nothing_that_was_let_in(lost: list[str]) -> None:
    async def main() -> None:
        store = ForgetfulStore()
        driver = driver_on(store, "ann", Calls([]))
        await driver.open()
        for name in ("x1", "x2"):
            await start(driver, plan(ask("a")), name)
        store.loses = list(lost)
        assert (await driver.ended("x2")).standing.status == "completed"
        assert store.loses == []
        await driver.close()

    run_virtually(main())


def test_cancelling_what_queues_ends_it_there() -> None:
    async def main() -> None:
        store, calls = MemoryStore(), Calls([])
        driver = driver_on(store, "ann", calls)
        await driver.open()
        for name in ("x1", "x2", "x3", "x4"):
            await start(driver, plan(NAP, ask("a", depends_on=["nap"])), name)
        await driver.cancel("x2", "changed our mind", "m1")
        assert (await driver.ended("x2")).standing.status == "cancelled"
        await cancel(hand_on(store), "x3", "changed our mind")
        assert (await driver.ended("x3")).standing.status == "cancelled"
        assert elapsed_ms((await store.read("x3")).summary) < 1_000
        ended = await driver.ended("x4")
        assert round(elapsed_ms(ended), -2) == 20_000
        assert [call.execution_id for call in calls.made] == ["x1", "x4"]
        with pytest.raises(UnknownExecution):
            await driver.cancel("nobody", "x", "m2")
        await driver.close()

    run_virtually(main())


@pytest.mark.parametrize("by_hand", [True, False])
def test_a_signal_to_what_queues_is_kept_for_it(by_hand: bool) -> None:
    async def main() -> None:
        store = MemoryStore()
        driver = driver_on(store, "ann", Calls([]))
        await driver.open()
        listens = plan({"id": "w", "type": "wait", "event": {"name": "paid"}})
        for name in ("x1", "x2"):
            await start(driver, listens, name)
        if by_hand:
            await signal(hand_on(store), "x2", Signal("s2", "paid", 7))
        else:
            await driver.signal("x2", "paid", 7, "s2")
        await a_while(30)
        assert (await store.read("x2")).summary.standing.status == "running"
        await driver.signal("x1", "paid", 7, "s1")
        for name in ("x1", "x2"):
            assert (await driver.ended(name)).standing.status == "completed"
        await driver.close()

    run_virtually(main())


def test_what_is_resumed_restarted_or_forked_waits_for_its_turn() -> None:
    async def main() -> None:
        store = MemoryStore()
        driver = driver_on(store, "ann", Calls([]))
        await driver.open()
        keyed = plan(concurrency=PER_CUSTOMER)
        await start(driver, keyed, "x1")
        await driver.cancel("x1", "over", "m1")
        await driver.ended("x1")
        await start(driver, keyed, "x2")
        hand = hand_on(store)
        await resume(hand, "x1")
        await restart(hand, "x1", "x3")
        other = Fork("x1", "nap", {"customer": "bob"}, has_input=True)
        assert (await fork(hand, other, "y1")).lane_state == IN_LANE
        await fork(hand, Fork("x1", "nap"), "x4")
        search = Search(lane='test:"ann"', statuses=("running",))
        states = {one.new.execution_id: one.lane_state for one in await store.find(search)}
        assert states == {"x1": QUEUED, "x2": IN_LANE, "x3": QUEUED, "x4": QUEUED}
        (nap,) = show(await store.read("x1"), 0).trace.as_json()
        assert (nap["status"], nap["attempt"]) == ("cancelled", 1), "as it was before"
        driver.stir()
        ends = [(await driver.ended(name)).standing for name in ("x2", "x1", "x3", "x4")]
        assert {one.status for one in ends} == {"completed"}
        moments_ms = [one.at_ms - ends[0].at_ms for one in ends]
        assert [round(one, -2) for one in moments_ms] == [0, 10_000, 20_000, 30_000]
        await driver.close()

    run_virtually(main())


def test_a_priority_is_the_documents_unless_the_start_says_otherwise() -> None:
    async def main() -> None:
        store = MemoryStore()
        driver = driver_on(store, "ann", Calls([]))
        await driver.open()
        by_input = plan_with(NAP, priority="${input.customer == 'ann' ? 7 : 2}")
        plans = [(plan_with(NAP), 0), (plan_with(NAP, priority=5), 5), (by_input, 7)]
        for number, (one, priority) in enumerate(plans):
            started = await start(driver, one, f"x{number}")
            assert started.new.priority == priority
            asked = await start(driver, one, f"y{number}", priority=9)
            assert asked.new.priority == 9
        await driver.close()

    run_virtually(main())


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({"concurrency": {"key": "${input.nobody}"}}, "'concurrency.key'.*nobody"),
        ({"priority": "${input.customer}"}, "'priority'.*whole number from 0 to 9"),
        ({"priority": "${10}"}, "whole number from 0 to 9"),
        ({"priority": "${input.nobody}"}, "'priority'.*nobody"),
    ],
)
def test_a_start_that_has_no_place_is_refused(
    document: dict[str, Any], message: str
) -> None:
    async def main() -> None:
        store = MemoryStore()
        driver = driver_on(store, "ann", Calls([]))
        with pytest.raises(Unplaceable, match=message):
            await start(driver, plan_with(NAP, **document), "x1")
        assert await store.find(Search()) == []

    run_virtually(main())


def test_a_key_longer_than_an_index_takes_is_refused() -> None:
    async def main() -> None:
        driver = driver_on(MemoryStore(), "ann", Calls([]))
        with pytest.raises(Unplaceable, match="longer than 500 bytes"):
            await start(driver, plan(concurrency=PER_CUSTOMER), "x1", customer="x" * 500)

    run_virtually(main())
