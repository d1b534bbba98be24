"""What a turn came to when it ran, for telling it again.

Rule. Whether a call could be asked for depends on more than the history holds: on secrets,
      and on limits. So who tells a history says what was refused then, and nothing else is.

Not here: comparing what is concluded with what is recorded (plait.drivers.journal.history).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from plait.kernel.events import (
    Event,
    ExecutionFailed,
    FallbackStarted,
    RetryScheduled,
    StepFailed,
)
from plait.model.failure import Failure

# A step's path and its attempt.
Key: TypeAlias = tuple[str, int]
EVENTS: Final = "limit.events"
PENDING: Final = "limit.pending_steps"
_NONE: Final[Mapping[Key, Failure]] = {}


@dataclass(frozen=True, slots=True)
class Recorded:
    """What is known of a turn that is told again.

    Attributes:
        refused: The attempts that failed as they began, and how.
        made: The attempts whose calls were asked for; None: all that are not refused.
        full: How the execution failed because its history was too long; None: it did not.
    """

    refused: Mapping[Key, Failure] = field(default_factory=lambda: _NONE)
    made: Set[Key] | None = None
    full: Failure | None = None

    def refusal_of(self, step: str, attempt: int) -> Failure | None:
        """Return how an attempt failed as it began; None: it did not."""
        return self.refused.get((step, attempt))

    def crowded_out(self, step: str, attempt: int) -> Failure | None:
        """Return how an attempt failed for being one too many; None: it did not."""
        failure = self.refusal_of(step, attempt)
        return failure if failure is not None and failure.code == PENDING else None

    def is_made(self, step: str, attempt: int) -> bool:
        """Tell whether an attempt's call was asked for."""
        return self.made is None or (step, attempt) in self.made

    def events_max(self, default: int) -> int:
        """Return how long a history that became too long might be; else more than ever."""
        if self.full is None:
            return 1 << 62
        found = (self.full.details or {}).get("events_max")
        return found if isinstance(found, int) else default


def recorded(events: Sequence[Event]) -> Recorded:
    """Return what a turn's events say."""
    last = events[-1]
    full = last.failure if isinstance(last, ExecutionFailed) else None
    is_full = full is not None and full.code == EVENTS
    return Recorded(failures_of(events), None, full if is_full else None)


def failures_of(events: Iterable[Event]) -> dict[Key, Failure]:
    """Return how attempts failed in a turn, whether they had begun in it or before."""
    found: dict[Key, Failure] = {}
    for event in events:
        if isinstance(event, RetryScheduled | FallbackStarted | StepFailed):
            failure = event.failure
            if failure.step == event.step:
                found.setdefault((event.step, failure.attempts), failure)
    return found
