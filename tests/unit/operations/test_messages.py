"""What executions are told: all of it can be kept, or it is refused before it is sent."""

from __future__ import annotations

from typing import Any

import pytest

from plait.drivers.journal import Start
from plait.model.json import JsonValue
from plait.model.signal import InvalidDecision, InvalidSignal
from plait.operations import Decision, Signal, Verdict, judge, resolve, signal
from plait.stores.memory import MemoryStore
from tests.simulation.asking import plan_with
from tests.unit.stores.histories import hand, running

PAID: Any = {"id": "paid", "type": "wait", "event": {"name": "paid"}}


def nested(levels: int) -> JsonValue:
    value: JsonValue = 1
    for _ in range(levels):
        value = [value]
    return value


async def waiting() -> MemoryStore:
    """Return a store with an execution `x` that waits for an event."""
    store = MemoryStore()
    async with running(store) as driver:
        await driver.start(plan_with(PAID, output="${paid.response}"), Start("x", None))
    return store


@pytest.mark.parametrize("levels", [65, 250, 1_000])
async def test_a_payload_nested_too_deep_is_refused(levels: int) -> None:
    store = await waiting()
    with pytest.raises(InvalidSignal):
        await signal(hand(store), "x", Signal("s", "paid", nested(levels)))
    assert (await store.read("x")).summary.length == 1


async def test_the_deepest_payload_ends_the_execution_as_its_output() -> None:
    store = await waiting()
    async with running(store) as driver:
        await driver.signal("x", "paid", nested(64), "s")
        await driver.ended("x")
        assert (await driver.result("x")).output == nested(64)


@pytest.mark.parametrize("response", [nested(65), "x" * 256_000, "\ud800"])
async def test_a_decision_that_cannot_be_kept_is_refused(response: JsonValue) -> None:
    store = await waiting()
    with pytest.raises(InvalidDecision):
        await resolve(hand(store), "x", Decision("paid", "done", response, "ada"))
    comment = response if isinstance(response, str) else "x" * 300_000
    with pytest.raises(InvalidDecision):
        await judge(hand(store), "x", Verdict(True, "ada", comment))
    assert (await store.read("x")).summary.length == 1
