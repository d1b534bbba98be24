"""Rate limits in pipelines: who is refused comes back in time and blames nobody."""

from __future__ import annotations

import asyncio

import pytest

from plait.resilience import (
    BreakerSettings,
    BreakerState,
    Bulkhead,
    CircuitBreaker,
    PipelineBuilder,
    RateLimited,
    RetryPolicy,
    TokenBucket,
)
from plait.testing.virtual_time import run_virtually
from tests.unit.resilience.clocks import HandClock, LoopClock


def test_a_retry_comes_back_when_the_limit_says() -> None:
    async def main() -> list[float]:
        loop = asyncio.get_running_loop()
        begun_s = loop.time()
        pipeline = (
            PipelineBuilder("payments")
            .retry(RetryPolicy(max_attempts=2, delay_s=0.1, clock=LoopClock()))
            .rate_limit(TokenBucket(limit=1, period_s=10, clock=LoopClock()))
            .build()
        )
        called_s: list[float] = []

        async def call() -> None:
            called_s.append(loop.time() - begun_s)

        await pipeline.call(call)
        await pipeline.call(call)
        return called_s

    assert run_virtually(main()) == pytest.approx([0, 10], abs=1e-3)


async def test_a_circuit_does_not_open_for_what_the_limit_refuses() -> None:
    breaker = CircuitBreaker(BreakerSettings(failure_threshold=1), clock=HandClock())
    limiter = TokenBucket(limit=1, period_s=10, clock=HandClock())
    pipeline = PipelineBuilder("p").circuit_breaker(breaker).rate_limit(limiter).build()

    @pipeline
    async def call() -> str:
        return "called"

    assert await call() == "called"
    with pytest.raises(RateLimited):
        await call()
    assert breaker.state is BreakerState.CLOSED


async def test_who_waits_for_the_limit_takes_no_place_of_the_bulkhead() -> None:
    places = Bulkhead(1)
    limiter = TokenBucket(limit=1, period_s=1_000, queue_timeout_s=None)
    pipeline = PipelineBuilder("p").rate_limit(limiter).bulkhead(places).build()
    await pipeline.call(asyncio.sleep, 0)
    waiting = asyncio.ensure_future(pipeline.call(asyncio.sleep, 0))
    while not limiter.snapshot().waiting:
        await asyncio.sleep(0)
    assert await places.call(asyncio.sleep, 0, "free") == "free"
    waiting.cancel()
    await asyncio.wait((waiting,))


def test_a_limiter_protects_coroutine_functions_only() -> None:
    with pytest.raises(TypeError, match="TokenBucket protects coroutine functions"):
        TokenBucket(limit=1, period_s=1)(len)  # type: ignore[arg-type]
