"""Deadlines: never early, hardly late, one timer, nothing left behind."""

from __future__ import annotations

import asyncio
import time

from plait.connectors.http.deadlines import Deadlines
from tests.unit.connectors.scenes import on_both_loops

# The promise is 5 ms; the rest is for a busy machine that runs the tests.
LATE_S_MAX = 0.25


class Item:
    """Notes when its time is up."""

    def __init__(self, done: asyncio.Event | None = None) -> None:
        self.expired_at: list[float] = []
        self._done = done

    def expire(self) -> None:
        self.expired_at.append(time.monotonic())
        if self._done is not None:
            self._done.set()


@on_both_loops
async def test_a_deadline_is_never_early_and_called_once() -> None:
    deadlines = Deadlines[Item](asyncio.get_running_loop())
    began = time.monotonic()
    last = asyncio.Event()
    items = [Item() for _ in range(50)]
    for number, item in enumerate(items):
        deadlines.add(item, number)
    deadlines.add(Item(last), 60)
    await last.wait()
    for number, item in enumerate(items):
        [expired_at] = item.expired_at
        assert number / 1000 <= expired_at - began <= number / 1000 + LATE_S_MAX
    assert deadlines.everyone() == []


@on_both_loops
async def test_who_leaves_its_bucket_does_not_expire() -> None:
    deadlines = Deadlines[Item](asyncio.get_running_loop())
    gone, last = Item(), asyncio.Event()
    deadlines.add(gone, 10).pop(gone)
    deadlines.add(Item(last), 30)
    await last.wait()
    assert gone.expired_at == []


@on_both_loops
async def test_an_earlier_deadline_overtakes_a_later_one() -> None:
    deadlines = Deadlines[Item](asyncio.get_running_loop())
    late, soon = Item(), asyncio.Event()
    deadlines.add(late, 60_000)
    deadlines.add(Item(soon), 10)
    await asyncio.wait_for(soon.wait(), 5)
    assert late.expired_at == []
    assert deadlines.everyone() == [late]
    deadlines.close()
    assert deadlines.everyone() == []


@on_both_loops
async def test_buckets_of_answered_calls_are_dropped() -> None:
    deadlines = Deadlines[Item](asyncio.get_running_loop())
    for number in range(200):
        item = Item()
        deadlines.add(item, number).pop(item)
    last = asyncio.Event()
    deadlines.add(Item(last), 250)
    await last.wait()
    assert len(deadlines._buckets) == len(deadlines._ticks) == 0


@on_both_loops
async def test_a_bucket_knows_how_long_it_has() -> None:
    deadlines = Deadlines[Item](asyncio.get_running_loop())
    bucket = deadlines.add(Item(), 10_000)
    assert 9 < bucket.left_s() <= 10.005
    assert deadlines.add(Item(), 0).left_s() <= 0.005
    deadlines.close()
