"""Where windows end, what they remember, and which names limiters go by."""

from __future__ import annotations

import asyncio
import gc
from typing import Any

import pytest

from plait.resilience.errors import RateLimited
from plait.resilience.rate_limit import (
    FixedWindow,
    LeakyBucket,
    LeakyBucketMeter,
    SlidingWindow,
    TokenBucket,
    rate_limiter,
)
from plait.resilience.rate_limit.admission import Event
from tests.unit.resilience.rate_limit.clocks import HandClock


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


def passed(limiter: Any, tries: int) -> int:
    return sum(bool(limiter.try_acquire()) for _ in range(tries))


def test_a_fixed_window_lets_twice_the_limit_pass_around_an_edge(clock: HandClock) -> None:
    limiter = FixedWindow(limit=10, period_s=1, clock=clock)
    clock.now_s += 0.875
    assert passed(limiter, 20) == 10
    clock.now_s += 0.125
    assert passed(limiter, 20) == 10


def test_a_sliding_window_does_not(clock: HandClock) -> None:
    limiter = SlidingWindow(limit=10, period_s=1, clock=clock)
    clock.now_s += 0.875
    assert passed(limiter, 20) == 10
    clock.now_s += 0.125
    assert passed(limiter, 20) == 0
    clock.now_s += 0.875
    assert passed(limiter, 20) == 10


def test_windows_stay_where_they_are_however_long_nobody_comes(clock: HandClock) -> None:
    limiter = FixedWindow(limit=1, period_s=0.25, clock=clock)
    clock.now_s += 1_000_000.125
    assert passed(limiter, 2) == 1
    assert limiter.snapshot().reset_after == pytest.approx(0.125)


def test_a_sliding_window_remembers_no_more_calls_than_its_limit(clock: HandClock) -> None:
    limiter = SlidingWindow(limit=50, period_s=1, clock=clock)
    for _ in range(5_000):
        limiter.try_acquire()
        clock.now_s += 0.001
    assert len(limiter._times) <= 50
    assert len(limiter._weights) <= 50


@pytest.mark.parametrize("rate", [3, 7, 10, 1_000])
def test_a_bucket_loses_no_call_to_rounding(clock: HandClock, rate: int) -> None:
    limiter = TokenBucket(limit=rate, period_s=1, burst=1, clock=clock)
    begun_s = clock.now_s
    for number in range(1, 5 * rate):
        assert limiter.try_acquire()
        assert not limiter.try_acquire()
        clock.now_s = begun_s + number / rate


async def test_a_waiter_whose_loop_is_gone_holds_nobody_up(clock: HandClock) -> None:
    limiter = TokenBucket(limit=1, period_s=1, clock=clock)

    def leave_one_waiting() -> None:
        loop = asyncio.new_event_loop()
        loop.run_until_complete(limiter.acquire())
        waiter = limiter.acquire_or_wait()
        task = loop.create_task(waiter)
        loop.run_until_complete(asyncio.sleep(0))
        task._log_destroy_pending = False  # type: ignore[attr-defined]
        loop.close()

    await asyncio.to_thread(leave_one_waiting)
    gc.collect()
    clock.now_s += 1
    await limiter.acquire()
    assert limiter.snapshot().waiting == 0


async def test_what_a_waiter_was_admitted_is_given_back_when_it_is_cancelled_at_once(
    clock: HandClock,
) -> None:
    limiter = TokenBucket(limit=4, period_s=1, burst=2, clock=clock)
    await limiter.acquire(2)
    first = asyncio.create_task(limiter.acquire_or_wait())
    second = asyncio.create_task(limiter.acquire_or_wait(2))
    while limiter.snapshot().waiting < 2:
        await asyncio.sleep(0)
    clock.now_s += 0.5
    # Whoever asks serves the line first: the first waiter is admitted, and then cancelled.
    assert not limiter.try_acquire()
    assert limiter.snapshot().waiting == 1
    first.cancel()
    await asyncio.wait((first, second))
    assert first.cancelled()
    assert limiter.snapshot().remaining == 0


@pytest.mark.parametrize(
    ("strategy", "kind"),
    [
        ("fixed_window", FixedWindow),
        ("sliding_window", SlidingWindow),
        ("token_bucket", TokenBucket),
        ("leaky_bucket", LeakyBucket),
        ("leaky_bucket_meter", LeakyBucketMeter),
    ],
)
def test_a_strategy_goes_by_its_name(strategy: str, kind: type[object]) -> None:
    assert type(rate_limiter(strategy, limit=1, period_s=1)) is kind


def test_a_burst_goes_to_what_has_one_and_is_refused_elsewhere() -> None:
    for strategy in ("token_bucket", "leaky_bucket_meter"):
        limiter = rate_limiter(strategy, limit=2, period_s=1, burst=7)
        assert limiter.snapshot().limit == 7
    with pytest.raises(ValueError, match="burst is 7: a fixed_window has none"):
        rate_limiter("fixed_window", limit=2, period_s=1, burst=7)


def test_an_unknown_strategy_is_told_the_nearest() -> None:
    with pytest.raises(ValueError, match="did you mean 'sliding_window'"):
        rate_limiter("sliding", limit=1, period_s=1)


async def test_a_limiter_waits_as_long_as_it_was_told(clock: HandClock) -> None:
    told: list[Event] = []
    limiter = FixedWindow(
        limit=1, period_s=60, queue_timeout_s=10, clock=clock, on_event=told.append
    )
    async with limiter:
        pass
    with pytest.raises(RateLimited) as caught:
        async with limiter:
            raise AssertionError("not reached")
    assert caught.value.retry_after == 60
    assert len(told) == 1
