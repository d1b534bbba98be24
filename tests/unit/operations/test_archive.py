"""Executions as lines: out of one store, into another, checked on the way."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from plait.drivers.journal import HistoryDamaged, Start
from plait.model.errors import PlaitError
from plait.operations import (
    ExecutionExists,
    Intake,
    LineUnreadable,
    StillRunning,
    line_of,
)
from plait.operations.checking import Checker
from plait.ports.journal import Search, Summary
from plait.stores.memory import MemoryStore
from tests.simulation.asking import plan_of
from tests.unit.stores.histories import STEPS, Answers, finished, hand, running

# What JSON libraries like to change on its way through them.
AWKWARD: Any = {
    "floats": [1.0, -0.0, 1e300, 5e-324, 0.1],
    "ints": [2**63 - 1, -(2**63), 2**64 - 1],
    "texts": ["Zoë", "\u2028", "\x7f", '"\\/', "😀"],
    "order": {"b": 1, "a": {}, "": []},
}


async def source(response: Any = "done") -> MemoryStore:
    store = MemoryStore()
    await finished(store, "x1", calls=Answers(response))
    return store


async def line(store: MemoryStore, execution_id: str = "x1") -> bytes:
    return await line_of(store, await store.read(execution_id))


async def take(store: MemoryStore, text: bytes, **options: bool) -> Summary:
    async with Intake(hand(store), **options) as intake:
        return await intake.take(text)


async def test_what_was_exported_is_the_same_in_another_store() -> None:
    old, new = await source(AWKWARD), MemoryStore()
    await take(new, await line(old))
    there, here = await old.read("x1"), await new.read("x1")
    assert here.entries == there.entries
    assert here.summary.new == there.summary.new
    assert here.summary.standing == there.summary.standing
    assert (here.summary.owner, here.summary.head) == (None, there.summary.head)
    await Checker(hand(new)).check(here)
    assert await line(new) == await line(old)


async def test_what_is_there_already_is_left_as_it_is() -> None:
    store = await source()
    before = await store.read("x1")
    with pytest.raises(ExecutionExists, match="is there already"):
        await take(store, await line(store))
    assert await store.read("x1") == before


async def test_a_key_that_is_taken_is_told_with_whose_it_is() -> None:
    stores = MemoryStore(), MemoryStore()
    for store, name in zip(stores, ("x1", "x2"), strict=True):
        async with running(store) as driver:
            await driver.start(plan_of(STEPS), Start(name, None, key="k"))
            await driver.ended(name)
    with pytest.raises(ExecutionExists, match="same key as x2"):
        await take(stores[1], await line(stores[0]))
    assert len(await stores[1].find(Search())) == 1


async def test_what_has_not_ended_is_taken_in_on_demand_only_and_goes_on() -> None:
    nap = plan_of(
        {
            "name": "nap",
            "steps": [
                {"id": "nap", "type": "wait", "for": "3s"},
                {"id": "a", "type": "ask", "request": {}, "depends_on": ["nap"]},
            ],
        }
    )
    old, new = MemoryStore(), MemoryStore()
    async with running(old) as driver:
        await driver.start(nap, Start("x1", None))
    text = await line(old)
    with pytest.raises(StillRunning, match="--running"):
        await take(new, text)
    assert await new.find(Search()) == []
    await take(new, text, takes_running=True)
    calls = Answers()
    in_an_hour_s = (await new.read("x1")).summary.standing.at_ms / 1000 + 3600
    async with running(new, calls, wall_clock_s=lambda: in_an_hour_s) as driver:
        assert (await driver.ended("x1")).standing.status == "completed"
    assert [call.step for call in calls.made] == ["a"]


def altered(text: bytes, change: Any) -> bytes:
    line_ = orjson.loads(text)
    change(line_)
    return orjson.dumps(line_)


def cut(line_: dict[str, Any]) -> None:
    line_["entries"].pop()


def swap(line_: dict[str, Any]) -> None:
    line_["entries"][1]["body"]["events"][0][1]["response"] = "gone"


def rename(line_: dict[str, Any]) -> None:
    line_["execution"]["execution_id"] = "other"


def pretend(line_: dict[str, Any]) -> None:
    line_["standing"]["status"] = "failed"


def replan(line_: dict[str, Any]) -> None:
    line_["plan"]["plan"]["name"] = "other"


def reword(line_: dict[str, Any]) -> None:
    line_["execution"]["input"] = '{"name":"x2"}'


def move(line_: dict[str, Any]) -> None:
    line_["execution"]["workflow"] = "other"


CHANGES = [cut, swap, rename, pretend, replan, reword, move]


@pytest.mark.parametrize("change", CHANGES)
async def test_an_altered_line_is_refused_and_changes_nothing(change: Any) -> None:
    text, new = await line(await source()), MemoryStore()
    with pytest.raises(PlaitError) as caught:
        await take(new, altered(text, change))
    assert caught.value.code in ("journal.damaged", "plan.unreadable")
    assert await new.find(Search()) == []


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{",
        b"[]",
        b"7",
        b"{}",
        b'{"format": 2}',
        b'{"format": 1}',
        b'{"format": 1, "execution": {}, "standing": {}, "entries": 5, "plan": 1}',
        b"\xff\xfe",
    ],
)
async def test_what_is_no_execution_is_refused(text: bytes) -> None:
    with pytest.raises(LineUnreadable):
        await take(MemoryStore(), text)


async def test_an_execution_without_entries_is_refused() -> None:
    def empty(line_: dict[str, Any]) -> None:
        line_.update(entries=[], length=0, head="")

    text = altered(await line(await source()), empty)
    with pytest.raises(HistoryDamaged, match="no entries"):
        await take(MemoryStore(), text)
