"""What is found wrong with hedges; what the plan keeps of them."""

from __future__ import annotations

from typing import Any

import pytest

from plait.compile.draw import graph_of
from plait.compile.explain import explain
from plait.plan import HedgePolicy, Policies, dump_plan, load_plan
from tests.simulation.asking import ask, plan_with
from tests.unit.compile.reading import lines_of_steps


@pytest.mark.parametrize(
    ("hedge", "expected"),
    [
        ("{after: p95}", ""),
        ("{after: 200ms, max: 2, share: 1}", ""),
        ("{}", "missing key 'after'"),
        ("{after: p20}", "such as 200ms, or p50 to p99.9"),
        ("{after: p100}", "such as 200ms, or p50 to p99.9"),
        ("{after: 0s}", "such as 200ms, or p50 to p99.9"),
        ("{after: 5}", "such as 200ms, or p50 to p99.9"),
        ("{after: 1s, max: 0}", "'max': should be"),
        ("{after: 1s, max: 11}", "'max': should be"),
        ("{after: 1s, share: 0}", "a share, above 0 and at most 1"),
        ("{after: 1s, when: 5}", "unknown key 'when'"),
    ],
)
def test_settings_of_a_hedge(hedge: str, expected: str) -> None:
    found = lines_of_steps(f"- {{id: s, type: ask, request: {{}}, hedge: {hedge}}}")
    assert bool(found) == bool(expected)
    assert all(expected in line for line in found)


@pytest.mark.parametrize("effect", ["keyed", "unsafe"])
def test_p027_a_call_that_may_change_something_is_not_hedged(effect: str) -> None:
    step = f"{{id: s, type: ask, request: {{}}, effect: {effect}, hedge: {{after: 1s}}}}"
    column = 3 + step.index("hedge:")
    assert lines_of_steps(f"- {step}") == [
        f"3:{column}: P027 's' may change something: a hedge could do that twice (hedge "
        "calls that only read; if this one does, say `effect: read`)"
    ]


def test_p023_what_calls_nobody_is_not_hedged() -> None:
    found = lines_of_steps("- {id: s, type: set, value: 1, hedge: {after: 1s}}")
    assert "P023 'hedge' is of calls, and 'set' steps call nobody" in found[0]


def test_the_plan_keeps_a_hedge_and_a_default_is_for_calls_that_read() -> None:
    reads, writes = ask("a"), ask("b", effect="keyed")
    defaults: dict[str, Any] = {"hedge": {"after": "p95", "max": 2}}
    plan = plan_with(reads, writes, defaults=defaults)
    hedge = HedgePolicy(None, 0.95, 2)
    assert [node.policies for node in plan.scope.nodes] == [Policies(hedge=hedge), None]
    assert dump_plan(load_plan(dump_plan(plan))) == dump_plan(plan)
    assert load_plan(dump_plan(plan)).scope.nodes[0].policies == Policies(hedge=hedge)


def test_hedges_are_counted_among_the_calls_and_drawn() -> None:
    plan = plan_with(
        ask("a", hedge={"after": "200ms", "max": 2}, retry={"max_attempts": 3})
    )
    assert explain(plan).bound.calls == 9
    assert "hedged after 200ms" in graph_of(plan).root.nodes[0].policies
