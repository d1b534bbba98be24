"""What happened when: the timeline of one express execution.

Kept beside the kernel's events because those count whole milliseconds and a step may take
less.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, get_args

from plait.kernel.events import (
    CallCompleted,
    CallFailed,
    Event,
    ExecutionResumed,
    FallbackStarted,
    HistoryBegun,
    IncidentRaised,
    RetryScheduled,
    RetryStarted,
    StepCancelled,
    StepCompleted,
    StepFailed,
    StepSkipped,
    StepStarted,
    TerminalEvent,
)
from plait.kernel.lifecycle import StepState
from plait.kernel.paths import in_document, is_within, without_rounds
from plait.kernel.snapshot import runs_in
from plait.model.failure import Failure
from plait.model.json import JsonObject, JsonValue

# A line takes 0.5 KB; nobody reads ten thousand.
LINES_MAX: Final = 10_000
_OPEN: Final = ("running", "in doubt")


@dataclass(slots=True)
class StepTrace:
    """One step's line. Moments are seconds on the monotonic clock.

    Attributes:
        status: `running`, `in doubt`, `completed`, `skipped`, `failed` or `cancelled`.
        attempts: When each attempt began and ended, and why it failed, if it did; the end
            is None while it runs.
        notes: What policies did on the way of an attempt that was answered, by its number.
    """

    step: str
    status: str
    started_s: float
    ended_s: float | None = None
    attempts: list[tuple[float, float | None, Failure | None]] = field(default_factory=list)
    by_fallback: bool = False
    failure: Failure | None = None
    notes: dict[int, list[JsonValue]] | None = None


@dataclass(slots=True)
class Trace:
    """All steps' lines, in the order in which they began.

    Attributes:
        forgotten_count: How many lines are left out, of iterations past the first ones.
    """

    started_s: float
    ended_s: float = 0.0
    steps: dict[str, StepTrace] = field(default_factory=dict)
    forgotten_count: int = 0

    def note(self, events: list[Event], now_s: float) -> None:
        """Take in the events of one turn, which happened at `now_s`."""
        for event in events:
            handler = _NOTES.get(type(event))
            if handler is not None:
                handler(self, event, now_s)

    def unbegin(self) -> None:
        """Leave out what is under way: the execution waits for its turn, nothing runs."""
        for path, step in list(self.steps.items()):
            if step.status not in _OPEN:
                continue
            if step.attempts and step.attempts[-1][1] is None:
                step.attempts.pop()
            if not step.attempts:
                del self.steps[path]
                continue
            _, step.ended_s, failure = step.attempts[-1]
            step.failure = failure
            step.status = "cancelled" if failure is None else "failed"

    def as_json(self) -> list[JsonObject]:
        """Return one object per step; times in milliseconds since the start."""
        return [self._line(step) for step in self.steps.values()]

    def _line(self, step: StepTrace) -> JsonObject:
        attempts: list[JsonValue] = [self._attempt(*attempt) for attempt in step.attempts]
        for number, notes in (step.notes or {}).items():
            attempts[number - 1] = {
                **self._attempt(*step.attempts[number - 1]),
                "policies": notes,
            }
        line: JsonObject = {
            "step": step.step,
            "status": step.status,
            "attempt": len(step.attempts),
            "started_ms": self.ms(step.started_s),
            "ended_ms": self.ms(self._end_of(step.ended_s)),
            "attempts": attempts,
        }
        if step.by_fallback:
            line["by_fallback"] = True
        if step.failure is not None:
            line["error"] = step.failure.as_json()
        return line

    def _attempt(
        self, begin_s: float, end_s: float | None, failure: Failure | None
    ) -> JsonObject:
        told: JsonObject = {
            "started_ms": self.ms(begin_s),
            "ended_ms": self.ms(self._end_of(end_s)),
        }
        if failure is not None:
            told["error"] = {"code": failure.code, "message": failure.message}
            notes = (failure.details or {}).get("policies")
            if notes:
                told["policies"] = notes
        return told

    def _end_of(self, ended_s: float | None) -> float:
        return self.ended_s if ended_s is None else ended_s

    def ms(self, moment_s: float) -> float:
        """Return `moment_s` as milliseconds since the start, to the microsecond."""
        return round((moment_s - self.started_s) * 1000, 3)


def _begin(trace: Trace, event: StepStarted, now_s: float) -> None:
    trace.steps[event.step] = StepTrace(
        event.step, "running", now_s, attempts=[(now_s, None, None)]
    )


def _skip(trace: Trace, event: StepSkipped, now_s: float) -> None:
    trace.steps[event.step] = StepTrace(event.step, "skipped", now_s, now_s)
    _forget(trace, event.step)


def _end_attempt(trace: Trace, event: RetryScheduled | CallFailed, now_s: float) -> None:
    step = trace.steps[event.step]
    step.failure = event.failure
    _close_attempt(step, now_s, event.failure)


def _answer(trace: Trace, event: CallCompleted, _: float) -> None:
    if event.notes:
        step = trace.steps[event.step]
        step.notes = {**(step.notes or {}), len(step.attempts): event.notes}


def _doubt(trace: Trace, event: IncidentRaised, now_s: float) -> None:
    step = trace.steps[event.step]
    step.status = "in doubt"
    _close_attempt(step, now_s)


def _retry(trace: Trace, event: RetryStarted, now_s: float) -> None:
    step = trace.steps[event.step]
    step.status = "running"
    step.attempts.append((now_s, None, None))


def _fall_back(trace: Trace, event: FallbackStarted, now_s: float) -> None:
    step = trace.steps.get(event.step)
    if step is None:
        step = trace.steps[event.step] = StepTrace(event.step, "running", now_s)
    step.failure = event.failure
    _close_attempt(step, now_s, event.failure)


def _complete(trace: Trace, event: StepCompleted, now_s: float) -> None:
    step = trace.steps[event.step]
    step.by_fallback = event.by_fallback
    if not event.by_fallback:
        step.failure = None
    _end(step, "completed", now_s)
    _forget(trace, event.step)


def _fail(trace: Trace, event: StepFailed, now_s: float) -> None:
    step = trace.steps.get(event.step)
    if step is None:
        step = trace.steps[event.step] = StepTrace(event.step, "running", now_s)
    step.failure = event.failure
    _end(step, "failed", now_s)


def _cancel(trace: Trace, event: StepCancelled, now_s: float) -> None:
    _end(trace.steps[event.step], "cancelled", now_s)


def _end(step: StepTrace, status: str, now_s: float) -> None:
    step.status = status
    step.ended_s = now_s
    _close_attempt(step, now_s)


def _forget(trace: Trace, step: str) -> None:
    """Leave out a step that has completed in an iteration, if there are too many lines."""
    if len(trace.steps) > LINES_MAX and in_document(step) != without_rounds(step):
        del trace.steps[step]
        trace.forgotten_count += 1


def _close_attempt(step: StepTrace, now_s: float, failure: Failure | None = None) -> None:
    """End the attempt under way; one that has ended already stays as it is."""
    if step.attempts and step.attempts[-1][1] is None:
        step.attempts[-1] = (step.attempts[-1][0], now_s, failure)


def _resume(trace: Trace, event: ExecutionResumed, now_s: float) -> None:
    """What failed for good or was cancelled is under way once more."""
    if event.is_let_in:
        _let_in(trace, now_s)
    for step in trace.steps.values():
        is_again = any(
            is_within(step.step, one) or is_within(one, step.step) for one in event.again
        )
        if step.status == "cancelled" or (is_again and step.status != "skipped"):
            step.status, step.ended_s, step.failure = "running", None, None
            step.attempts.append((now_s, None, None))


def _begin_anew(trace: Trace, event: HistoryBegun, now_s: float) -> None:
    """What is under way goes on; when it began, and each attempt, is not kept."""
    for path, state, attempt in runs_in(event.state):
        if path in trace.steps:
            continue
        step = StepTrace(path, "running", now_s)
        step.attempts = [(now_s, now_s, None)] * attempt
        if state is StepState.RUNNING:
            step.attempts[-1] = (now_s, None, None)
        elif state is StepState.IN_DOUBT:
            step.status = "in doubt"
        trace.steps[path] = step


def _let_in(trace: Trace, now_s: float) -> None:
    """What had to wait for its turn begins only now."""
    for step in trace.steps.values():
        if step.status == "running" and step.attempts and step.attempts[-1][1] is None:
            if step.started_s == step.attempts[-1][0]:
                step.started_s = now_s
            step.attempts[-1] = (now_s, None, None)


def _end_all(trace: Trace, _: TerminalEvent, now_s: float) -> None:
    """Nothing runs in what has ended: neither a doubt, nor what a resume had begun anew."""
    for step in trace.steps.values():
        if step.status in _OPEN:
            _end(step, "cancelled", now_s)


_NOTES: Final[dict[type, Callable[[Trace, Any, float], None]]] = {
    StepStarted: _begin,
    StepSkipped: _skip,
    CallCompleted: _answer,
    CallFailed: _end_attempt,
    RetryScheduled: _end_attempt,
    RetryStarted: _retry,
    FallbackStarted: _fall_back,
    StepCompleted: _complete,
    StepFailed: _fail,
    StepCancelled: _cancel,
    IncidentRaised: _doubt,
    ExecutionResumed: _resume,
    **dict.fromkeys(get_args(TerminalEvent), _end_all),
    HistoryBegun: _begin_anew,
}
