"""Goto node: another step of the same sequence is the next one.

Rule. The step that it leads to begins so often at most (`max_visits`, all its visits
      counted), whichever way leads there: so every circle of jumps ends.

Not here: the addresses of further visits, where the sequence goes on (plait.kernel.frames).
"""

from __future__ import annotations

from typing import ClassVar, cast

from plait.kernel.frames import jump
from plait.kernel.iteration import TURN_EVENTS_MAX
from plait.kernel.machine import Machine, Offers
from plait.kernel.state import Execution, Run
from plait.model.errors import Advice
from plait.model.failure import Failure
from plait.model.json import JsonObject


class GotoMachine(Machine):
    """Sends the sequence elsewhere."""

    name: ClassVar[str] = "goto"
    jumps: ClassVar[bool] = True

    def start(self, kernel: Offers, x: Execution, run: Run) -> None:
        """Jump, in this turn if that is not too long already."""
        if len(x.events) >= TURN_EVENTS_MAX:
            kernel.start_timer(x, run, x.now_ms)
        else:
            self.on_timer(kernel, x, run)

    def on_timer(self, kernel: Offers, x: Execution, run: Run) -> None:
        """Jump, if the target may begin once more."""
        frame, options = run.frame, run.node.options
        to, most = cast("str", options["to"]), cast("int", options["max_visits"])
        visits = frame.visits.get(to, 0)
        if visits >= most:
            text = f"'{to}' would begin more than {most} times"
            details: JsonObject = {"to": to, "max_visits": most}
            failure = Failure("limit.visits", text, details, Advice.FIX_REQUEST)
            kernel.fail(x, run, failure)
            return
        # Before it has succeeded: settling is what makes the next one ready.
        jump(frame, to)
        kernel.succeed(x, run, {"to": to, "visit": visits + 1})


MACHINE = GotoMachine()
