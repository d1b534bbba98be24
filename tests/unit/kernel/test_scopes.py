"""Scopes: what starts when, what is skipped, what a scope yields."""

from __future__ import annotations

from typing import Any

import pytest

from plait.kernel import CancelCall
from plait.plan import Plan
from plait.testing import Simulation, error, reply, simulate
from tests.simulation.asking import ask, give, plan_of, plan_with


def started(plan: Plan, *done: str, script: Any = None) -> set[str]:
    """Return the steps whose calls are under way after those in `done` have answered."""
    sim = Simulation(plan, script or (lambda call: reply({"from": call.step})))
    for step in done:
        sim.happen(sim.pending_at(step))
    return {one.step for one in sim.pending}


def test_steps_that_do_not_read_each_other_start_together() -> None:
    assert started(plan_with(ask("a"), ask("b"), ask("c"))) == {"a", "b", "c"}


def test_a_step_starts_as_soon_as_all_that_it_reads_has_settled() -> None:
    plan = plan_with(ask("c", ["${a.response}", "${b.status}"]), ask("a"), ask("b"))
    assert started(plan) == {"a", "b"}
    assert started(plan, "a") == {"b"}
    assert started(plan, "a", "b") == {"c"}


def test_depends_on_orders_steps_that_read_nothing() -> None:
    plan = plan_with(ask("late", depends_on=["early"]), ask("early"))
    assert started(plan) == {"early"}
    assert started(plan, "early") == {"late"}


@pytest.mark.parametrize(
    "settings",
    [
        {"condition": "${first.status == 'completed'}"},
        {"output": "${first.response}"},
        {"fallback": "${first.response}"},
        {"fallback": {"type": "set", "value": "${first.response}"}},
        {"retry": {"on": "${first.response == error.code}"}},
        {"idempotency_key": "${first.status}"},
    ],
    ids=lambda settings: next(iter(settings)),
)
def test_what_any_setting_reads_is_waited_for(settings: dict[str, Any]) -> None:
    plan = plan_with(ask("second", **settings), ask("first"))
    assert started(plan) == {"first"}


def test_an_expression_in_the_defaults_is_waited_for_too() -> None:
    defaults = {"retry": {"max_attempts": 2, "on": "${first.response.again}"}}
    plan = plan_with(ask("first", retry=None), ask("second"), defaults=defaults)
    assert started(plan) == {"first"}


def test_a_container_waits_for_what_its_inner_steps_read() -> None:
    inner = {"steps": [ask("x", "${first.response}")]}
    plan = plan_with(
        {
            "id": "fan",
            "type": "parallel",
            "branches": {"l": inner, "r": {"steps": [ask("y")]}},
        },
        ask("first"),
    )
    assert started(plan) == {"first"}
    assert started(plan, "first") == {"fan[l]/x", "fan[r]/y"}


def test_a_sequence_scope_runs_in_document_order() -> None:
    plan = plan_with(ask("a"), ask("b"), ask("c", "${a.response}"), order="sequence")
    assert started(plan) == {"a"}
    assert started(plan, "a") == {"b"}
    assert started(plan, "a", "b") == {"c"}


def test_a_sequence_step_yields_its_inner_responses_by_id() -> None:
    prepare = {
        "id": "prepare",
        "type": "sequence",
        "steps": [ask("x"), give("y", "${x.response}"), give("z", 1, condition=False)],
    }
    result = simulate(plan_with(prepare), {"prepare/x": reply(5)})
    assert result.output == {"prepare": {"x": 5, "y": 5}}


def test_a_false_condition_skips_the_step_and_its_value_reads_as_null() -> None:
    told = {
        "r": "${a.response}",
        "s": "${a.status}",
        "e": "${a.error}",
        "n": "${a.attempts}",
    }
    plan = plan_with(ask("a", condition="${input.wanted}"), give("told", told))
    result = simulate(plan, {}, input={"wanted": False})
    assert result.output == {"told": {"r": None, "s": "skipped", "e": None, "n": 0}}
    assert result.calls == []


def test_a_true_condition_lets_the_step_run() -> None:
    plan = plan_with(ask("a", condition="${input.wanted}"))
    result = simulate(plan, {"a": reply(1)}, input={"wanted": True})
    assert result.output == {"a": 1}


@pytest.mark.parametrize(("condition", "status"), [(True, "completed"), (False, "skipped")])
def test_a_condition_may_be_a_plain_bool(condition: bool, status: str) -> None:
    result = simulate(plan_with(give("a", 1, condition=condition)), {})
    assert result.status_of("a") == status


def test_a_condition_of_null_is_none() -> None:
    assert simulate(plan_with(give("a", 1, condition=None)), {}).output == {"a": 1}


def test_a_disabled_step_is_skipped_whatever_its_condition() -> None:
    plan = plan_with(ask("a", disabled=True, condition="${input.missing}"))
    result = simulate(plan, {}, input={})
    assert (result.status, result.status_of("a"), result.output) == (
        "completed",
        "skipped",
        {},
    )


def test_a_join_behind_skipped_steps_still_happens() -> None:
    plan = plan_with(
        ask("a", condition=False),
        ask("b", disabled=True),
        give("join", ["${a.response}", "${b.response}"]),
        output="${join.response}",
    )
    assert simulate(plan, {}).output == [None, None]


def test_the_default_output_has_the_completed_steps_only() -> None:
    plan = plan_with(
        give("a", 1),
        give("b", 2, condition=False),
        ask("c", on_error="continue"),
    )
    result = simulate(plan, {"c": error("connector.http.500")})
    assert result.output == {"a": 1}


def test_the_default_output_keeps_the_documents_order() -> None:
    plan = plan_with(give("b", "${a.response}"), give("a", 1), give("c", 3))
    output = simulate(plan, {}).output
    assert isinstance(output, dict)
    assert list(output) == ["b", "a", "c"]


def test_an_output_template_decides_what_the_workflow_yields() -> None:
    plan = plan_with(give("a", {"x": 1}), output={"x": "${a.response.x}", "all": "$${a}"})
    assert simulate(plan, {}).output == {"x": 1, "all": "${a}"}


def test_an_output_of_null_is_null() -> None:
    assert simulate(plan_with(give("a", 1), output=None), {}).output is None


def test_a_branch_has_an_output_of_its_own() -> None:
    branch = {"steps": [give("x", 2)], "output": "${x.response}"}
    plan = plan_with({"id": "fan", "type": "parallel", "branches": {"one": branch}})
    assert simulate(plan, {}).output == {"fan": {"one": 2}}


def test_a_steps_output_reshapes_its_response_and_reads_the_step_itself() -> None:
    reshape = {"id": "${a.response.id}", "tries": "${a.attempts}", "was": "${a.status}"}
    plan = plan_with(ask("a", output=reshape), give("b", "${a.response.id}"))
    result = simulate(plan, {"a": reply({"id": 7, "rest": 1})})
    assert result.output == {"a": {"id": 7, "tries": 1, "was": "completed"}, "b": 7}


def test_a_steps_output_leaves_its_other_keys_alone() -> None:
    plan = plan_with(ask("a", output=1), give("b", "${a.attempts}"))
    assert simulate(plan, {"a": reply(9)}).output == {"a": 1, "b": 1}


def test_sibling_branches_may_use_the_same_ids() -> None:
    branches = {
        name: {"steps": [ask("fetch"), give("out", "${fetch.response}")]}
        for name in ("left", "right")
    }
    plan = plan_with({"id": "fan", "type": "parallel", "branches": branches})
    script = {"fan[left]/fetch": reply(1), "fan[right]/fetch": reply(2)}
    assert simulate(plan, script).output == {
        "fan": {"left": {"fetch": 1, "out": 1}, "right": {"fetch": 2, "out": 2}}
    }


def test_sibling_branches_do_not_overwrite_each_others_steps() -> None:
    steps = [
        ask("fetch"),
        ask("pause", "${fetch.status}"),
        give("out", "${fetch.response}", depends_on=["pause"]),
    ]
    branches = {
        name: {"steps": steps, "output": "${out.response}"} for name in ("left", "right")
    }
    plan = plan_with({"id": "fan", "type": "parallel", "branches": branches})
    sim = Simulation(plan, lambda call: reply(call.step))
    for step in ("fetch", "pause"):
        for branch in ("left", "right"):
            sim.happen(sim.pending_at(f"fan[{branch}]/{step}"))
    output = {"left": "fan[left]/fetch", "right": "fan[right]/fetch"}
    assert sim.result().output == {"fan": output}


def test_inner_steps_see_outer_ones_through_three_scopes() -> None:
    deepest = {"id": "c", "type": "sequence", "steps": [give("d", "${a.response}")]}
    middle = {"id": "b", "type": "parallel", "branches": {"x": {"steps": [deepest]}}}
    result = simulate(plan_with(give("a", 5), middle), {})
    assert result.output == {"a": 5, "b": {"x": {"c": {"d": 5}}}}


def test_env_trigger_and_execution_can_be_read() -> None:
    told = {
        "env": "${env.region}",
        "by": "${trigger.kind}",
        "id": "${execution.id}",
        "name": "${execution.workflow}",
        "version": "${execution.version}",
        "at": "${execution.started_at}",
        "n": "${execution.attempt}",
    }
    plan = plan_of({"version": 3, "steps": [give("a", told)]})
    sim = Simulation(
        plan, {}, env={"region": "eu"}, trigger={"kind": "http"}, execution_id="e1"
    )
    assert sim.result().output == {
        "a": {
            "env": "eu",
            "by": "http",
            "id": "e1",
            "name": "test",
            "version": "3",
            "at": "2026-01-01T00:00:00.000Z",
            "n": 1,
        }
    }


def test_a_failure_cancels_the_calls_beside_it() -> None:
    sim = Simulation(plan_with(ask("a"), ask("b")), lambda _: error("connector.protocol"))
    turn = sim.happen(sim.pending[0])
    assert [command for command in turn.commands if isinstance(command, CancelCall)] == [
        CancelCall("b", 1)
    ]
    assert sim.result().status_of("b") == "cancelled"
