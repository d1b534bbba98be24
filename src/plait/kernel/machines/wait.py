"""Wait node: wait for a while, then complete."""

from __future__ import annotations

from typing import ClassVar

from plait.kernel.machine import Machine, Offers
from plait.kernel.state import Execution, Run
from plait.model.duration import parse_duration_ms
from plait.model.errors import Advice
from plait.model.failure import Failure
from plait.model.json import JsonValue, canonical_bytes


class WaitMachine(Machine):
    """Asks for one timer. No clock here: due times arrive inside events."""

    name: ClassVar[str] = "wait"

    def start(self, kernel: Offers, x: Execution, run: Run) -> None:
        """Ask for the timer, or fail when a template gave no duration."""
        value = run.node.templates["for"].render(run.frame.names)
        try:
            wait_ms = _duration_ms(value)
        except ValueError as error:
            kernel.fail(x, run, _no_duration(error))
            return
        kernel.start_timer(x, run, x.now_ms + wait_ms)

    def on_timer(self, kernel: Offers, x: Execution, run: Run) -> None:
        """The wait is over. A wait has nothing to tell: its response is null."""
        kernel.succeed(x, run, None)


def _duration_ms(value: JsonValue) -> int:
    """Text only, as in a document: a bare 5 could be seconds or milliseconds."""
    if isinstance(value, str):
        return parse_duration_ms(value)
    raise ValueError(
        f"{_shown(value)} is not a duration, which is text; write ${{…}}ms or ${{…}}s "
        "around a number, or yield text such as 800ms, 2s, 5m, 1h, 3d or ISO 8601"
    )


def _shown(value: JsonValue) -> str:
    """What it is, as JSON; of what may be long, the kind."""
    if isinstance(value, (list, dict)):
        return "a list" if isinstance(value, list) else "a mapping"
    return canonical_bytes(value).decode()


def _no_duration(error: ValueError) -> Failure:
    return Failure("wait.duration", str(error), advice=Advice.FIX_REQUEST)


MACHINE = WaitMachine()
