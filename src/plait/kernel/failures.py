"""Failures that the kernel itself comes to, and what it adds to those of others.

Rule. What is added to a failure's `details` is a code, a message and a place, never the
      details of another failure: those may hold what an upstream said.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from plait.kernel.state import Execution, Frame, Run
from plait.model.errors import Advice
from plait.model.failure import Failure
from plait.model.json import JsonObject, JsonValue

# Of a thousand steps at once, twenty say enough of what was slow; the count is exact.
RUNNING_TOLD_MAX: Final = 20
OUT_OF_TIME: Final = "step.timeout"


def out_of_time(run: Run) -> Failure:
    """Return the failure of a step whose time is over."""
    return Failure(
        OUT_OF_TIME,
        f"step '{run.path}' did not end within its time limit",
        advice=Advice.RETRY,
        classes=("timeout",),
    )


def execution_out_of_time(x: Execution) -> Failure:
    """Return the failure of an execution whose time is over: it names what still ran.

    `details.running` has the innermost steps under way, at most RUNNING_TOLD_MAX of them,
    in the order in which they began; `details.running_count` says how many there were.
    """
    running = [] if x.root is None else [*_innermost(x.root)]
    told: list[JsonValue] = [_told(run) for run in running[:RUNNING_TOLD_MAX]]
    return Failure(
        "execution.timeout",
        f"the workflow did not end within {x.plan.timeout_ms} ms",
        {"running": told, "running_count": len(running)},
        classes=("timeout",),
    )


def _innermost(frame: Frame) -> Iterator[Run]:
    """Yield what runs in `frame`; of a group, what runs inside it."""
    for run in frame.runs.values():
        if run.is_active and not run.frames:
            yield run
        for inner in run.frames.values():
            yield from _innermost(inner)


def _told(run: Run) -> JsonObject:
    here = Failure("", "").at(step=run.path, attempts=run.attempt, place=run.node.place)
    return _where(here.as_json())


def crowded(pending_max: int) -> Failure:
    """Return the failure of a step that would be one too many at once."""
    return Failure(
        "limit.pending_steps",
        f"more than {pending_max} steps would be pending at once",
        advice=Advice.FIX_REQUEST,
    )


def history_full(events_max: int) -> Failure:
    """Return the failure of an execution whose history has become too long."""
    text = f"the execution's history reached {events_max} events"
    return Failure("limit.events", text, {"events_max": events_max})


def with_detail(failure: Failure, name: str, value: JsonValue) -> Failure:
    """Return `failure` with one more fact among its details."""
    return replace(failure, details={**(failure.details or {}), name: value})


def in_brief(error: JsonObject) -> JsonObject:
    """Return what to tell of an error (`Failure.as_json`) that explains another one.

    >>> failure = Failure("connector.closed", "…", {"body": "long"}, step="a", attempts=2)
    >>> in_brief(failure.as_json())
    {'code': 'connector.closed', 'message': '…', 'step': 'a', 'attempts': 2}
    """
    return {"code": error["code"], "message": error["message"], **_where(error)}


def _where(error: JsonObject) -> JsonObject:
    details = error["details"]
    assert isinstance(details, dict)
    keys = ("step", "attempts", "place")
    return {key: details[key] for key in keys if key in details}
