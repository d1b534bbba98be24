"""Deadlines: each task its time, whatever the others do."""

from __future__ import annotations

import asyncio

import pytest

from plait.gateway.deadlines import Deadlines


async def forever(deadlines: Deadlines) -> bool:
    """Wait; return whether the time was up when it was cancelled."""
    task = asyncio.current_task()
    assert task is not None
    deadlines.watch(task)
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        return not deadlines.forget(task)
    return False


async def test_a_task_that_takes_too_long_is_cancelled() -> None:
    async with asyncio.timeout(5):
        assert await asyncio.create_task(forever(Deadlines(0.01)))


async def test_every_task_has_its_own_time() -> None:
    deadlines = Deadlines(0.02)
    async with asyncio.timeout(5):
        for _ in range(3):
            waiting = [asyncio.create_task(forever(deadlines)) for _ in range(3)]
            assert await asyncio.gather(*waiting) == [True] * 3


async def test_a_later_task_is_not_cut_short_by_an_earlier_one() -> None:
    deadlines = Deadlines(0.05)
    loop = asyncio.get_running_loop()
    early = asyncio.create_task(forever(deadlines))
    # Half way: the other one begins when the first has half of its time left.
    half_way = asyncio.Event()
    loop.call_later(0.025, half_way.set)
    await half_way.wait()
    begun_s = loop.time()
    late = asyncio.create_task(forever(deadlines))
    assert await early
    assert await late
    assert loop.time() - begun_s > 0.045


async def test_a_forgotten_task_is_left_alone() -> None:
    deadlines = Deadlines(0.01)
    done = asyncio.Event()

    async def forgotten() -> str:
        task = asyncio.current_task()
        assert task is not None
        deadlines.watch(task)
        assert deadlines.forget(task)
        await done.wait()
        return "whole"

    left, late = asyncio.create_task(forgotten()), asyncio.create_task(forever(deadlines))
    assert await late
    done.set()
    assert await left == "whole"


async def test_a_cancellation_from_elsewhere_is_no_deadline() -> None:
    deadlines = Deadlines(60)
    task = asyncio.create_task(forever(deadlines))
    await asyncio.sleep(0)
    task.cancel()
    assert await task is False


@pytest.mark.parametrize("count", [1, 100])
async def test_one_timer_serves_all(count: int) -> None:
    deadlines = Deadlines(60)
    tasks = [asyncio.create_task(forever(deadlines)) for _ in range(count)]
    await asyncio.sleep(0)
    assert len(asyncio.get_running_loop()._scheduled) == 1  # type: ignore[attr-defined]
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks)
