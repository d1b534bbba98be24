"""Ends: return, cancel, and that there is exactly one end with nothing left behind."""

from __future__ import annotations

from typing import Any, get_args

import pytest

from plait.kernel import CancelCall, CancelTimer
from plait.kernel.events import ExecutionCancelled, ExecutionCompleted, TerminalEvent
from plait.testing import HANG, Simulation, error, reply, simulate
from tests.simulation.asking import ask, give, plan_with


def returning(value: Any, **settings: Any) -> dict[str, Any]:
    return {"id": "done", "type": "return", "value": value, **settings}


def test_return_ends_the_workflow_with_its_value() -> None:
    plan = plan_with(give("a", 1), returning({"r": "${a.response}"}), output="unused")
    assert simulate(plan, {}).output == {"r": 1}


def test_return_cancels_whatever_still_runs() -> None:
    plan = plan_with(ask("slow"), ask("fast"), returning("${fast.response}"))
    result = simulate(plan, {"slow": HANG, "fast": reply(1, after_ms=5)})
    assert (result.output, result.elapsed_ms) == (1, 5)
    assert (result.status_of("slow"), result.status_of("done")) == (
        "cancelled",
        "completed",
    )


def test_return_from_nested_scopes_ends_the_whole_workflow() -> None:
    inner = {"id": "s", "type": "sequence", "steps": [ask("x"), returning(7)]}
    fan = {
        "id": "fan",
        "type": "parallel",
        "retry": {},
        "fallback": 1,
        "branches": {"l": {"steps": [inner]}, "r": {"steps": [ask("y")]}},
    }
    sim = Simulation(
        plan_with(fan, ask("z")),
        {"fan[l]/s/x": reply(1), "fan[r]/y": HANG, "z": HANG},
    )
    turn = sim.happen(sim.pending_at("fan[l]/s/x"))
    cancelled = {c.step for c in turn.commands if isinstance(c, CancelCall)}
    assert cancelled == {"z", "fan[r]/y"}
    assert sim.result().output == 7
    assert sim.result().status_of("fan") == "cancelled"


def test_a_conditional_return_that_does_not_hold_changes_nothing() -> None:
    plan = plan_with(ask("a"), returning(0, condition=False))
    assert simulate(plan, {"a": reply(1)}).output == {"a": 1}


def test_a_return_whose_value_cannot_be_rendered_fails() -> None:
    result = simulate(plan_with(returning("${input.nope}")), {}, input={})
    assert result.failure is not None
    assert result.failure.step == "done"


def test_a_steps_output_reshapes_what_it_returns() -> None:
    plan = plan_with(returning({"id": 7, "rest": 1}, output="${done.response.id}"))
    assert simulate(plan, {}).output == 7


def test_a_return_whose_output_cannot_be_rendered_fails() -> None:
    plan = plan_with(returning(1, output="${done.response.id}"))
    result = simulate(plan, {})
    assert result.failure is not None
    assert result.failure.place is not None
    assert result.failure.place.pointer == "/steps/0/output"


def test_a_return_without_a_value_returns_null() -> None:
    plan = plan_with({"id": "done", "type": "return"})
    result = simulate(plan, {})
    assert (result.status, result.output) == ("completed", None)


def test_cancel_ends_the_execution_and_cancels_calls_and_timers() -> None:
    wait = {"id": "w", "type": "wait", "for": "1h"}
    sim = Simulation(plan_with(ask("a"), wait, timeout="1d"), {"a": HANG})
    turn = sim.cancel("user left")
    assert isinstance(turn.events[-1], ExecutionCancelled)
    assert turn.events[-1].reason == "user left"
    assert {type(command) for command in turn.commands} == {CancelCall, CancelTimer}
    assert (sim.result().status, sim.pending) == ("cancelled", [])
    assert {sim.result().status_of(step) for step in ("a", "w")} == {"cancelled"}


def test_cancel_reaches_a_step_that_waits_for_its_retry() -> None:
    sim = Simulation(plan_with(ask("a", retry={})), {"a": error("connector.closed")})
    sim.happen(sim.pending[0])
    sim.cancel()
    assert (sim.result().status_of("a"), sim.pending) == ("cancelled", [])


def test_cancel_reaches_a_fallback_step() -> None:
    plan = plan_with(ask("a", fallback=ask("b")))
    sim = Simulation(plan, {"a": error("connector.protocol"), "a.fallback/b": HANG})
    sim.happen(sim.pending[0])
    sim.cancel()
    result = sim.result()
    assert {result.status_of("a"), result.status_of("a.fallback/b")} == {"cancelled"}


def test_cancel_after_the_end_changes_nothing() -> None:
    sim = Simulation(plan_with(give("a", 1)), {})
    assert sim.cancel().events == []
    assert sim.result().status == "completed"


@pytest.mark.parametrize(
    "plan",
    [
        plan_with(give("a", 1), give("b", 2)),
        plan_with({"id": "f", "type": "fail"}, {"id": "g", "type": "fail"}),
        plan_with(returning(1), {"id": "f", "type": "fail"}, give("c", 1)),
        plan_with(give("a", 1), output="${a.response.nope}"),
    ],
    ids=["completed", "failed twice", "returned and failed", "output failed"],
)
def test_there_is_exactly_one_end_and_nothing_after_it(plan: Any) -> None:
    events = Simulation(plan, {}).events
    ends = [event for event in events if isinstance(event, get_args(TerminalEvent))]
    assert ends == [events[-1]]


def test_steps_that_were_ready_when_the_end_came_do_not_start() -> None:
    plan = plan_with(returning(1), ask("a"), order="graph")
    sim = Simulation(plan, {})
    assert sim.calls == []
    assert isinstance(sim.state.end, ExecutionCompleted)
