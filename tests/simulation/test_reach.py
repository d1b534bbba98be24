"""What random documents reach: a search that never meets a fault proves nothing."""

from __future__ import annotations

from collections import Counter
from random import Random
from typing import get_args

from plait.kernel.events import (
    DerivedEvent,
    Event,
    FallbackStarted,
    OutsideEvent,
    RetryScheduled,
    StepCompleted,
    StepEvent,
    StepFailed,
    TerminalEvent,
)
from plait.testing import Simulation
from tests.simulation.asking import plan_of, play
from tests.simulation.documents import document_by

DOCUMENTS = 400
CANCELLING = {"CancelRequested", "ExecutionCancelled"}
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
TURNS = {"nested", "continued", "by fallback", "fallback of a group", "group tried again"}


def met_in(event: Event) -> set[str]:
    """Return what `event` tells of: its kind, faults, the less common turns."""
    found = {type(event).__name__}
    match event:
        case StepFailed(failure=failure, continued=continued):
            found |= {failure.code, "continued" if continued else ""}
        case StepCompleted(by_fallback=True):
            found.add("by fallback")
        case FallbackStarted(failure=failure, step=step) if failure.step != step:
            found.add("fallback of a group")
        case RetryScheduled(failure=failure, step=step) if failure.step != step:
            found.add("group tried again")
    if isinstance(event, StepEvent) and event.step.count("/") >= 2:
        found.add("nested")
    return found


def test_random_documents_meet_every_event_and_fault() -> None:
    met: Counter[str] = Counter()
    for seed in range(DOCUMENTS):
        plan = plan_of(document_by(Random(seed)))
        result = Simulation(plan, play, input={"a": 1, "flag": True}).run()
        seen = {result.failure.code} if result.failure is not None else set()
        met.update(seen.union(*(met_in(event) for event in result.events)))
    kinds = {
        kind.__name__
        for union in (OutsideEvent, StepEvent, TerminalEvent)
        for kind in get_args(union)
    }
    assert len(kinds) == len(get_args(OutsideEvent)) + len(get_args(DerivedEvent))
    missing = (kinds - CANCELLING | FAULTS | TURNS) - set(met)
    assert not missing, met
