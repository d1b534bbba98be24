"""What a refusal advises: whoever waits for that is let in, and no longer is advised."""

from __future__ import annotations

import math

import pytest

from plait.drivers.policies.gates import breaker_settings
from plait.drivers.policies.verdicts import refused
from plait.gateway.failure_status import failure_reply
from plait.plan import BreakerPolicy
from plait.resilience import CircuitBreaker, RateLimited
from tests.unit.resilience.clocks import HandClock

# What a driver's timer may be early, and whole milliseconds: moments are rounded down.
TIMER_MS = 1.5
BEGAN_S = [1_000 + number * 0.000_37 for number in range(60)]


def opened(open_ms: int, clock: HandClock) -> CircuitBreaker:
    policy = BreakerPolicy(failure_threshold=1, open_ms=open_ms)
    breaker = CircuitBreaker(breaker_settings(policy), name="shop", clock=clock)
    breaker.failed(breaker.acquire())
    return breaker


@pytest.mark.parametrize("open_ms", [1, 4, 60, 30_000])
@pytest.mark.parametrize("asked_after_s", [0.0, 0.000_9, 0.01])
def test_a_retry_at_the_advised_moment_is_let_in(
    open_ms: int, asked_after_s: float
) -> None:
    for began_s in BEGAN_S:
        clock = HandClock(began_s)
        breaker = opened(open_ms, clock)
        clock.advance(min(asked_after_s, open_ms / 3000))
        advised_ms = refused(breaker.refusal()).retry_after_ms
        assert advised_ms is not None
        due_ms = math.floor(clock.now() * 1000) + advised_ms
        clock.now_s = (due_ms - TIMER_MS) / 1000
        assert breaker.try_acquire()


@pytest.mark.parametrize("hours", [1, 24])
def test_an_open_time_of_whole_hours_stays_that_in_a_header(hours: int) -> None:
    for began_s in BEGAN_S:
        breaker = opened(hours * 3_600_000, HandClock(began_s))
        failure = refused(breaker.refusal())
        assert failure.retry_after_ms == hours * 3_600_000
        headers = dict(failure_reply(failure, 503).headers)
        assert headers[b"retry-after"] == b"%d" % (hours * 3600)


@pytest.mark.parametrize(
    ("asked_s", "advised_ms"), [(0.5, 503), (0.499_8, 503), (3600.0, 3_600_000), (0.0, 0)]
)
def test_a_limit_advises_a_little_longer_and_no_further_second(
    asked_s: float, advised_ms: int
) -> None:
    limited = RateLimited("used up", name="shop", retry_after=asked_s)
    assert refused(limited).retry_after_ms == advised_ms
