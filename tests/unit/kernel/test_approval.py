"""Approvals: who may decide, what follows, and what happens when nobody does."""

from __future__ import annotations

from typing import Any

import pytest

from plait.kernel.events import ApprovalRequested, SignalReceived
from plait.testing import Decided, Simulation, simulate
from tests.simulation.asking import give, plan_with

AT_5_MS = "2026-01-01T00:00:00.005Z"


def approval(**settings: Any) -> dict[str, Any]:
    return {"id": "ok", "type": "approval", **settings}


def decided(decision: str, by: str = "ann", after_ms: int = 5, **more: Any) -> Decided:
    return Decided("ok", decision, by, "so", after_ms, **more)


@pytest.mark.parametrize("decision", ["approved", "rejected"])
def test_both_decisions_are_values(decision: str) -> None:
    plan = plan_with(approval(), give("b", "${ok.response.decision}"))
    result = simulate(plan, {}, signals=[decided(decision)])
    response = {"decision": decision, "by": "ann", "comment": "so", "at": AT_5_MS}
    assert result.output == {"ok": response, "b": decision}


def test_no_decision_in_time_is_a_value_too() -> None:
    result = simulate(plan_with(approval(timeout="5ms")), {})
    response = {"decision": "timed_out", "by": None, "comment": None, "at": AT_5_MS}
    assert (result.status, result.output) == ("completed", {"ok": response})


@pytest.mark.parametrize(
    ("who", "counts"),
    [
        (decided("approved", "bob"), True),
        (decided("approved", "eve"), False),
        (decided("approved", "eve", roles=("clerk", "boss")), True),
        (decided("approved", "eve", roles=("clerk",)), False),
    ],
)
def test_only_approvers_decide_by_name_or_by_role(who: Decided, counts: bool) -> None:
    plan = plan_with(approval(approvers=["${input.who}", "boss"], timeout="9ms"))
    result = simulate(plan, {}, input={"who": "bob"}, signals=[who])
    assert isinstance(result.output, dict)
    response: Any = result.output["ok"]
    assert response["decision"] == ("approved" if counts else "timed_out")
    assert len(result.history) == 2


def test_the_first_decision_counts_and_a_later_one_changes_nothing() -> None:
    told = [decided("rejected", after_ms=6), decided("approved", after_ms=5)]
    plan = plan_with(approval(), {"id": "nap", "type": "wait", "for": "1s"})
    result = simulate(plan, {}, signals=told)
    assert isinstance(result.output, dict)
    assert result.output["ok"]["decision"] == "approved"  # type: ignore[index, call-overload]
    assert len(result.history) == 3


def test_the_question_is_rendered_and_recorded() -> None:
    question = {"title": "pay ${input.n} €?", "description": "for ${input.who}"}
    plan = plan_with(approval(**question, approvers="${input.by}", timeout="1s"))
    given: Any = {"n": 7, "who": "tea", "by": ["ann"]}
    sim = Simulation(plan, {}, input=given)
    (asked,) = (one for one in sim.events if isinstance(one, ApprovalRequested))
    told = (asked.title, asked.description, asked.approvers)
    assert told == ("pay 7 €?", "for tea", ["ann"])
    assert asked.due_at_ms == asked.at_ms + 1_000


@pytest.mark.parametrize("approvers", [[], None, "ann", [1], [""], ["ann", None]])
def test_where_nobody_could_decide_the_step_fails(approvers: Any) -> None:
    plan = plan_with(approval(approvers="${input}"))
    result = simulate(plan, {}, input=approvers)
    assert result.failure is not None
    assert (result.failure.code, result.failure.step) == ("approval.approvers", "ok")


def test_a_plain_event_decides_nothing() -> None:
    sim = Simulation(plan_with(approval()), {})
    waiting = list(sim.state.waiting)
    sim.feed(SignalReceived("i", "ok", 1, sim.now_ms))
    assert list(sim.state.waiting) == waiting
