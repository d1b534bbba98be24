"""The express driver and the simulator come to the same end, document by document.

The driver runs on a real event loop whose clock jumps to whatever is due next.
"""

from __future__ import annotations

import asyncio
import selectors
from typing import Any

import pytest
from hypothesis import assume, given, settings

from plait.drivers.inline import InlineDriver, Result, Start, driver
from plait.kernel import Kernel
from plait.plan import Plan
from plait.ports.calls import Call, CallHandle, CallReply, Done
from plait.testing import Simulation
from plait.testing.script import answer_to
from tests.simulation.asking import plan_of, play
from tests.simulation.documents import documents

GIVEN: Any = {"a": 1, "flag": True}

BEGIN_S = 1_000.0


class JumpingSelector(selectors.SelectSelector):
    """Does not wait for files: whoever would, waits for a moment, and that is now."""

    def __init__(self) -> None:
        super().__init__()
        self.now_s = BEGIN_S

    def select(self, timeout: float | None = None) -> Any:
        """Move the clock on by `timeout`."""
        ready = super().select(0)
        if not ready:
            assert timeout is not None, "the loop waits for nothing"
            self.now_s += max(timeout, 0)
        return ready


class JumpingLoop(asyncio.SelectorEventLoop):
    """An event loop that never sleeps."""

    def __init__(self) -> None:
        self.clock = JumpingSelector()
        super().__init__(self.clock)

    def time(self) -> float:
        """Return the virtual moment, in seconds."""
        return self.clock.now_s


class Clock:
    """What the driver knows as the module `time`."""

    def __init__(self, clock: JumpingSelector) -> None:
        self._clock = clock

    def monotonic(self) -> float:
        """Return the loop's own moment."""
        return self._clock.now_s

    def time(self) -> float:
        """Return a moment of the day on which random documents wait for moments."""
        return 1_767_225_600.0 + self._clock.now_s - BEGIN_S


class PlayedCalls:
    """Answers as the calls' own requests say, on the running loop."""

    def start(self, call: Call, done: Done) -> CallHandle:
        """Answer later, in virtual time."""
        answer = answer_to(play, call)
        outcome = answer.failure or CallReply(answer.response, answer.facts)
        assert answer.after_ms is not None
        loop = asyncio.get_running_loop()
        return loop.call_later(answer.after_ms / 1000, done, outcome)

    async def close(self) -> None:
        """Nothing to close."""


def run_on_a_loop(plan: Plan) -> tuple[Result, JumpingLoop]:
    """Return the result, and the loop, closed."""
    loop = JumpingLoop()
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(driver, "time", Clock(loop.clock))
            start = Start("simulated", GIVEN)
            result = loop.run_until_complete(
                InlineDriver(PlayedCalls()).run(Kernel(plan), start)
            )
    finally:
        loop.close()
    return result, loop


@settings(max_examples=2 * settings().max_examples)
@given(document=documents())
def test_the_driver_ends_as_the_simulation_does(document: Any) -> None:
    plan = plan_of(document)
    assume(not Kernel(plan).waits_outside)
    expected = Simulation(plan, play, input=GIVEN).run()
    result, loop = run_on_a_loop(plan)
    assert (result.status, result.output) == (expected.status, expected.output)
    assert result.is_degraded == expected.is_degraded
    if expected.failure is not None:
        assert result.failure is not None
        told = (result.failure.code, result.failure.step, result.failure.attempts)
        awaited = expected.failure
        assert told == (awaited.code, awaited.step, awaited.attempts)
    # Moments are whole milliseconds; each wait may be one of them shorter or longer.
    assert abs((loop.time() - BEGIN_S) * 1000 - expected.elapsed_ms) < 20
    statuses = {path: step.status for path, step in result.trace.steps.items()}
    assert statuses == {path: step.status for path, step in expected.steps.items()}
