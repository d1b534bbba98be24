"""Switch: which cases are taken, in which order, and what the step yields."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from plait.testing import Simulated, Simulation, reply, simulate
from tests.simulation.asking import ask, give, plan_with


def case(name: str, when: Any = None, *steps: Any, **settings: Any) -> dict[str, Any]:
    given = {} if when is None else {"when": when}
    return {"name": name, **given, "steps": [*(steps or (give("v", name),))], **settings}


def switch(*cases: Any, **settings: Any) -> dict[str, Any]:
    return {"id": "s", "type": "switch", "cases": [*cases], **settings}


def run(step: dict[str, Any], script: Any = None, **given: Any) -> Simulated:
    output = {"yields": "${s.response}", "case": "${s.case}", "cases": "${s.cases}"}
    return simulate(plan_with(step, output=output), script or {}, **given)


def told(step: dict[str, Any], **given: Any) -> tuple[Any, Any, Any]:
    output: Any = run(step, **given).output
    return output["yields"], output["case"], output["cases"]


BY_SIZE = (
    case("big", "${input.n > 5}"),
    case("middle", "${input.n > 2}"),
)


@pytest.mark.parametrize(
    ("n", "expected"),
    [
        (9, ({"v": "big"}, "big", ["big"])),
        (3, ({"v": "middle"}, "middle", ["middle"])),
        (0, ({"v": "small"}, "default", ["default"])),
    ],
)
def test_the_first_case_that_holds_is_taken(n: int, expected: Any) -> None:
    step = switch(*BY_SIZE, default={"steps": [give("v", "small")]})
    assert told(step, input={"n": n}) == expected


def test_without_a_case_that_holds_and_without_default_the_answer_is_null() -> None:
    assert told(switch(*BY_SIZE), input={"n": 0}) == (None, None, [])
    every = switch(*BY_SIZE, strategy="all_match")
    assert told(every, input={"n": 0}) == ({}, None, [])


def test_a_higher_priority_is_tested_first_and_equal_ones_in_their_order() -> None:
    step = switch(case("a", True), case("b", True, priority=2), case("c", True, priority=2))
    assert told(step)[1] == "b"
    every = told({**step, "strategy": "all_match"})
    assert every == ({"b": {"v": "b"}, "c": {"v": "c"}, "a": {"v": "a"}}, "b", [*"bca"])


def test_conditions_behind_the_first_that_holds_are_not_looked_at() -> None:
    step = switch(case("a", True), case("b", "${input.nothing.here}"))
    assert told(step)[1] == "a"
    result = run({**step, "strategy": "all_match"})
    assert result.failure is not None
    assert result.failure.code == "expression.type"


def test_all_cases_that_hold_run_at_the_same_time() -> None:
    slow = switch(
        case("a", True, ask("x")), case("b", True, ask("x")), strategy="all_match"
    )
    script = {"s[a]/x": reply(1, after_ms=50), "s[b]/x": reply(2, after_ms=50)}
    result = run(slow, script)
    assert result.elapsed_ms == 50
    assert [call.step for call in result.calls] == ["s[a]/x", "s[b]/x"]


def test_cases_are_nested_to_any_depth() -> None:
    step = give("leaf", "found")
    for depth in reversed(range(12)):
        step = switch(case("way", True, step)) | {"id": f"s{depth}"}
    result = simulate(plan_with(step), {})
    assert result.status == "completed"
    assert result.status_of("/".join(f"s{n}[way]" for n in range(12)) + "/leaf") == (
        "completed"
    )


def drawn(execution_id: str, *steps: Any) -> dict[str, str]:
    """Return what an execution of this id draws in each of the steps."""
    output = {step["id"]: f"${{{step['id']}.case}}" for step in steps}
    plan = plan_with(*steps, output=output)
    made: Any = Simulation(plan, {}, execution_id=execution_id).run().output
    return {**made}


def weighted(step_id: str, **weights: float) -> dict[str, Any]:
    cases = [case(name, weight=weight) for name, weight in weights.items()]
    return {**switch(*cases, strategy="weighted"), "id": step_id}


@pytest.mark.slow
def test_cases_are_drawn_by_weight_within_two_per_cent() -> None:
    step = weighted("s", a=1, b=2, c=7, never=0)
    plan = plan_with(step, output="${s.case}")
    found = Counter(
        str(Simulation(plan, {}, execution_id=f"x{number}").run().output)
        for number in range(10_000)
    )
    assert found["never"] == 0
    for name, share in {"a": 0.1, "b": 0.2, "c": 0.7}.items():
        assert abs(found[name] / 10_000 - share) <= 0.02, found


def test_an_execution_draws_the_same_again_and_each_step_for_itself() -> None:
    steps = [weighted(f"s{n}", a=1, b=1) for n in range(30)]
    first = drawn("x", *steps)
    assert first == drawn("x", *steps)
    assert first != drawn("y", *steps)
    assert {*first.values()} == {"a", "b"}


def test_only_cases_whose_condition_holds_are_drawn() -> None:
    step = switch(
        case("off", "${input.n > 5}", weight=1000),
        case("on", weight=1),
        strategy="weighted",
    )
    assert told(step, input={"n": 1})[1] == "on"


def test_a_case_that_fails_fails_the_step() -> None:
    step = switch(case("a", True, {"id": "f", "type": "fail", "code": "my.own"}))
    failure = run(step).failure
    assert failure is not None
    assert (failure.code, failure.step) == ("my.own", "s[a]/f")
