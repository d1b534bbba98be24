"""Wait node: wait for a while, or until a moment, then complete.

Not here: waiting for an event (plait.kernel.machines.wait_event).
"""

from __future__ import annotations

from typing import ClassVar

from plait.kernel.durations import duration_failure, duration_ms, shown
from plait.kernel.machine import Machine, Offers
from plait.kernel.state import Execution, Run
from plait.model.errors import Advice
from plait.model.failure import Failure
from plait.model.json import JsonValue
from plait.model.moment import parse_moment_ms


class WaitMachine(Machine):
    """Asks for one timer. No clock here: due times arrive inside events."""

    name: ClassVar[str] = "wait"

    def start(self, kernel: Offers, x: Execution, run: Run) -> None:
        """Ask for the timer, or fail when a template gave no duration, no moment."""
        names, templates = run.frame.names, run.node.templates
        if "until" in templates:
            value = templates["until"].render(names)
            try:
                # A moment that is over waits for nothing.
                due_at_ms = max(_moment_ms(value), x.now_ms)
            except ValueError as error:
                failure = Failure("wait.until", str(error), advice=Advice.FIX_REQUEST)
                kernel.fail(x, run, failure)
                return
        else:
            value = templates["for"].render(names)
            try:
                due_at_ms = x.now_ms + duration_ms(value)
            except ValueError as error:
                kernel.fail(x, run, duration_failure(error))
                return
        kernel.start_timer(x, run, due_at_ms)

    def on_timer(self, kernel: Offers, x: Execution, run: Run) -> None:
        """The wait is over. A wait has nothing to tell: its response is null."""
        kernel.succeed(x, run, None)


def _moment_ms(value: JsonValue) -> int:
    if isinstance(value, str):
        return parse_moment_ms(value)
    raise ValueError(
        f"{shown(value)} is not a moment; yield a timestamp, or text with date, time "
        "and zone: 2026-12-24T18:00:00Z"
    )


MACHINE = WaitMachine()
