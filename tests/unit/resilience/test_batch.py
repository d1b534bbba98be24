"""The batch: which lookups go together, and who gets which answer."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plait.resilience import Batch
from plait.testing.virtual_time import run_virtually


async def turns(count: int = 5) -> None:
    """Let everything that is ready run."""
    for _ in range(count):
        await asyncio.sleep(0)


class Bulk:
    """Notes what it was asked for; answers ten times each key when it is let."""

    def __init__(self, *, held: bool = False) -> None:
        self.asked: list[list[int]] = []
        self.cancelled = 0
        self.gate = asyncio.Event()
        if not held:
            self.gate.set()

    async def __call__(self, keys: list[int]) -> dict[int, int | Exception]:
        self.asked.append(list(keys))
        try:
            await self.gate.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        return {key: 10 * key for key in keys}


@given(
    lookups=st.lists(st.tuples(st.integers(0, 30), st.integers(0, 9)), max_size=50),
    max_size=st.integers(1, 6),
)
def test_lookups_go_together_by_time_and_size_and_each_gets_its_answer(
    lookups: list[tuple[int, int]], max_size: int
) -> None:
    """The model: in order of arrival, a batch ends by its size, or 10 ms after it began."""
    moments = sorted((at_ms, key) for at_ms, key in lookups)
    expected: list[list[int]] = []
    begun_ms = -100
    for at_ms, key in moments:
        is_open = expected and at_ms - begun_ms < 10 and len(expected[-1]) < max_size
        if not is_open:
            expected.append([])
            begun_ms = at_ms
        if key not in expected[-1]:
            expected[-1].append(key)

    async def main() -> tuple[list[list[int]], list[int]]:
        bulk = Bulk()
        # Half a millisecond off, so that no lookup comes as a batch goes; and 5 µs apart,
        # for timers of the same moment have no order.
        batch = Batch(bulk, max_size=max_size, max_delay_s=0.0095)

        async def look(number: int, at_ms: int, key: int) -> int:
            await asyncio.sleep((at_ms + number / 200) / 1_000)
            return await batch(key)

        looks = (look(number, *moment) for number, moment in enumerate(moments))
        answers = await asyncio.gather(*looks)
        return bulk.asked, answers

    asked, answers = run_virtually(main())
    assert answers == [10 * key for _, key in moments]
    assert asked == expected


async def test_a_thousand_single_lookups_are_ten_calls() -> None:
    bulk = Bulk()
    batch = Batch(bulk, max_size=100)
    found = await asyncio.gather(*(batch(key) for key in range(1_000)))
    assert found == [10 * key for key in range(1_000)]
    assert [len(keys) for keys in bulk.asked] == [100] * 10
    snapshot = batch.snapshot()
    assert (snapshot.calls, snapshot.keys, snapshot.waiting) == (10, 1_000, 0)


async def test_an_error_of_one_key_is_raised_to_who_asked_for_it_only() -> None:
    async def look(keys: list[str]) -> list[str | Exception]:
        return [LookupError(key) if key == "b" else key.upper() for key in keys]

    batch = Batch(look)
    asked = [batch(key) for key in ("a", "b", "c", "b")]
    ends = await asyncio.gather(*asked, return_exceptions=True)
    assert [ends[0], ends[2]] == ["A", "C"]
    assert [type(end) for end in (ends[1], ends[3])] == [LookupError] * 2


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        ({1: 10}, [10, KeyError]),
        ([10], [ValueError, ValueError]),
        (OSError("down"), [OSError, OSError]),
    ],
)
async def test_a_bulk_call_that_answers_too_little_or_not_leaves_nobody_waiting(
    answers: Any, expected: list[Any]
) -> None:
    async def look(keys: list[int]) -> Any:
        if isinstance(answers, Exception):
            raise answers
        return answers

    batch: Batch[int, int] = Batch(look)
    ends = await asyncio.gather(batch(1), batch(2), return_exceptions=True)
    assert [end if isinstance(end, int) else type(end) for end in ends] == expected


async def test_who_is_cancelled_while_the_batch_waits_is_left_out_of_it() -> None:
    bulk = Bulk()
    batch = Batch(bulk, max_size=3)
    tasks = [asyncio.create_task(batch(key)) for key in (1, 2, 2)]
    await turns()
    tasks[0].cancel()
    tasks[1].cancel()
    await turns()
    assert bulk.asked == []
    await batch.aclose()
    assert await tasks[2] == 20
    assert bulk.asked == [[2]]


async def test_who_is_cancelled_during_the_bulk_call_takes_nobody_along() -> None:
    bulk = Bulk(held=True)
    batch = Batch(bulk, max_size=2)
    tasks = [asyncio.create_task(batch(key)) for key in (1, 2)]
    await turns()
    tasks[0].cancel()
    await turns()
    bulk.gate.set()
    assert await tasks[1] == 20
    assert bulk.cancelled == 0


async def test_a_bulk_call_that_nobody_waits_for_is_cancelled() -> None:
    bulk = Bulk(held=True)
    batch = Batch(bulk, max_size=2)
    tasks = [asyncio.create_task(batch(key)) for key in (1, 2)]
    await turns()
    for task in tasks:
        task.cancel()
    await turns()
    assert bulk.cancelled == 1
    assert batch.snapshot().running == 0


@pytest.mark.parametrize(
    ("wrong", "complaint"),
    [
        ({"max_size": 0}, "max_size is 0"),
        ({"max_delay_s": -1}, "max_delay_s is -1"),
        ({"max_delay_s": "2ms"}, "max_delay_s is '2ms'"),
    ],
)
def test_an_argument_out_of_its_range_is_named(
    wrong: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(ValueError, match=complaint):
        Batch(Bulk(), **wrong)


def test_a_batch_of_what_cannot_be_called_is_refused() -> None:
    with pytest.raises(TypeError, match="5 is none"):
        Batch(5)  # type: ignore[arg-type]
