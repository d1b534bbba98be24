"""The clock that durable executions count by."""

from __future__ import annotations

import asyncio
import time

import uvloop

from plait.drivers.clock import loop_clock
from plait.testing.virtual_time import STARTED_AT_S, run_virtually
from tests.unit.drivers.workers import a_while


def test_it_goes_on_while_a_loop_is_busy_that_looks_once_in_each_round() -> None:
    async def main() -> float:
        now_s = loop_clock()
        begun_s, until_s = now_s(), time.monotonic() + 0.005
        while time.monotonic() < until_s:
            pass
        return now_s() - begun_s

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert runner.run(main()) >= 0.005


def test_it_is_the_loops_own_where_its_time_is_virtual() -> None:
    async def main() -> float:
        now_s = loop_clock()
        await a_while(86_400)
        return now_s()

    assert run_virtually(main()) == STARTED_AT_S + 86_400
