"""Outside events: what is late, repeated or unknown changes nothing."""

from __future__ import annotations

from dataclasses import replace

import pytest

from plait.kernel import BEHAVIOUR, BehaviourUnknown, Kernel
from plait.kernel.events import (
    CallCompleted,
    CallFailed,
    ExecutionStarted,
    OutsideEvent,
    TimerFired,
)
from plait.kernel.lifecycle import InvariantBroken
from plait.model.failure import Failure
from plait.testing import HANG, Simulation, error, reply
from tests.simulation.asking import ask, give, plan_with

STARTED = ExecutionStarted("e", "sha256:…", None, {}, 1_000, BEHAVIOUR)


def assert_changes_nothing(sim: Simulation, event: OutsideEvent) -> None:
    before = (sim.pending, len(sim.history), sim.state.event_count, sim.state.now_ms)
    turn = sim.feed(event)
    assert (turn.events, turn.commands) == ([], [])
    assert before == (
        sim.pending,
        len(sim.history),
        sim.state.event_count,
        sim.state.now_ms,
    )


@pytest.mark.parametrize(
    "event",
    [
        CallCompleted("nobody", 1, 1, {}, 9_999_999_999_999),
        CallCompleted("a", 2, 1, {}, 9_999_999_999_999),
        CallCompleted("a", 0, 1, {}, 9_999_999_999_999),
        CallFailed("a", 2, Failure("connector.closed", "…"), 9_999_999_999_999),
        TimerFired(99, 9_999_999_999_999),
    ],
    ids=[
        "unknown step",
        "attempt to come",
        "no attempt",
        "failure to come",
        "unknown timer",
    ],
)
def test_an_unknown_outcome_is_ignored(
    event: CallCompleted | CallFailed | TimerFired,
) -> None:
    assert_changes_nothing(Simulation(plan_with(ask("a")), {"a": HANG}), event)


def test_a_second_outcome_of_one_attempt_is_ignored() -> None:
    sim = Simulation(plan_with(ask("a"), ask("b")), {"a": reply(1), "b": HANG})
    sim.happen(sim.pending[0])
    assert_changes_nothing(sim, CallCompleted("a", 1, 2, {}, sim.now_ms))
    assert_changes_nothing(sim, CallFailed("a", 1, Failure("x", "…"), sim.now_ms))


def test_an_outcome_of_an_earlier_attempt_is_ignored() -> None:
    script = {"a": [error("connector.closed"), HANG]}
    sim = Simulation(plan_with(ask("a", retry={})), script)
    sim.happen(sim.pending[0])
    assert_changes_nothing(sim, CallCompleted("a", 1, 2, {}, sim.now_ms))
    sim.happen(sim.pending[0])
    assert_changes_nothing(sim, CallCompleted("a", 1, 2, {}, sim.now_ms))


def test_the_outcome_of_a_cancelled_call_is_ignored() -> None:
    branches = {name: {"steps": [ask("x")]} for name in ("l", "r")}
    race = {"id": "p", "type": "parallel", "join": "any", "branches": branches}
    sim = Simulation(
        plan_with(race, ask("z")), {"p[l]/x": reply(1), "p[r]/x": HANG, "z": HANG}
    )
    sim.happen(sim.pending_at("p[l]/x"))
    assert_changes_nothing(sim, CallCompleted("p[r]/x", 1, 2, {}, sim.now_ms))


def test_a_timer_that_was_cancelled_is_ignored() -> None:
    group = {"id": "g", "type": "sequence", "timeout": "1s", "steps": [ask("x")]}
    sim = Simulation(plan_with(group, ask("z")), {"g/x": reply(1), "z": HANG})
    timer = sim.pending_at("g")
    sim.happen(sim.pending_at("g/x"))
    assert_changes_nothing(sim, timer.event)


def test_nothing_is_heard_after_the_end() -> None:
    sim = Simulation(plan_with(ask("a")), {"a": reply(1)})
    answered = sim.pending[0]
    sim.run()
    assert_changes_nothing(sim, answered.event)


def test_an_execution_started_by_a_newer_kernel_is_refused() -> None:
    kernel = Kernel(plan_with(give("a", 1)))
    with pytest.raises(
        BehaviourUnknown, match="knows up to 3: run it with a newer version"
    ):
        kernel.start(replace(STARTED, behaviour=BEHAVIOUR + 1))


def test_an_execution_starts_once() -> None:
    kernel = Kernel(plan_with(ask("a")))
    x, _ = kernel.start(STARTED)
    with pytest.raises(InvariantBroken, match="starts once"):
        kernel.decide(x, STARTED)


def test_time_never_runs_backwards() -> None:
    kernel = Kernel(plan_with(ask("a"), ask("b")))
    x, _ = kernel.start(STARTED)
    kernel.decide(x, CallCompleted("a", 1, 1, {}, 5_000))
    turn = kernel.decide(x, CallCompleted("b", 1, 1, {}, 3_000))
    assert {event.at_ms for event in turn.events[1:]} == {5_000}


def test_a_turn_begins_with_the_event_that_it_decides() -> None:
    kernel = Kernel(plan_with(ask("a")))
    x, turn = kernel.start(STARTED)
    assert turn.events[0] is STARTED
    event = CallCompleted("a", 1, 1, {}, 5_000)
    assert kernel.decide(x, event).events[0] is event


def test_one_kernel_serves_many_executions_that_do_not_touch() -> None:
    plan = plan_with(ask("a", "${input}"), give("b", "${a.response}"))
    kernel = Kernel(plan)
    first, _ = kernel.start(replace(STARTED, input=1))
    second, turn = kernel.start(replace(STARTED, input=2))
    kernel.decide(second, CallCompleted("a", 1, "two", {}, 2_000))
    assert first.end is None
    assert second.end is not None
    assert turn.commands[0].request["arg"] == 2  # type: ignore[union-attr]
