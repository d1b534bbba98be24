"""Collapse: who shares a call with whom."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from plait.resilience import CircuitBreaker, Collapse, PipelineBuilder


async def turns(count: int = 5) -> None:
    """Let everything that is ready run."""
    for _ in range(count):
        await asyncio.sleep(0)


class Lookup:
    """Counts its calls, and answers when it is let."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.gate = asyncio.Event()

    async def of(self, sku: str) -> str:
        self.asked.append(sku)
        await self.gate.wait()
        return f"{sku} #{len(self.asked)}"


async def test_a_hundred_who_ask_the_same_at_once_share_one_call_and_no_later_one() -> None:
    collapse, lookup = Collapse(key=lambda sku: sku), Lookup()
    tasks = [asyncio.create_task(collapse.call(lookup.of, sku)) for sku in ("A", "B") * 50]
    await turns()
    assert lookup.asked == ["A", "B"]
    lookup.gate.set()
    assert await asyncio.gather(*tasks) == ["A #2", "B #2"] * 50
    assert await collapse.call(lookup.of, "A") == "A #3"
    snapshot = collapse.snapshot()
    assert (snapshot.running, snapshot.made, snapshot.shared) == (0, 3, 98)


async def test_a_cancelled_caller_hands_its_call_on() -> None:
    collapse, lookup = Collapse(key=lambda sku: sku), Lookup()
    tasks = [asyncio.create_task(collapse.call(lookup.of, "A")) for _ in range(3)]
    await turns()
    tasks[0].cancel()
    await turns()
    lookup.gate.set()
    assert await asyncio.gather(*tasks[1:]) == ["A #2"] * 2
    assert tasks[0].cancelled()


async def test_a_call_whose_key_is_none_is_made_for_itself() -> None:
    collapse, lookup = Collapse(key=lambda sku: None), Lookup()
    lookup.gate.set()
    calls = [collapse.call(lookup.of, "A") for _ in range(3)]
    await asyncio.gather(*calls)
    assert lookup.asked == ["A"] * 3


async def test_in_a_pipeline_the_key_is_of_the_protected_functions_arguments() -> None:
    pipeline = PipelineBuilder().collapse(Collapse()).circuit_breaker(CircuitBreaker())
    asked: list[str] = []

    @pipeline.build()
    async def price(sku: str) -> str:
        asked.append(sku)
        await turns()
        return sku

    found = await asyncio.gather(*(price(sku) for sku in "ABAB"))
    assert (found, asked) == (list("ABAB"), ["A", "B"])


async def test_two_closures_of_one_name_share_no_call() -> None:
    collapse = Collapse()

    def getter(answer: str) -> Any:
        async def get(number: int) -> str:
            await turns()
            return f"{answer} {number}"

        return get

    one, two = collapse(getter("one")), collapse(getter("two"))
    found = await asyncio.gather(one(1), two(1), one(1))
    assert (list(found), collapse.snapshot().shared) == (["one 1", "two 1", "one 1"], 1)


async def test_who_waits_hears_of_a_key_that_cannot_be_made_and_of_an_error() -> None:
    """Nobody waits for a call that was refused, or that has failed."""
    collapse, gate = Collapse(), asyncio.Event()

    async def find(query: object) -> None:
        await gate.wait()
        raise LookupError(query)

    for query, error in (([], TypeError), ("A", LookupError)):
        calls = [asyncio.create_task(collapse.call(find, query)) for _ in range(3)]
        await turns()
        gate.set()
        ends = await asyncio.gather(*calls, return_exceptions=True)
        assert [type(end) for end in ends] == [error] * 3
    assert collapse.snapshot().running == 0


async def test_a_method_needs_a_key() -> None:
    with pytest.raises(TypeError, match="give `key`"):
        await Collapse().call(Lookup().of, "A")
