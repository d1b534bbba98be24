"""The clock of the policies: nobody who waits comes too early."""

from __future__ import annotations

import asyncio
import time

import uvloop

from plait.resilience import BreakerSettings, CircuitBreaker
from plait.resilience.clock import SYSTEM_CLOCK
from tests.unit.resilience.clocks import HandClock


def test_who_sleeps_on_a_loop_that_counts_in_milliseconds_sleeps_no_less() -> None:
    async def main() -> list[float]:
        over_s, asked_s = [], 0.0014
        for _ in range(20):
            begun_s = time.monotonic()
            await SYSTEM_CLOCK.sleep(asked_s)
            over_s.append(time.monotonic() - begun_s - asked_s)
        return over_s

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert min(runner.run(main())) >= 0


def test_who_waits_for_as_long_as_an_open_circuit_says_is_let_in() -> None:
    for number in range(2_000):
        clock = HandClock(number * 0.003_7)
        breaker = CircuitBreaker(BreakerSettings(failure_threshold=1), clock=clock)
        breaker.failed(breaker.acquire())
        clock.advance(number * 0.001_1)
        after_s = breaker.refusal().retry_after
        assert after_s is not None
        clock.advance(after_s)
        assert breaker.try_acquire()
