"""Wait node: wait for a while, then complete."""

from __future__ import annotations

from typing import ClassVar

from plait.kernel.machine import Machine, Offers
from plait.kernel.state import Execution, Run
from plait.model.duration import parse_duration_ms
from plait.model.errors import Advice
from plait.model.failure import Failure
from plait.model.json import JsonValue


class WaitMachine(Machine):
    """Asks for one timer. No clock here: due times arrive inside events."""

    name: ClassVar[str] = "wait"

    def start(self, kernel: Offers, x: Execution, run: Run) -> None:
        """Ask for the timer, or fail when a template gave no duration."""
        value = run.node.templates["for"].render(run.frame.names)
        try:
            wait_ms = parse_duration_ms(str(value))
        except ValueError as error:
            kernel.fail(x, run, _no_duration(error))
            return
        kernel.start_timer(x, run, "machine", x.now_ms + wait_ms)

    def on_timer(self, kernel: Offers, x: Execution, run: Run) -> None:
        """The wait is over. A wait has nothing to tell: its response is null."""
        kernel.succeed(x, run, None)


def _no_duration(error: ValueError) -> Failure:
    details: dict[str, JsonValue] = {}
    return Failure("wait.duration", str(error), details, Advice.FIX_REQUEST)


MACHINE = WaitMachine()
