"""What comes from outside and is too large fails its step, and the execution goes on."""

from __future__ import annotations

from typing import Any

import pytest

from plait.drivers.journal import PayloadTooLarge, Start, verify
from plait.kernel.codec import load_turn
from plait.kernel.events import CallFailed, ExecutionCompleted
from plait.operations import Checked, verify_all
from plait.ports.journal import Search
from plait.stores.memory import MemoryStore
from tests.simulation.asking import plan_of
from tests.unit.stores.histories import Answers, hand, running

CAP = 10_000
SKIPS: Any = {
    "name": "skips",
    "steps": [
        {"id": "a", "type": "ask", "request": {}, "on_error": "continue"},
        {"id": "b", "type": "set", "value": "${a.error.code}"},
    ],
    "output": "${b.response}",
}


async def test_an_answer_that_is_too_large_fails_its_step_once() -> None:
    store, calls = MemoryStore(), Answers("x" * CAP)
    async with running(store, calls, payload_bytes_max=CAP) as driver:
        await driver.start(plan_of(SKIPS), Start("x1", None))
        await driver.ended("x1")
    history = await store.read("x1")
    verify(history)
    turns = [load_turn(entry.body) for entry in history.entries]
    failed = [turn[0].failure.code for turn in turns if isinstance(turn[0], CallFailed)]
    assert failed == ["limit.payload"]
    end = turns[-1][-1]
    assert isinstance(end, ExecutionCompleted)
    assert end.output == "limit.payload"
    assert len(calls.made) == 1
    assert [one async for one in verify_all(hand(store))] == [Checked("x1")]


async def test_an_answer_within_the_cap_is_taken() -> None:
    store = MemoryStore()
    async with running(store, Answers("x" * 100), payload_bytes_max=CAP) as driver:
        await driver.start(plan_of(SKIPS), Start("x1", None))
        await driver.ended("x1")
    assert len(b"".join(one.body for one in (await store.read("x1")).entries)) < CAP


async def test_an_input_that_is_too_large_begins_nothing() -> None:
    store = MemoryStore()
    async with running(store, payload_bytes_max=CAP) as driver:
        with pytest.raises(PayloadTooLarge, match="takes in 10000 bytes") as caught:
            await driver.start(plan_of(SKIPS), Start("x1", "x" * CAP))
    assert caught.value.code == "limit.payload"
    assert await store.find(Search()) == []


async def test_a_large_input_is_searched_by_its_beginning_and_kept_whole() -> None:
    store = MemoryStore()
    given: Any = {"a": "first", "b": "x" * 200_000, "c": "last"}
    async with running(store) as driver:
        await driver.start(plan_of(SKIPS), Start("x1", given))
        await driver.ended("x1")
    (found,) = await store.find(Search(text="first"))
    assert len(found.new.input) == 65_536
    started: Any = load_turn((await store.read("x1")).entries[0].body)[0]
    assert started.input == given
    assert [one async for one in verify_all(hand(store))] == [Checked("x1")]
