"""What random documents reach: a search that never meets a fault proves nothing."""

from __future__ import annotations

from collections import Counter
from typing import Any, get_args

from hypothesis import given

from plait.kernel.events import Event, FallbackStarted, StepCompleted, StepFailed
from plait.testing import Simulation
from tests.simulation.asking import plan_of, play
from tests.simulation.documents import documents

NOT_FED = {"CancelRequested", "ExecutionCancelled"}
FAILURES = {
    "connector.timeout",
    "connector.connect",
    "connector.http.503",
    "connector.http.404",
    "step.timeout",
    "expression.no_such_key",
    "expression.not_bool",
}
TURNS = {"nested", "continued", "by fallback", "fallback of a group", "group tried again"}


def turns_of(event: Event) -> set[str]:
    """Return the less common things that `event` tells of."""
    found = {type(event).__name__}
    step = getattr(event, "step", "")
    is_group = step and "/" not in step
    if step.count("/") >= 2:
        found.add("nested")
    if isinstance(event, StepFailed):
        found |= {event.failure.code, "continued"} if event.continued else {event.failure.code}
    if isinstance(event, StepCompleted) and event.by_fallback:
        found.add("by fallback")
    if isinstance(event, FallbackStarted) and event.failure.step != step and is_group:
        found.add("fallback of a group")
    if type(event).__name__ == "RetryScheduled" and event.failure.step != step:  # type: ignore[union-attr]
        found.add("group tried again")
    return found


def test_random_documents_meet_every_event_and_fault() -> None:
    met: Counter[str] = Counter()

    @given(document=documents())
    def search(document: Any) -> None:
        result = Simulation(plan_of(document), play, input={"a": 1, "flag": True}).run()
        seen: set[str] = set()
        for event in result.events:
            seen |= turns_of(event)
        met.update(seen)
        if result.failure is not None and result.failure.code == "execution.timeout":
            met["execution.timeout"] += 1

    for _ in range(1):
        search()
    kinds = {kind.__name__ for union in get_args(Event) for kind in (get_args(union) or (union,))}
    missing = (kinds - NOT_FED | FAILURES | TURNS) - set(met)
    assert not missing, met
