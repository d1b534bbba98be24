"""Pipelines: the order of policies, and how they meet."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plait.resilience import (
    BreakerSettings,
    Bulkhead,
    CircuitBreaker,
    CircuitOpen,
    Fallback,
    Pipeline,
    PipelineBuilder,
    Place,
    RetryPolicy,
    Timeout,
)
from plait.testing.virtual_time import run_virtually
from tests.unit.resilience.clocks import HandClock, LoopClock

ORDER = (
    "fallback timeout retry cache idempotency collapse hedge circuit_breaker "
    "rate_limit bulkhead attempt_timeout"
).split()


class Witness:
    """Notes when it is entered."""

    def __init__(self, name: str, seen: list[str]) -> None:
        self.name, self.seen = name, seen

    async def call(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        self.seen.append(self.name)
        return await function(*args, **kwargs)


@given(places=st.lists(st.sampled_from(Place), min_size=1, unique=True))
def test_policies_stand_in_one_order_however_they_are_named(places: list[Place]) -> None:
    seen: list[str] = []
    builder = PipelineBuilder()
    for place in places:
        name = place.name.lower()
        getattr(builder, name)(Witness(name, seen))

    async def add(one: int, *, two: int) -> int:
        return one + two

    assert asyncio.run(builder.build().call(add, 1, two=2)) == 3
    assert seen == [name for name in ORDER if Place[name.upper()] in places]


def test_the_builder_puts_each_policy_in_its_place() -> None:
    builder = PipelineBuilder("pay").bulkhead(Bulkhead(1)).attempt_timeout(Timeout(1))
    builder.circuit_breaker(CircuitBreaker()).retry(RetryPolicy()).timeout(Timeout(9))
    pipeline = builder.fallback(Fallback(None)).build()
    assert [place.name for place in pipeline.layers] == [
        "FALLBACK",
        "TIMEOUT",
        "RETRY",
        "CIRCUIT_BREAKER",
        "BULKHEAD",
        "ATTEMPT_TIMEOUT",
    ]


def test_a_policy_is_not_taken_twice() -> None:
    with pytest.raises(ValueError, match="retry is there already"):
        PipelineBuilder().retry(RetryPolicy()).retry(RetryPolicy())


def test_a_pipeline_without_policies_is_refused() -> None:
    with pytest.raises(ValueError, match="empty"):
        PipelineBuilder().build()


def test_what_is_no_policy_is_refused() -> None:
    with pytest.raises(TypeError, match="no method `call`"):
        PipelineBuilder().put(Place.CACHE, {})  # type: ignore[arg-type]


def unsteady(builder: PipelineBuilder, clock: HandClock) -> tuple[Pipeline, CircuitBreaker]:
    breaker = CircuitBreaker(BreakerSettings(failure_threshold=2), clock=clock)
    builder.circuit_breaker(breaker)
    builder.retry(RetryPolicy(max_attempts=5, max_delay_s=60, clock=clock))
    return builder.build(), breaker


async def test_a_refused_admission_is_a_failed_attempt_that_waits_as_it_is_told() -> None:
    clock = HandClock()
    pipeline, breaker = unsteady(PipelineBuilder(), clock)
    answers = [ConnectionError(), ConnectionError(), None]

    async def ask() -> str:
        error = answers.pop(0)
        if error is not None:
            raise error
        return "done"

    assert await pipeline.call(ask) == "done"
    # Two failures open the circuit; the third attempt is refused, and waits 30 s.
    assert clock.slept_s == [0.1, 0.1, pytest.approx(29.9)]
    assert breaker.snapshot().refused == 1


async def test_a_full_bulkhead_does_not_open_the_circuit() -> None:
    clock = HandClock()
    places = Bulkhead(1)
    pipeline, breaker = unsteady(PipelineBuilder().bulkhead(places), clock)
    await places.acquire()
    with pytest.raises(Exception, match="no place"):
        await pipeline.call(asyncio.sleep, 0)
    assert breaker.snapshot().failed == 0
    places.release()
    await pipeline.call(asyncio.sleep, 0)


def test_an_attempt_that_takes_too_long_is_a_failure_and_frees_its_place() -> None:
    async def main() -> str:
        places = Bulkhead(1)
        breaker = CircuitBreaker(BreakerSettings(failure_threshold=2), clock=LoopClock())
        pipeline = (
            PipelineBuilder()
            .fallback(Fallback(lambda error: str(error), on=CircuitOpen))
            .timeout(Timeout(60))
            .retry(RetryPolicy(max_attempts=3, max_delay_s=1, clock=LoopClock()))
            .circuit_breaker(breaker)
            .bulkhead(places)
            .attempt_timeout(Timeout(5))
            .build()
        )

        @pipeline
        async def hang() -> str:
            await asyncio.Event().wait()
            return "never"

        told = await hang()
        assert places.snapshot().running == 0
        assert breaker.snapshot().failed == 2
        return told

    assert run_virtually(main()).startswith("the circuit is open")


def test_the_time_of_all_attempts_ends_a_wait_between_them() -> None:
    async def main() -> float:
        loop = asyncio.get_running_loop()
        begun_at = loop.time()
        pipeline = (
            PipelineBuilder()
            .timeout(Timeout(3, name="all"))
            .retry(RetryPolicy(max_attempts=99, delay_s=2, clock=LoopClock()))
            .build()
        )

        async def refuse() -> None:
            raise ConnectionError

        with pytest.raises(TimeoutError, match="all took longer"):
            await pipeline.call(refuse)
        return loop.time() - begun_at

    assert run_virtually(main()) == pytest.approx(3)
