"""One turn's result, the limits it keeps, and the kernel's numbered behaviour."""

from __future__ import annotations

from typing import ClassVar, Final

from plait.kernel.commands import Command
from plait.kernel.events import Event
from plait.model.errors import Advice, PlaitError
from plait.model.record import record

# Recorded in each ExecutionStarted. A change that would replay an old history differently
# takes the next number and keeps the old path for executions that carry the old one.
# 2: an end by cancel says what it left undone.
# 3: and that it did not happen where no call had been made for it.
BEHAVIOUR: Final = 3


class BehaviourUnknown(PlaitError):
    """The execution was started by a newer kernel, whose rules this one does not know."""

    code: ClassVar[str] = "kernel.behaviour_unknown"
    advice: ClassVar[Advice] = Advice.REPORT

    def __init__(self, behaviour: int) -> None:
        super().__init__(
            f"this execution follows kernel behaviour {behaviour}; "
            f"this version knows up to {BEHAVIOUR}: run it with a newer version"
        )


@record
class Limits:
    """What one execution may use before it fails with `limit.…`.

    Attributes:
        events_max: Length of the history.
        events_kept: With more events than this a history that has loops begins anew.
        pending_max: Calls, timers and waits for somebody outside, at once.
        signals_max, signals_bytes_max: Signals kept until somebody waits for them.
    """

    events_max: int = 50_000
    events_kept: int = 5_000
    pending_max: int = 1_000
    signals_max: int = 1_000
    signals_bytes_max: int = 4_000_000


@record
class Turn:
    """What one event led to: facts to record (the event itself first), then commands."""

    events: list[Event]
    commands: list[Command]
