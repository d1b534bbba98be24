"""Plait's policies."""

from __future__ import annotations

from itertools import count
from typing import Final

from benchmarks.resilience import sampling
from benchmarks.resilience.sampling import Call, Down, fail, failing_twice, nothing
from plait.resilience import (
    BreakerSettings,
    Cache,
    CircuitBreaker,
    Collapse,
    PipelineBuilder,
    RetryBudget,
    RetryPolicy,
    TokenBucket,
)


async def doing_nothing() -> Call:
    """Return the call without any policy: what all figures contain."""
    return nothing


async def closed_breaker() -> Call:
    """Return a call through a closed circuit."""
    return CircuitBreaker(BreakerSettings(failure_threshold=5))(nothing)


async def open_breaker() -> Call:
    """Return a call that an open circuit refuses."""
    breaker = CircuitBreaker(BreakerSettings(failure_threshold=5, open_s=3_600))
    call = breaker(fail)
    for _ in range(5):
        try:
            await call()
        except Down:
            continue
    return call


async def retry_unused() -> Call:
    """Return a call that needs no second attempt."""
    return RetryPolicy(max_attempts=3, delay_s=0, on=Down)(nothing)


async def retry_twice() -> Call:
    """Return a call that succeeds in its third attempt."""
    return RetryPolicy(max_attempts=3, delay_s=0, on=Down)(failing_twice())


async def stack() -> Call:
    """Return a call inside everything that a step may put around it."""
    builder = PipelineBuilder()
    builder.retry(RetryPolicy(max_attempts=3, budget=RetryBudget()))
    settings = BreakerSettings(failure_rate=0.5, slow_call_s=1)
    builder.circuit_breaker(CircuitBreaker(settings))
    builder.rate_limit(TokenBucket(limit=1_000_000_000, period_s=1))
    builder.cache(_missing())
    return builder.build()(nothing)


def _missing() -> Cache:
    """Return a cache that is asked for another key each time."""
    numbers = count()
    return Cache(60, key=lambda: next(numbers))


async def cache_hit() -> Call:
    """Return a call whose answer is kept."""
    return Cache(60)(nothing)


async def cache_miss() -> Call:
    """Return a call whose answer is not kept yet, and is then."""
    return _missing()(nothing)


async def collapsed() -> Call:
    """Return a call that nobody else makes at the time."""
    return Collapse()(nothing)


CASES: Final = {
    sampling.NOTHING: doing_nothing,
    sampling.BREAKER: closed_breaker,
    sampling.REFUSED: open_breaker,
    sampling.RETRY: retry_unused,
    sampling.THIRD: retry_twice,
    sampling.HIT: cache_hit,
    sampling.MISS: cache_miss,
    sampling.COLLAPSED: collapsed,
    sampling.STACK: stack,
}

if __name__ == "__main__":
    sampling.tell(CASES)
