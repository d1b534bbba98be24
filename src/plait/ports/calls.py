"""Calls: start one attempt of one step's call, hear its outcome once, or cancel it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeAlias

from plait.kernel import StartCall as Call
from plait.model.failure import Failure
from plait.model.json import JsonValue
from plait.model.record import record

__all__ = [
    "Call",
    "CallHandle",
    "CallReply",
    "Calls",
    "Done",
    "Lacks",
    "Outcome",
    "lacks_of",
]


@record
class CallReply:
    """The call succeeded. `facts` are the connector's extra keys of the step's value.

    For HTTP: `{"status_code": 200, "headers": {"etag": "…"}}`. `passed_over` is the first
    failure that the response goes without: another workflow's, that went on all the same.
    `notes` is what policies did on the way, for the timeline:
    `({"policy": "rate_limit", "waited_ms": 12},)`.
    """

    response: JsonValue
    facts: dict[str, JsonValue]
    passed_over: Failure | None = None
    notes: tuple[JsonValue, ...] = ()


Outcome: TypeAlias = CallReply | Failure
Done: TypeAlias = Callable[[Outcome], None]

Lacks: TypeAlias = Callable[[Call], bool]
"""Tells that this process cannot make a call, and another one may."""


class CallHandle(Protocol):
    """A call under way."""

    def cancel(self) -> None:
        """Stop the call and free what it holds; `done` is not called afterwards."""
        ...


class Calls(Protocol):
    """Performs calls. Contract: plait.testing.calls_suite.

    Callbacks, not coroutines: a task per call costs more than the call's own bookkeeping.
    """

    def start(self, call: Call, done: Done) -> CallHandle:
        """Begin `call`; `done` hears the outcome exactly once, unless cancelled.

        Never raises: whatever goes wrong reaches `done` as a Failure, and `done` may be
        called before `start` returns.
        """
        ...

    async def close(self) -> None:
        """Cancel what is under way and close every connection."""
        ...


def lacks_of(calls: Calls) -> Lacks:
    """Return what tells which calls are left to other processes.

    That is the method `lacks` of `calls`; without one, none is. Only what runs durable
    executions asks: anybody else begins the call, and hears that it failed.
    """
    found: Lacks = getattr(calls, "lacks", _nothing)
    return found


def _nothing(call: Call) -> bool:
    del call
    return False
