"""Results of executions that have ended, as those who wait for them see them.

Not here: executions as people see them (plait.operations.executions).
"""

from __future__ import annotations

from collections.abc import Iterable

from plait.drivers.inline import Result, Trace
from plait.kernel import Execution
from plait.kernel.codec import load_turn
from plait.kernel.compensation import cancelled
from plait.kernel.events import (
    Event,
    ExecutionCancelled,
    ExecutionCompensated,
    ExecutionCompleted,
    ExecutionFailed,
    ExecutionStarted,
    HistoryBegun,
)
from plait.model.failure import Failure
from plait.model.json import JsonValue
from plait.ports.journal import History, Summary


def turns_of(history: History) -> list[list[Event]]:
    """Return the events of each turn.

    Raises:
        TurnUnreadable: A newer version wrote one.
    """
    return [load_turn(entry.body) for entry in history.entries]


def started_of(first: Event) -> ExecutionStarted:
    """Return what an execution began with, by the first event of its history."""
    if isinstance(first, HistoryBegun):
        return first.started
    assert isinstance(first, ExecutionStarted)
    return first


def trace_of(turns: Iterable[list[Event]], until_ms: int) -> Trace:
    """Return the timeline; its moments are seconds since the Unix epoch.

    Args:
        until_ms: Until when what has not ended is drawn.
    """
    trace: Trace | None = None
    for events in turns:
        at_s = events[0].at_ms / 1000
        if trace is None:
            trace = Trace(started_of(events[0]).at_ms / 1000)
        trace.note(events, at_s)
    assert trace is not None
    trace.ended_s = until_ms / 1000
    return trace


def result_of(history: History, state: Execution) -> Result:
    """Return the result of an execution that has ended.

    Args:
        state: The same history, replayed.
    """
    summary = history.summary
    trace = trace_of(turns_of(history), summary.standing.at_ms)
    return concluded(summary, state, trace)


def concluded(summary: Summary, state: Execution, trace: Trace) -> Result:
    """Return the result of an execution that has ended, by what it came to.

    Args:
        trace: Its timeline, to its end.
    """
    output: JsonValue = None
    failure: Failure | None = None
    passed_over: Failure | None = None
    match state.end:
        case ExecutionCompleted():
            output, passed_over = state.end.output, state.end.passed_over
        case ExecutionFailed() | ExecutionCompensated():
            failure = state.end.failure
        case ExecutionCancelled():
            failure = cancelled(state.end)
        case None:
            raise AssertionError("it has not ended")
    return Result(
        summary.new.execution_id,
        summary.standing.status,
        output,
        failure,
        passed_over,
        trace,
        state,
    )
