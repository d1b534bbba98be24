"""State machines as people lead them: what is refused is told, recorded and forgotten."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson
import pytest

from plait.compile import compile_text
from plait.drivers.journal import Start
from plait.kernel.codec import load_turn
from plait.kernel.events import SignalReceived, SignalRefused
from plait.model.failure import Failure
from plait.operations import (
    Fork,
    NotResumable,
    NotTaken,
    Shown,
    Signal,
    fork,
    restart,
    resume,
    show,
    signal,
    waits,
)
from plait.plan import Plan
from plait.ports.calls import Call, CallHandle, Done
from plait.ports.journal import Search
from plait.stores.memory import MemoryStore
from tests.simulation.asking import CATALOG, ask, give
from tests.unit.stores.histories import Answers, damages, hand, running

LEASE_MS = 10_000


def machine(states: dict[str, Any], **document: Any) -> Plan:
    whole = {"name": "m", "initial": next(iter(states)), "states": states, **document}
    return compile_text(orjson.dumps(whole), name="m.json", catalog=CATALOG).plan


TABLE: dict[str, Any] = {
    "shut": {"on": {"open": "open", "lock": {"target": "locked", "guard": "${false}"}}},
    "open": {"on": {"shut": "shut", "end": "gone"}, "after": {"1h": "shut"}},
    "locked": {"on": {"open": "shut"}},
    "gone": {"final": True},
}
DOOR = machine(TABLE)
CHARGE = "states[paid][entry][0]/charge"
ORDER = machine(
    {
        "new": {"on": {"pay": "paid"}},
        "paid": {"entry": [ask("charge")], "on": {"ship": "shipped"}},
        "shipped": {"entry": [give("told", "${charge.status}")], "final": True},
    }
)


class Poor(Answers):
    """Refuses to charge."""

    def start(self, call: Call, done: Done) -> CallHandle:
        if call.step != CHARGE:
            return super().start(call, done)
        self.made.append(call)
        loop = asyncio.get_running_loop()
        return loop.call_later(0, done, Failure("card.refused", "no"))


async def started(plan: Plan) -> MemoryStore:
    """Return a store with an execution `x` that nobody holds."""
    store = MemoryStore()
    async with running(store) as driver:
        await driver.start(plan, Start("x", None))
    return store


async def shown(store: MemoryStore, execution_id: str = "x") -> Shown:
    return show(await store.read(execution_id), 0)


async def states_of(store: MemoryStore, execution_id: str = "x") -> list[Any]:
    return [one["state"] for one in (await shown(store, execution_id)).states]


async def send(store: MemoryStore, name: str, signal_id: str = "") -> None:
    await signal(hand(store), "x", Signal(signal_id or name, name))


@pytest.mark.parametrize(
    ("name", "why"),
    [("end", "it takes lock, open"), ("lock", "no guard lets it pass now")],
)
async def test_an_event_that_is_not_taken_is_refused_with_what_would_be(
    name: str, why: str
) -> None:
    store = await started(DOOR)
    before = (await store.read("x")).summary.standing
    with pytest.raises(NotTaken, match=why) as refused:
        await send(store, name)
    assert refused.value.details == {"state": "shut", "events": ["lock", "open"]}
    history = await store.read("x")
    assert history.summary.standing.wake_at_ms == before.wake_at_ms
    assert history.summary.owner is None
    (told,) = (await shown(store)).refused
    assert (told["name"], told["reason"]) == (name, "signal.not_taken")
    assert await damages(store) == []


async def test_a_refused_event_is_taken_when_it_is_sent_again_in_the_right_state() -> None:
    store = await started(DOOR)
    with pytest.raises(NotTaken):
        await send(store, "end", "e1")
    await send(store, "open")
    await send(store, "end", "e1")
    assert (await store.read("x")).summary.standing.status == "completed"
    assert await states_of(store) == ["shut", "open", "gone"]


async def test_what_somebody_else_holds_is_told_that_it_was_refused() -> None:
    store = await started(DOOR)
    now_ms = hand(store).now_ms
    await store.join("other")
    await store.beat("other", now_ms, now_ms + LEASE_MS)
    await store.take("other", now_ms, "x")
    for signal_id in ("e1", "e2"):
        with pytest.raises(NotTaken):
            await send(store, "end", signal_id)
    length = (await store.read("x")).summary.length
    await store.leave("other")
    async with running(store) as driver:
        await driver.signal("x", "open", None, "o1")
        await driver.signal("x", "end", None, "e1")
        await driver.ended("x")
    history = await store.read("x")
    turns = [load_turn(entry.body) for entry in history.entries[length:]]
    refusals = [turn for turn in turns if isinstance(turn[-1], SignalRefused)]
    assert len(refusals) == 2
    assert all(isinstance(turn[0], SignalReceived) for turn in refusals)
    assert await states_of(store) == ["shut", "open", "gone"]


async def test_what_queues_refuses_and_records_it_when_it_has_begun() -> None:
    store, plan = MemoryStore(), machine(TABLE, concurrency={"max": 1})
    async with running(store) as driver:
        await driver.start(plan, Start("first", None))
        await driver.start(plan, Start("x", None))
    with pytest.raises(NotTaken):
        await send(store, "end", "e1")
    assert (await store.read("x")).summary.length == 1
    async with running(store) as driver:
        for execution in ("first", "x"):
            await driver.signal(execution, "open", None, "o1")
            await driver.signal(execution, "end", None, "e2")
            await driver.ended(execution)
    assert [one["id"] for one in (await shown(store)).refused] == ["e1"]
    assert await states_of(store) == ["shut", "open", "gone"]
    assert await damages(store) == []


async def test_an_event_that_its_holder_refused_can_be_sent_to_it_once_more() -> None:
    store = await started(DOOR)
    async with running(store) as driver:
        await driver.signal("x", "end", None, "e1")
        while not (await shown(store)).refused:
            await asyncio.sleep(0)
    await send(store, "open")
    now_ms = hand(store).now_ms
    await store.join("other")
    await store.beat("other", now_ms, now_ms + LEASE_MS)
    await store.take("other", now_ms, "x")
    await send(store, "end", "e1")
    await store.leave("other")
    async with running(store) as driver:
        assert (await driver.ended("x")).standing.status == "completed"


async def test_what_a_machine_waits_for_is_its_events_and_its_times() -> None:
    store = await started(DOOR)
    await send(store, "open")
    event, time = await waits(hand(store), await store.read("x"))
    assert (event["state"], event["events"]) == ("open", ["end", "shut"])
    assert (event["for"], event["name"], time["for"]) == ("event", "end or shut", "time")
    assert time["until"] is not None


async def failed() -> MemoryStore:
    store = MemoryStore()
    async with running(store, Poor()) as driver:
        await driver.start(ORDER, Start("x", None))
        await driver.signal("x", "pay", None, "p1")
        ended = await driver.ended("x")
        assert (ended.standing.status, ended.standing.error_code) == (
            "failed",
            "card.refused",
        )
    return store


async def test_a_machine_that_failed_goes_on_with_the_action_that_failed() -> None:
    store, calls = await failed(), Answers()
    await resume(hand(store), "x")
    async with running(store, calls) as driver:
        await driver.signal("x", "ship", None, "s1")
        assert (await driver.ended("x")).standing.status == "completed"
    assert [one.step for one in calls.made] == [CHARGE]
    assert await states_of(store) == ["new", "paid", "shipped"]
    assert await damages(store) == []


async def test_a_machine_whose_table_is_wrong_is_not_begun_anew_by_resuming_it() -> None:
    wrong = {"target": "gone", "guard": "${input.none}"}
    store = await started(
        machine({**TABLE, "open": {"on": {"end": "gone"}, "after": {"0s": wrong}}})
    )
    async with running(store) as driver:
        await driver.signal("x", "open", None, "o1")
        assert (await driver.ended("x")).standing.status == "failed"
    with pytest.raises(NotResumable):
        await resume(hand(store), "x")
    assert await states_of(store) == ["shut", "open"]


async def test_a_fork_from_an_action_is_told_the_events_again() -> None:
    store, calls = MemoryStore(), Answers()
    async with running(store, calls) as driver:
        await driver.start(ORDER, Start("x", None))
        await driver.signal("x", "pay", None, "p1")
        await driver.signal("x", "ship", None, "s1")
        await driver.ended("x")
    await fork(hand(store), Fork("x", CHARGE), "y")
    await restart(hand(store), "x", "z")
    async with running(store, calls) as driver:
        assert (await driver.ended("y")).standing.status == "completed"
        assert (await driver.result("y")).output == {
            "state": "shipped",
            "context": {"charge": "done", "told": "completed"},
        }
    assert [one.step for one in calls.made] == [CHARGE, CHARGE]
    assert await states_of(store, "z") == ["new"]
    assert len(await store.find(Search())) == 3
