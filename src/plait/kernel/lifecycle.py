"""A step's life, as data. docs/machines/step.md is drawn from TRANSITIONS.

Rule 1. Every change of a step's state goes through `advance`.
Rule 2. A pair that is not in the table cannot happen; meeting one is a bug of ours, and
        the execution stops rather than go on from a state that means nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import ClassVar, Final

from plait.kernel.events import (
    FallbackStarted,
    IncidentRaised,
    RetryScheduled,
    RetryStarted,
    StepCancelled,
    StepCompleted,
    StepEvent,
    StepFailed,
    StepSkipped,
    StepStarted,
)
from plait.model.errors import PlaitError


class StepState(Enum):
    """Where a step instance is in its life."""

    PENDING = "pending"
    RUNNING = "running"
    BACKING_OFF = "backing off"
    FALLING_BACK = "falling back"
    IN_DOUBT = "in doubt"
    COMPLETED = "completed"
    FAILED = "failed"
    SKIPPED = "skipped"
    CANCELLED = "cancelled"

    # By identity: an enum's own hash is a Python-level call, and this is the hot path.
    __hash__ = object.__hash__


TRANSITIONS: Final[Mapping[tuple[StepState, type[StepEvent]], StepState]] = {
    (StepState.PENDING, StepStarted): StepState.RUNNING,
    (StepState.PENDING, StepSkipped): StepState.SKIPPED,
    (StepState.PENDING, StepFailed): StepState.FAILED,
    (StepState.PENDING, FallbackStarted): StepState.FALLING_BACK,
    (StepState.RUNNING, StepCompleted): StepState.COMPLETED,
    (StepState.RUNNING, StepFailed): StepState.FAILED,
    (StepState.RUNNING, RetryScheduled): StepState.BACKING_OFF,
    (StepState.RUNNING, FallbackStarted): StepState.FALLING_BACK,
    (StepState.RUNNING, StepCancelled): StepState.CANCELLED,
    (StepState.BACKING_OFF, RetryStarted): StepState.RUNNING,
    (StepState.BACKING_OFF, FallbackStarted): StepState.FALLING_BACK,
    (StepState.BACKING_OFF, StepFailed): StepState.FAILED,
    (StepState.BACKING_OFF, StepCancelled): StepState.CANCELLED,
    (StepState.FALLING_BACK, StepCompleted): StepState.COMPLETED,
    (StepState.FALLING_BACK, StepFailed): StepState.FAILED,
    (StepState.FALLING_BACK, StepCancelled): StepState.CANCELLED,
    (StepState.RUNNING, IncidentRaised): StepState.IN_DOUBT,
    (StepState.IN_DOUBT, RetryStarted): StepState.RUNNING,
    (StepState.IN_DOUBT, StepCompleted): StepState.COMPLETED,
    (StepState.IN_DOUBT, FallbackStarted): StepState.FALLING_BACK,
    (StepState.IN_DOUBT, StepFailed): StepState.FAILED,
    (StepState.IN_DOUBT, StepCancelled): StepState.CANCELLED,
}

ACTIVE: Final = (
    StepState.RUNNING,
    StepState.BACKING_OFF,
    StepState.FALLING_BACK,
    StepState.IN_DOUBT,
)


class InvariantBroken(PlaitError):
    """The kernel met a state that its own rules exclude. Always a bug in Plait."""

    code: ClassVar[str] = "internal.invariant"


def advance(state: StepState, event: type[StepEvent], step: str) -> StepState:
    """Return the state that follows `state` after `event`.

    Raises:
        InvariantBroken: The table has no such transition.

    >>> advance(StepState.PENDING, StepStarted, "user")
    <StepState.RUNNING: 'running'>
    """
    try:
        return TRANSITIONS[state, event]
    except KeyError:
        raise InvariantBroken(
            f"step '{step}': {event.__name__} is impossible in state {state.value}"
        ) from None
