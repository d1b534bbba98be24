"""Wait node: wait for a while, or until a moment, then complete.

Not here: waiting for an event (plait.kernel.machines.wait_event).
"""

from __future__ import annotations

from typing import ClassVar

from plait.kernel.machine import Machine, Offers
from plait.kernel.state import Execution, Run
from plait.model.duration import parse_duration_ms
from plait.model.errors import Advice
from plait.model.failure import Failure
from plait.model.json import JsonValue, canonical_bytes
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


def duration_ms(value: JsonValue) -> int:
    """Return the milliseconds that a template's value names.

    Text only, as in a document: a bare 5 could be seconds or milliseconds.

    Raises:
        ValueError: It names none.
    """
    if isinstance(value, str):
        return parse_duration_ms(value)
    raise ValueError(
        f"{_shown(value)} is not a duration, which is text; write ${{…}}ms or ${{…}}s "
        "around a number, or yield text such as 800ms, 2s, 5m, 1h, 3d or ISO 8601"
    )


def duration_failure(error: ValueError) -> Failure:
    """Return the failure of a step whose template yielded no duration."""
    return Failure("wait.duration", str(error), advice=Advice.FIX_REQUEST)


def _moment_ms(value: JsonValue) -> int:
    if isinstance(value, str):
        return parse_moment_ms(value)
    raise ValueError(
        f"{_shown(value)} is not a moment; yield a timestamp, or text with date, time "
        "and zone: 2026-12-24T18:00:00Z"
    )


def _shown(value: JsonValue) -> str:
    """What it is, as JSON; of what may be long, the kind."""
    if isinstance(value, (list, dict)):
        return "a list" if isinstance(value, list) else "a mapping"
    return canonical_bytes(value).decode()


MACHINE = WaitMachine()
