"""Compensation: which completed steps can be undone, and the undoing of some of them.

Rule 1. What completed last is undone first, one at a time. A compensation that fails does
        not keep the others from being undone; it is told of at the end.
Rule 2. The log is of the whole execution, so that what a saga or a group did can be undone
        later too. A group's own `compensate` stands for those of the steps inside it.
Rule 3. A step that was undone and is run again is another call to the other side: its
        idempotency key says how often it was undone before.

Not here: when something is undone (plait.kernel.engine, plait.kernel.machines.saga).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Final, Protocol, assert_never

from plait.kernel.codec import event_json, failure_json, load_event, load_failure
from plait.kernel.events import (
    CompensationEnded,
    CompensationStarted,
    ExecutionCancelled,
    ExecutionCompensated,
    ExecutionCompleted,
    ExecutionFailed,
    TerminalEvent,
)
from plait.kernel.failures import in_brief, with_detail
from plait.kernel.frames import active_runs
from plait.kernel.paths import is_within, with_groups, without_rounds
from plait.kernel.state import Execution, Frame, Run, Undo, Undoing
from plait.model.errors import Advice
from plait.model.failure import Failure
from plait.model.json import JsonObject, JsonValue
from plait.plan import Scope

# Of a run's frames, the one in which something is undone; no scope has such a name.
COMPENSATE: Final = ".compensate"
_UNDER_WAY: Final = (
    "the execution was cancelled while this was being undone: whether it is, is not known"
)
_NOT_TRIED: Final = "the execution was cancelled before this was undone"


def note_completed(x: Execution, run: Run) -> None:
    """Note that `run`, whose node has a `compensate`, has completed by itself."""
    key = without_rounds(run.path)
    if run.node.scopes:
        for inner in list(_inside(x, run)):
            del x.undo[inner]
    # In again at the end: a later round has completed later.
    x.undo.pop(key, None)
    names = run.frame.names
    if run.frame.scope.jumps:
        # Another visit will have other values under the same names.
        names = dict(names)
    x.undo[key] = Undo(run.node, run.path, names, x.undo_count)
    x.undo_count += 1


def _inside(x: Execution, run: Run) -> Iterator[str]:
    """Yield the keys of what completed inside `run`, the last first.

    What had completed before it began is not looked at: a loop may have left much.
    """
    group = without_rounds(run.path)
    for key, undo in reversed(x.undo.items()):
        if undo.number < run.undo_from:
            return
        if is_within(key, group):
            yield key


def owe(x: Execution, run: Run) -> None:
    """Note that the saga `run` was cut short from outside: it is undone before the end."""
    for key in _inside(x, run):
        x.undo[key].is_owed = True


def owed(x: Execution) -> list[str]:
    """Return what sagas that were cut short have left to be undone, the oldest first."""
    return [key for key, undo in x.undo.items() if undo.is_owed]


def inside_of(x: Execution, run: Run) -> list[str]:
    """Return what completed inside `run` and can be undone, the oldest first."""
    group = without_rounds(run.path)
    return [key for key in _inside(x, run) if key != group][::-1]


def begin_at_end(x: Execution, keys: list[str], event: TerminalEvent) -> Undoing:
    """Begin to undo `keys` before the execution ends by `event`."""
    then = event
    failure = getattr(event, "failure", None)
    if isinstance(event, ExecutionFailed) and x.plan.on_failure == "compensate":
        then = ExecutionCompensated(event.failure, event.at_ms)
    cause = failure or Failure("saga.cut_short", "a saga was given up before its end")
    return begin(x, None, keys, cause, then)


class Undoes(Protocol):
    """The engine, as this file sees it."""

    def open_scope(
        self,
        x: Execution,
        scope: Scope,
        owner: Run | None,
        name: str,
        prefix: str,
        names: dict[str, Any],
    ) -> None:
        """Start a scope inside `owner`; without one, as the execution's own."""
        ...

    def fail(self, x: Execution, run: Run, failure: Failure) -> None:
        """See plait.kernel.machine.Offers."""
        ...

    def close(self, x: Execution, event: TerminalEvent) -> None:
        """End the execution."""
        ...


def begin(
    x: Execution,
    owner: Run | None,
    keys: list[str],
    cause: Failure,
    then: TerminalEvent | None = None,
) -> Undoing:
    """Begin to undo `keys`, of which the last is the first."""
    x.compensation_count += 1
    undoing = Undoing(x.compensation_count, keys, cause, then)
    undoing.is_called = False if x.started.behaviour >= 3 else None
    step = "" if owner is None else owner.path
    steps = [x.undo[key].path for key in reversed(keys)]
    x.events.append(CompensationStarted(step, x.compensation_count, steps, x.now_ms))
    return undoing


def go_on(kernel: Undoes, x: Execution, owner: Run | None, undoing: Undoing) -> None:
    """Undo what is next; when nothing is left, let follow what is to follow."""
    if undoing.left:
        undo = x.undo[undoing.left[-1]]
        scope = undo.node.compensate_scope
        assert scope is not None
        names = {**undo.names, "error": undoing.cause.as_json()}
        kernel.open_scope(x, scope, owner, COMPENSATE, _next_prefix(undo), names)
        return
    failure = _told(x, owner, undoing)
    if owner is not None:
        owner.memory = None
        kernel.fail(x, owner, failure)
        return
    x.undoing = None
    kernel.close(x, _end_after(x, undoing, failure))


def note_call(x: Execution, run: Run) -> None:
    """Note that a call was made for whatever `run` is a part of the undoing of."""
    frame, owner = run.frame, run.frame.parent
    while True:
        if frame.name == COMPENSATE:
            undoing = x.undoing if owner is None else owner.memory
            assert isinstance(undoing, Undoing)
            if undoing.is_called is False:
                undoing.is_called = True
        if owner is None:
            return
        frame, owner = owner.frame, owner.frame.parent


def on_frame_over(
    kernel: Undoes, x: Execution, frame: Frame, failure: Failure | None
) -> None:
    """What undoes a step has come to its end, by a failure or without one."""
    owner = frame.parent
    undoing = x.undoing if owner is None else owner.memory
    assert isinstance(undoing, Undoing)
    why_not: JsonValue = None
    if failure is not None:
        why_not = in_brief(failure.as_json())
    else:
        view = frame.names[frame.scope.nodes[0].id]
        # A compensation that may fail (`on_error: continue`) has failed all the same.
        why_not = in_brief(view["error"]) if view["status"] == "failed" else None
    _note(x, undoing, why_not)
    go_on(kernel, x, owner, undoing)


def _next_prefix(undo: Undo) -> str:
    """A compensation that has failed may be tried again: `charge.compensate~2/refund`."""
    undo.tries += 1
    again = "" if undo.tries == 1 else f"~{undo.tries}"
    return f"{undo.path}.compensate{again}/"


def _note(x: Execution, undoing: Undoing, why_not: JsonValue) -> None:
    key = undoing.left.pop()
    if undoing.is_called:
        undoing.is_called = False
    undo = x.undo[key]
    if why_not is None:
        del x.undo[key]
        x.undone[key] = x.undone.get(key, 0) + 1
        undoing.undone.append(undo.path)
    else:
        undoing.not_undone.append({"step": undo.path, "error": why_not})


def _end_after(x: Execution, undoing: Undoing, failure: Failure) -> TerminalEvent:
    """Return how an execution ends of which some or all was undone."""
    if undoing.not_undone:
        return ExecutionFailed(failure, x.now_ms)
    if isinstance(undoing.then, ExecutionCompensated):
        return ExecutionCompensated(failure, x.now_ms)
    if isinstance(undoing.then, ExecutionFailed):
        return ExecutionFailed(failure, x.now_ms)
    assert undoing.then is not None
    return replace(undoing.then, at_ms=x.now_ms)


def _told(x: Execution, owner: Run | None, undoing: Undoing) -> Failure:
    """Note that all was tried; return the cause, told what has become of it."""
    step = "" if owner is None else owner.path
    undone, not_undone = undoing.undone, undoing.not_undone
    event = CompensationEnded(step, undoing.number, undone, not_undone, x.now_ms)
    x.events.append(event)
    told: JsonValue = {
        "outcome": "compensation_failed" if not_undone else "compensated",
        "undone": [*undone],
        "not_undone": [*not_undone],
    }
    if not not_undone:
        return with_detail(undoing.cause, "compensation", told)
    return Failure(
        "saga.compensation_failed",
        f"{len(not_undone)} of {len(undone) + len(not_undone)} completed steps could not "
        "be undone",
        {"cause": in_brief(undoing.cause.as_json()), "compensation": told},
        Advice.REPORT,
    )


def cut_short(x: Execution) -> JsonObject | None:
    """Return what becomes of all undoing under way when it is stopped; None: none is.

    What is not undone then can be undone later, by a rollback.
    """
    found = [run.memory for run in active_runs(x) if isinstance(run.memory, Undoing)]
    found += [] if x.undoing is None else [x.undoing]
    if not found:
        return None
    undone, not_undone = list[JsonValue](), list[JsonValue]()
    for undoing in found:
        undone += undoing.undone
        not_undone += undoing.not_undone
        for key in reversed(undoing.left):
            is_begun = key == undoing.left[-1] and undoing.is_called is not False
            why = _UNDER_WAY if is_begun else _NOT_TRIED
            error = {"code": "execution.cancelled", "message": why}
            not_undone.append({"step": x.undo[key].path, "error": {**error}})
    return {
        "outcome": "compensation_failed",
        "undone": undone,
        "not_undone": not_undone,
    }


def cancelled(end: ExecutionCancelled) -> Failure:
    """Return an end by cancel as people and programs read it."""
    failure = Failure("execution.cancelled", end.reason)
    if end.compensation is None:
        return failure
    return with_detail(failure, "compensation", end.compensation)


def times_undone(x: Execution, path: str) -> int:
    """Return how often the step at `path`, or a group around it, was undone before."""
    return sum(x.undone.get(around, 0) for around in with_groups(path))


def due_at_end(x: Execution, event: TerminalEvent) -> list[str]:
    """Return what is to be undone before the execution ends by `event`."""
    match event:
        case ExecutionFailed() if x.plan.on_failure == "compensate":
            return [*x.undo]
        case ExecutionFailed() | ExecutionCompleted():
            return owed(x)
        case ExecutionCompensated():
            return [*x.undo]
        case ExecutionCancelled():
            return []
        case _:
            assert_never(event)


def undoing_json(undoing: Undoing) -> JsonValue:
    """Return a compensation under way as JSON, for a snapshot."""
    then = None if undoing.then is None else event_json(undoing.then)
    saved: JsonObject = {
        "number": undoing.number,
        "left": [*undoing.left],
        "cause": failure_json(undoing.cause),
        "then": then,
        "undone": [*undoing.undone],
        "not_undone": [*undoing.not_undone],
    }
    # Of earlier behaviours older versions go on with what is written here.
    return saved if undoing.is_called is None else {**saved, "is_called": undoing.is_called}


def load_undoing(saved: dict[str, Any]) -> Undoing:
    """Return the compensation that `undoing_json` has written."""
    then = None if saved["then"] is None else load_event(saved["then"])
    cause = load_failure(saved["cause"])
    lists = {name: list(saved[name]) for name in ("left", "undone", "not_undone")}
    return Undoing(**{**saved, **lists, "cause": cause, "then": then})
