"""aiobreaker's circuit breaker, in memory."""

from __future__ import annotations

from datetime import timedelta
from functools import partial

from aiobreaker import CircuitBreaker, CircuitBreakerError

from benchmarks.resilience import sampling
from benchmarks.resilience.sampling import Call, Down, fail, nothing


async def closed_breaker() -> Call:
    """Return a call through a closed circuit."""
    return partial(CircuitBreaker(fail_max=5).call_async, nothing)


async def open_breaker() -> Call:
    """Return a call that an open circuit refuses."""
    breaker = CircuitBreaker(fail_max=5, timeout_duration=timedelta(hours=1))
    call = partial(breaker.call_async, fail)
    for _ in range(5):
        try:
            await call()
        except (Down, CircuitBreakerError):
            continue
    return call


if __name__ == "__main__":
    sampling.tell({sampling.BREAKER: closed_breaker, sampling.REFUSED: open_breaker})
