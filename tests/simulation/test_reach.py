"""What random documents reach: a search that never meets a fault proves nothing."""

from __future__ import annotations

import re
from collections import Counter
from random import Random
from typing import Any, get_args

from plait.kernel.events import (
    CompensationEnded,
    CompensationEvent,
    DerivedEvent,
    Event,
    FallbackStarted,
    MachineEvent,
    OutsideEvent,
    RetryScheduled,
    StepCancelled,
    StepCompleted,
    StepEvent,
    StepFailed,
    TerminalEvent,
    WaitEvent,
)
from plait.model.failure import Failure
from plait.testing import Simulated, Simulation
from tests.simulation.asking import plan_of, play
from tests.simulation.documents import document_by
from tests.simulation.walking import signals_of

DOCUMENTS = 1_000
CANCELLING = {"CancelRequested", "ExecutionCancelled", "CompensationRequested"}
# Only what is kept can go on after its end, or outlive its worker: test_durable.py.
KEPT = {
    "CompensationRequested",
    "ExecutionResumed",
    "HistoryBegun",
    "HistoryRefused",
    "WorkerLost",
    "OutcomeUnknown",
    "IncidentRaised",
    "IncidentResolved",
}
# What only state machines tell is met in test_machines.py.
# A thousand signals that nobody takes: more than a random document has.
FLOODED = {"SignalRefused"}
FAULTS = {
    "connector.timeout",
    "connector.connect",
    "connector.http.503",
    "connector.http.404",
    "step.timeout",
    "execution.timeout",
    "expression.no_such_key",
    "expression.not_bool",
}
TURNS = {
    "nested",
    "continued",
    "by fallback",
    "fallback of a group",
    "fallback without an id",
    "group tried again",
}
ROUNDS = {
    "cancelled in a later round",
    "continued in a later round",
    "fallback step in a later round",
    "group tried again in a fallback",
    "round in a round",
    "timeout in a later round",
    "tried again in a later round",
}
LOOPS = {
    "a later iteration",
    "an item tried again",
    "a loop in a loop",
    "a loop tried again",
    "limit.iterations",
    "foreach.items",
}
PASSED_OVER = {"goes without", "goes without, in a group", "whole in the end"}
UNDOING = {"saga.compensation_failed", "undone", "undone in a saga", "not undone"}
UNANSWERED = {"fallback failed", "fallback skipped", "retry.on without a value"}


def met_in(event: Event) -> set[str]:
    """Return what `event` tells of: its kind, faults, the less common turns."""
    found = {type(event).__name__}
    if isinstance(event, CompensationEnded):
        where = "undone in a saga" if event.step else "undone"
        found |= {where if event.undone else "", "not undone" if event.not_undone else ""}
    if isinstance(event, StepEvent):
        found |= rounds_in(event) | loops_in(event)
    match event:
        case StepFailed(failure=Failure(details=details)) if details:
            how = details.get("fallback")
            found.add("fallback failed" if isinstance(how, dict) else f"fallback {how}")
            found.add("retry.on without a value" if "retry_on" in details else "")
    match event:
        case StepFailed(failure=failure, continued=continued):
            found |= {failure.code, "continued" if continued else ""}
        case StepCompleted(by_fallback=True):
            found.add("by fallback")
        case FallbackStarted(failure=failure, step=step) if failure.step != step:
            found.add("fallback of a group")
        case StepCompleted(step=step) if step.endswith(".fallback/fallback"):
            found.add("fallback without an id")
        case RetryScheduled(failure=failure, step=step) if failure.step != step:
            found.add("group tried again")
    if isinstance(event, StepEvent) and event.step.count("/") >= 2:
        found.add("nested")
    return found


def passed_over_in(result: Simulated, *, was: bool) -> set[str]:
    """Return what became of failures that `was` true of: that they were passed over."""
    failure = result.passed_over
    if failure is None:
        return {"whole in the end"} if was and result.status == "completed" else set()
    nested = {"goes without, in a group"} if "/" in failure.step else set()
    return {"goes without"} | nested


def loops_in(event: StepEvent) -> set[str]:
    """Return what `event` tells of the loops around it."""
    path = event.step
    found = {"a later iteration"} if re.search(r"\[[1-9]\]", path) else set()
    found |= {"an item tried again"} if re.search(r"\[\d\]~", path) else set()
    found |= {"a loop in a loop"} if len(re.findall(r"\[\d\]", path)) > 1 else set()
    found |= {"a loop tried again"} if re.search(r"~\d\[\d\]", path) else set()
    return found


def rounds_in(event: StepEvent) -> set[str]:
    """Return what `event` tells of the steps inside a group that is tried again."""
    path = event.step
    if "~" not in path:
        return set()
    found = {"round in a round"} if path.count("~") > 1 else set()
    if ".fallback/" in path.partition("~")[2]:
        found.add("fallback step in a later round")
    if "~" in path.partition(".fallback/")[2]:
        found.add("group tried again in a fallback")
    match event:
        case StepCancelled():
            found.add("cancelled in a later round")
        case StepFailed(continued=True):
            found.add("continued in a later round")
        case RetryScheduled():
            found.add("tried again in a later round")
        case _:
            pass
    failure = getattr(event, "failure", None)
    if failure is not None and failure.code == "step.timeout":
        found.add("timeout in a later round")
    return found


def test_random_documents_meet_every_event_and_fault() -> None:
    met: Counter[str] = Counter()
    for seed in range(DOCUMENTS):
        document = document_by(Random(seed))
        given: Any = {"a": 1, "flag": True}
        sent = signals_of(document)
        result = Simulation(plan_of(document), play, input=given, signals=sent).run()
        seen = {result.failure.code} if result.failure is not None else set()
        seen = seen.union(*(met_in(event) for event in result.events))
        met.update(seen | passed_over_in(result, was="continued" in seen))
    kinds = {
        kind.__name__
        for union in (OutsideEvent, StepEvent, WaitEvent, CompensationEvent, TerminalEvent)
        for kind in get_args(union)
    }
    in_machines = {MachineEvent.__name__}
    assert len(kinds | in_machines) == len(get_args(OutsideEvent) + get_args(DerivedEvent))
    wanted = kinds - CANCELLING - KEPT - FLOODED | FAULTS | TURNS | ROUNDS | UNANSWERED
    missing = wanted - set(met)
    missing |= PASSED_OVER - set(met)
    missing |= (UNDOING | LOOPS) - set(met)
    assert not missing, met
