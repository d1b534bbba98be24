"""Incidents: calls of which nobody knows whether they were made.

A worker died while an `unsafe` call was under way. Whether the other side heard of it is
not known and cannot be; to make it again may do harm, to go on as if it had been made may
do harm too. `on_unknown` says what to do: `pause` (a person decides), `retry`, or `fail`.

Rule. While a person decides, time stands still for the step's time limits.

Not here: finding out that an outcome is unknown (plait.drivers.journal).
"""

from __future__ import annotations

from typing import Final

from plait.kernel.events import IncidentResolved, OutcomeUnknown
from plait.kernel.state import Execution, Incident, Run
from plait.kernel.timers import cancel_timers, start_timer
from plait.model.errors import Advice
from plait.model.failure import Failure

ACTIONS: Final = ("retry", "done", "fail")


def outcome_unknown(run: Run) -> Failure:
    """Return the failure of a step whose call may or may not have been made."""
    return Failure(
        "step.outcome_unknown",
        f"the worker died while '{run.path}' was calling: it may have been done, or not",
        advice=Advice.REPORT,
    )


def take_up(x: Execution, event: OutcomeUnknown) -> Run | None:
    """Take the call that the event is about off the books; None: it comes too late."""
    run = x.calls.get(event.step)
    if run is None or run.attempt != event.attempt:
        return None
    del x.calls[event.step]
    return run


def pause(x: Execution, run: Run) -> None:
    """Let the step wait for a person."""
    cancel_timers(x, run)
    x.incidents[run.path] = Incident(run, x.now_ms)


def go_on(x: Execution, event: IncidentResolved) -> Run | None:
    """End the incident that the event is about; None: there is none."""
    incident = x.incidents.pop(event.step, None)
    if incident is None:
        return None
    run = incident.run
    if run.deadline_at_ms is not None:
        run.deadline_at_ms += max(event.at_ms - incident.since_ms, 0)
        if event.action == "retry":
            start_timer(x, run, "timeout", run.deadline_at_ms)
    return run
