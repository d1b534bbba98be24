"""Observing: what is told of one durable execution, turn by turn, once it is recorded.

Where nobody observes, and nobody waits for its result, there is no `Observed`, and nothing
is gathered.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from time import monotonic
from typing import Final, get_args

from plait.drivers.inline import Result, StepTrace, Trace
from plait.drivers.journal.result import concluded, trace_of, turns_of
from plait.kernel import Execution
from plait.kernel.events import Event, TerminalEvent
from plait.ports.journal import RUNNING, History, NewExecution, Summary
from plait.ports.observer import DURABLE, About, Observer, wanted_by

_TERMINAL: Final = get_args(TerminalEvent)


@dataclass(slots=True)
class Observed:
    """An execution in memory that somebody hears of.

    Attributes:
        course: Its timeline until now; None: the observer does not draw, and nobody was
            waiting when it began.
        untold: The turns that are not known to be recorded.
        asked_s: When the store was asked to keep what is untold; 0: it was not.
        ends: How often it has ended before it was resumed, and when it did last.
    """

    observer: Observer
    new: NewExecution
    state: Execution
    course: Trace | None = None
    untold: list[list[Event]] = field(default_factory=list)
    ends: tuple[int, float] = (0, 0.0)
    asked_s: float = 0.0

    def hear(self, events: list[Event]) -> None:
        """Take in a turn that was decided."""
        self.untold.append([*events])

    def ask(self) -> None:
        """What was taken in is handed to the store."""
        self.asked_s = monotonic()

    def tell(self) -> None:
        """What was taken in is recorded: tell it."""
        if self.asked_s:
            self.observer.recorded(monotonic() - self.asked_s)
            self.asked_s = 0.0
        turns, self.untold = self.untold, []
        about = self._about()
        for events in turns:
            lines: list[StepTrace] = []
            if self.course is not None:
                self.course.note(events, events[0].at_ms / 1000)
                if self.observer.draws and isinstance(events[-1], _TERMINAL):
                    lines = self._lines(self.course)
            self.observer.turned(about, events, lines)

    def _lines(self, course: Trace) -> list[StepTrace]:
        """Return all lines, without those that were told when it ended before."""
        ended_s = self.ends[1]
        lines = course.steps.values()
        return [one for one in lines if one.ended_s is None or one.ended_s > ended_s]

    def _about(self) -> About:
        new, started, number = self.new, self.state.started, self.ends[0]
        began_ms = self.state.resumed_at_ms if number else started.at_ms
        return About(
            new.execution_id,
            new.workflow,
            new.tenant,
            DURABLE,
            started.trace,
            began_ms / 1000,
            wanted_by(started.trigger),
            number,
        )


class _Nobody(Observer):
    """Who hears nothing."""

    draws = False

    def ran(self, *_told: object) -> None:
        """See `Observer`."""

    def recorded(self, _took_s: float) -> None:
        """See `Observer`."""

    def turned(self, *_told: object) -> None:
        """See `Observer`."""


def observed(
    observer: Observer | None,
    new: NewExecution,
    state: Execution,
    history: History | None = None,
    *,
    is_awaited: bool = False,
) -> Observed | None:
    """Return what tells of an execution; None: there is nobody to tell.

    Args:
        history: What is known of it already; None: it begins.
        is_awaited: Whether somebody waits for what it comes to.
    """
    wants_course = is_awaited and history is None
    if observer is None and not wants_course:
        return None
    listener = observer or _Nobody()
    if not (listener.draws or wants_course):
        return Observed(listener, new, state)
    if history is None:
        return Observed(listener, new, state, Trace(state.started.at_ms / 1000))
    turns = turns_of(history)
    ends = [one.at_ms for turn in turns for one in turn if isinstance(one, _TERMINAL)]
    last_s = ends[-1] / 1000 if ends else 0.0
    course = trace_of(turns, history.summary.standing.at_ms)
    return Observed(listener, new, state, course, ends=(len(ends), last_s))


def begun(told: Observed | None, events: Sequence[Event]) -> None:
    """Tell how an execution began: it is recorded."""
    if told is not None:
        told.hear([*events])
        told.tell()


def result_in(told: Observed | None, ended: Summary) -> Result | None:
    """Return what an execution came to; None: it has not ended, or its journal has to tell.

    Args:
        ended: Its row, as it is recorded.
    """
    if told is None or told.course is None or ended.standing.status == RUNNING:
        return None
    told.course.ended_s = ended.standing.at_ms / 1000
    return concluded(ended, told.state, told.course)
