"""Observers: who hears of requests and executions, for logs, traces and metrics.

Rule 1. An observer returns at once, raises nothing and changes nothing.
Rule 2. Of a durable execution it hears what is in the journal, and nothing before.

Not here: what observers make of it (plait.telemetry).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextvars import ContextVar
from typing import Final, Protocol, TypeAlias

from plait.kernel.events import (
    Event,
    ExecutionCancelled,
    ExecutionCompensated,
    ExecutionCompleted,
    ExecutionFailed,
)
from plait.model.caller import DEFAULT_TENANT
from plait.model.failure import Failure
from plait.model.json import JsonValue
from plait.model.record import record

Headers: TypeAlias = tuple[tuple[str, str], ...]

# What is passed on of the request of the API that is answered just now: so that calls of
# other services, whose ports say nothing of traces, are in its trace.
current_trace: Final[ContextVar[Headers]] = ContextVar("current_trace", default=())

# How an execution ends, by its last event.
STATUSES: Final[Mapping[type, str]] = {
    ExecutionCompleted: "completed",
    ExecutionFailed: "failed",
    ExecutionCompensated: "compensated",
    ExecutionCancelled: "cancelled",
}
EXPRESS: Final = "express"
DURABLE: Final = "durable"


@record
class Answered:
    """A request that was answered.

    Attributes:
        route: The template that its path fits (`/users/{id}`); empty: none.
        status: 499 when the client left before the reply.
        began_s: When it was read, seconds since the Unix epoch.
        took_s: From then to the reply, seconds.
        trace: What is passed on for it, `traceparent` first; empty where no route was
            found.
        parent: The `traceparent` that it came with; None: none.
    """

    method: str
    route: str
    status: int
    began_s: float
    took_s: float
    request_id: str
    trace: Headers = ()
    parent: str | None = None
    execution_id: str | None = None
    tenant: str = DEFAULT_TENANT


Watch: TypeAlias = Callable[[Answered], None]


def ids_in(trace: Headers) -> dict[str, str]:
    """Return what of a trace names it in a line of the log.

    >>> ids_in((("traceparent", f"00-{'a' * 32}-{'b' * 16}-01"), ("x-request-id", "r1")))
    {'trace_id': 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa', 'request_id': 'r1'}
    """
    ids: dict[str, str] = {}
    for name, value in trace:
        if name == "traceparent":
            ids["trace_id"] = value[3:35]
        elif name == "x-request-id":
            ids["request_id"] = value
    return ids


@record
class About:
    """The execution of which something is told.

    Attributes:
        mode: `EXPRESS` or `DURABLE`.
        trace: The headers that its calls pass on.
        began_s: When it began, or was resumed last; seconds since the Unix epoch.
        parent: The execution and the step that wanted it, if one did.
        round: How often it had ended before, and was resumed.
    """

    execution_id: str
    workflow: str
    tenant: str
    mode: str
    trace: Headers
    began_s: float
    parent: tuple[str, str] | None = None
    round: int = 0


def wanted_by(trigger: JsonValue) -> tuple[str, str] | None:
    """Return the execution and the step that wanted one with this trigger.

    >>> wanted_by({"type": "workflow", "execution_id": "e1", "step": "pay"})
    ('e1', 'pay')
    """
    if isinstance(trigger, dict) and trigger.get("type") == "workflow":
        return str(trigger.get("execution_id")), str(trigger.get("step"))
    return None


class Line(Protocol):
    """How a step ended, and when (plait.drivers.inline.StepTrace).

    `attempts` has when each began and ended, and why it failed, if it did. Moments are
    seconds since the Unix epoch, plus the offset that is told with them.
    """

    step: str
    status: str
    started_s: float
    ended_s: float | None
    attempts: list[tuple[float, float | None, Failure | None]]
    by_fallback: bool
    failure: Failure | None


class Observer(Protocol):
    """Hears of executions.

    Attributes:
        draws: Whether it wants the lines of durable executions, which cost more than
            their events.
    """

    draws: bool

    def ran(
        self,
        about: About,
        status: str,
        failure: Failure | None,
        took_s: float,
        lines: Iterable[Line],
        offset_s: float,
    ) -> None:
        """An express execution has ended.

        Args:
            offset_s: What makes of the lines' moments seconds since the Unix epoch.
        """
        ...

    def turned(self, about: About, events: Sequence[Event], lines: Iterable[Line]) -> None:
        """A turn of a durable execution is in the journal.

        Args:
            lines: Of all its steps, if it has ended with it and the observer `draws`.
        """
        ...

    def recorded(self, took_s: float) -> None:
        """A turn of a durable execution was taken by the store within this time."""
        ...
