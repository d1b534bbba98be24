"""Counts that gateways share: when they ask, and what they say when nobody answers."""

from __future__ import annotations

from collections import defaultdict

import pytest

from plait.gateway import shared_limits
from plait.gateway.limits import Counted, OwnCounts
from plait.gateway.shared_limits import SharedCounts
from plait.model.rate import Rate
from plait.resilience.rate_limit import TokenBucket
from plait.resilience.rate_limit.redis_buckets import Taken
from tests.unit.resilience.clocks import HandClock


class Together:
    """What several gateways count in, and how often it was asked."""

    def __init__(self, clock: HandClock) -> None:
        self.is_silent = False
        self.asked: list[str] = []
        self._buckets: defaultdict[str, TokenBucket] = defaultdict(
            lambda: TokenBucket(limit=3, period_s=60, clock=clock)
        )

    async def take(self, key: str, limit: int, period_s: float) -> Taken | None:
        assert (limit, period_s) == (3, 60)
        if self.is_silent:
            return None
        self.asked.append(key)
        bucket = self._buckets[key]
        admission = bucket.try_acquire()
        return Taken(bucket.snapshot(), admission.retry_after)


RATE = Rate(3, 60_000)


def about(counted: Counted | None) -> tuple[int, float, float | None]:
    assert counted is not None
    standing, wait_s = counted
    rounded = None if wait_s is None else round(wait_s, 6)
    return standing.remaining, round(standing.reset_after, 6), rounded


async def test_alone_it_says_what_a_process_says_that_counts_itself() -> None:
    clock = HandClock()
    together = Together(clock)
    shared = SharedCounts(together, RATE, "address", clock=clock)
    own = OwnCounts(RATE, clock)
    for pause_s in (0, 0, 0, 0, 5, 14.9, 0.2, 0, 30, 0, 7.5, 0, 90):
        clock.advance(pause_s)
        assert about(await shared.take("a")) == about(await own.take("a"))
        assert (shared.peek("a") is None) is (own.peek("a") is None)
    # Not for what was sure to be refused: of 13 requests so many were let in.
    assert len(together.asked) == 6


async def test_who_has_nothing_left_is_not_asked_about_until_there_can_be_some() -> None:
    clock = HandClock()
    together = Together(clock)
    one, other = (SharedCounts(together, RATE, "a", clock=clock) for _ in range(2))
    for _ in range(3):
        await one.take("k")
    # The other one learns it from its first question.
    assert other.peek("k") is None
    assert about(await other.take("k")) == (0, 60, 20)
    clock.advance(19.5)
    for counts in (one, other):
        assert about(counts.peek("k")) == about(await counts.take("k")) == (0, 40.5, 0.5)
    assert len(together.asked) == 4
    clock.advance(0.6)
    assert (await one.take("k")).wait_s is None
    assert about(await other.take("k")) == (0, 59.9, 19.9)
    assert len(set(together.asked)) == 1


async def test_what_is_counted_apart_has_keys_of_its_own() -> None:
    together = Together(HandClock())
    for of in (("route", "GET", "/a"), ("route", "GET/", "a"), ("address",)):
        for key in ("", "203.0.113.7", "caller t ann"):
            await SharedCounts(together, RATE, *of).take(key)
    assert len(set(together.asked)) == 9
    for key in together.asked:
        assert key.rpartition(":")[0] in ("plait:limit:route", "plait:limit:address")
        assert len(key.rpartition(":")[2]) == 32


async def test_while_nobody_answers_the_process_counts_alone() -> None:
    clock = HandClock()
    together = Together(clock)
    counts = SharedCounts(together, RATE, "address", clock=clock)
    await counts.take("a")
    together.is_silent = True
    assert counts.peek("a") is None
    for left in (2, 1, 0):
        assert (await counts.take("a")).standing.remaining == left
    assert about(await counts.take("a")) == about(counts.peek("a")) == (0, 60, 20)
    # What it counted then is not told: there the key has used one of three.
    together.is_silent = False
    assert counts.peek("a") is None
    assert about(await counts.take("a")) == (1, 40, None)


async def test_what_is_known_of_the_refused_is_bounded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(shared_limits, "KEYS_MAX", 2)
    together = Together(HandClock())
    counts = SharedCounts(together, RATE, "address")
    for key in "abc":
        for _ in range(3):
            await counts.take(key)
    # The first was forgotten, and is asked about once more.
    assert [counts.peek(key) is None for key in "abc"] == [True, False, False]
    assert (await counts.take("a")).wait_s is not None
