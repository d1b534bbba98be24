"""One limiter per key: apart from each other, and bounded."""

from __future__ import annotations

import asyncio

import pytest

from plait.resilience.errors import RateLimited
from plait.resilience.rate_limit import FixedWindow, KeyedRateLimiter, TokenBucket
from tests.unit.resilience.rate_limit.clocks import HandClock


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def per_user(clock: HandClock) -> KeyedRateLimiter[str]:
    """One call per second and user, three users at a time."""
    return KeyedRateLimiter(
        lambda user: FixedWindow(limit=1, period_s=1, name=user, clock=clock), keys_max=3
    )


async def test_each_key_has_a_limit_of_its_own(per_user: KeyedRateLimiter[str]) -> None:
    await per_user.acquire("ann")
    await per_user.acquire("bob")
    with pytest.raises(RateLimited, match="rate limit 'ann'"):
        await per_user.acquire("ann")
    assert not per_user.try_acquire("bob")
    assert per_user.snapshot("ann").remaining == 0
    assert per_user.snapshot("cid").remaining == 1
    assert len(per_user) == 2


async def test_a_flood_of_keys_gives_nobody_a_fresh_limit(
    per_user: KeyedRateLimiter[str], clock: HandClock
) -> None:
    assert per_user.try_acquire("ann")
    answers = [per_user.try_acquire(f"flood-{number}") for number in range(100)]
    assert sum(map(bool, answers)) == 2
    assert answers[-1].retry_after == pytest.approx(1)
    assert len(per_user) == 3
    assert not per_user.try_acquire("ann")
    with pytest.raises(RateLimited, match="3 keys are limited already"):
        await per_user.acquire("late")
    clock.now_s += 1
    await per_user.acquire("late")
    assert per_user.try_acquire("ann")


def test_keys_that_are_idle_are_dropped_as_new_ones_come(clock: HandClock) -> None:
    per_user: KeyedRateLimiter[int] = KeyedRateLimiter(
        lambda _: TokenBucket(limit=1, period_s=1, clock=clock)
    )
    for user in range(1_000):
        assert per_user.try_acquire(user)
        clock.now_s += 0.1
    # Ten calls lie within the second that a bucket takes to fill.
    assert len(per_user) <= 12


async def test_a_key_that_somebody_waits_for_is_not_dropped(
    per_user: KeyedRateLimiter[str], clock: HandClock
) -> None:
    await per_user.acquire("ann")
    waiting = asyncio.create_task(per_user.acquire_or_wait("ann"))
    while per_user.snapshot("ann").waiting == 0:
        await asyncio.sleep(0)
    clock.now_s += 1
    for user in ("bob", "cid"):
        await per_user.acquire(user)
    assert not per_user.try_acquire("eve")
    # It is her turn, before anybody who comes now.
    assert not per_user.try_acquire("ann")
    await waiting


def test_a_bound_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="keys_max is 0; give a whole number"):
        KeyedRateLimiter(lambda _: TokenBucket(limit=1, period_s=1), keys_max=0)
