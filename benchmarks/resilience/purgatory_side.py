"""purgatory's circuit breaker, in memory."""

from __future__ import annotations

from purgatory import AsyncCircuitBreakerFactory

from benchmarks.resilience import sampling
from benchmarks.resilience.sampling import Call, Down, fail, nothing


async def closed_breaker() -> Call:
    """Return a call through a closed circuit."""
    made: Call = AsyncCircuitBreakerFactory(default_threshold=5)("closed")(nothing)
    return made


async def open_breaker() -> Call:
    """Return a call that an open circuit refuses."""
    factory = AsyncCircuitBreakerFactory(default_threshold=5, default_ttl=3_600)
    call: Call = factory("open")(fail)
    for _ in range(5):
        try:
            await call()
        except Down:
            continue
    return call


if __name__ == "__main__":
    sampling.tell({sampling.BREAKER: closed_breaker, sampling.REFUSED: open_breaker})
