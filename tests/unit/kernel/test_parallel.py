"""Parallel: branches joined by all, any or a number; the losers are cancelled."""

from __future__ import annotations

from typing import Any

import pytest

from plait.plan import Plan
from plait.testing import Answer, Simulated, error, reply, simulate
from tests.simulation.asking import ask, plan_with

BROKEN = "connector.http.500"


def race(join: Any, **settings: Any) -> Plan:
    branches = {
        name: {"steps": [ask("x")], "output": "${x.response}"} for name in ("a", "b", "c")
    }
    step = {"id": "p", "type": "parallel", "branches": branches, "join": join, **settings}
    return plan_with(step, output="${p.response}")


def run(plan: Plan, **answers: Answer) -> Simulated:
    return simulate(plan, {f"p[{name}]/x": answer for name, answer in answers.items()})


def statuses(result: Simulated) -> list[str]:
    return [result.status_of(f"p[{name}]/x") for name in ("a", "b", "c")]


def test_all_waits_for_every_branch_and_keeps_their_order() -> None:
    result = run(race("all"), a=reply(1, after_ms=9), b=reply(2, after_ms=5), c=reply(3))
    assert result.elapsed_ms == 9
    assert isinstance(result.output, dict)
    assert list(result.output.items()) == [("a", 1), ("b", 2), ("c", 3)]


def test_all_is_what_parallel_does_unless_told_otherwise() -> None:
    step = {
        "id": "p",
        "type": "parallel",
        "branches": {"a": {"steps": [ask("x")]}, "b": {"steps": [ask("x")]}},
    }
    result = simulate(plan_with(step), lambda call: reply(1, after_ms=len(call.step)))
    assert result.output == {"p": {"a": {"x": 1}, "b": {"x": 1}}}


def test_all_fails_at_the_first_failure_and_cancels_the_others() -> None:
    result = run(
        race("all"), a=reply(1), b=error(BROKEN, after_ms=5), c=reply(3, after_ms=9)
    )
    assert (result.status, result.elapsed_ms) == ("failed", 5)
    assert statuses(result) == ["completed", "failed", "cancelled"]


def test_any_takes_the_first_and_cancels_the_losers() -> None:
    result = run(
        race("any"), a=reply(1, after_ms=9), b=reply(2, after_ms=5), c=reply(3, after_ms=8)
    )
    assert (result.output, result.elapsed_ms) == ({"b": 2}, 5)
    assert statuses(result) == ["cancelled", "completed", "cancelled"]


def test_any_goes_on_while_one_branch_can_still_win() -> None:
    result = run(
        race("any"), a=error(BROKEN), b=error(BROKEN, after_ms=5), c=reply(3, after_ms=9)
    )
    assert (result.output, result.is_degraded) == ({"c": 3}, False)


def test_any_fails_with_the_last_failure_when_no_branch_is_left() -> None:
    result = run(
        race("any"),
        a=error(BROKEN),
        b=error(BROKEN, after_ms=5),
        c=error("connector.closed", after_ms=9),
    )
    assert result.failure is not None
    assert (result.failure.code, result.failure.step) == ("connector.closed", "p[c]/x")


def test_a_number_takes_that_many_in_document_order() -> None:
    result = run(
        race(2), a=reply(1, after_ms=9), b=reply(2, after_ms=12), c=reply(3, after_ms=5)
    )
    assert isinstance(result.output, dict)
    assert list(result.output.items()) == [("a", 1), ("c", 3)]
    assert statuses(result) == ["completed", "cancelled", "completed"]


def test_a_number_fails_as_soon_as_it_cannot_be_reached() -> None:
    result = run(
        race(2), a=error(BROKEN), b=error(BROKEN, after_ms=5), c=reply(3, after_ms=9)
    )
    assert (result.status, result.elapsed_ms) == ("failed", 5)
    assert statuses(result) == ["failed", "failed", "cancelled"]


def test_a_number_of_all_is_all() -> None:
    result = run(race(3), a=reply(1), b=reply(2), c=reply(3))
    assert result.output == {"a": 1, "b": 2, "c": 3}


@pytest.mark.parametrize("join", ["all", "any", 2])
def test_a_retried_race_begins_anew(join: Any) -> None:
    plan = race(join, retry={"max_attempts": 2, "delay": "1s"})
    script: dict[str, Answer] = {
        f"p[{name}]/x": error("connector.closed") for name in ("a", "b", "c")
    }
    assert simulate(plan, script).status == "failed"
    script |= {f"p~2[{name}]/x": reply(1) for name in ("a", "b", "c")}
    assert simulate(plan, script).status == "completed"


def test_a_retried_group_keeps_nothing_of_its_former_attempt() -> None:
    plan = race("all", retry={"max_attempts": 2, "delay": "1s"})
    script = {
        "p[a]/x": reply("old"),
        "p~2[a]/x": reply("new", after_ms=50),
        "p[b]/x": error("connector.closed", after_ms=5),
        "p~2[b]/x": reply(2),
        "p[c]/x": reply(3),
    }
    result = simulate(plan, script)
    assert result.output == {"a": "new", "b": 2, "c": 3}
    assert result.elapsed_ms == 1_055


def test_one_failed_branch_is_caught_by_the_steps_own_fallback() -> None:
    result = run(
        race("all", fallback={"none": True}),
        a=error(BROKEN),
        b=reply(2),
        c=reply(3, after_ms=5),
    )
    assert (result.output, result.elapsed_ms) == ({"none": True}, 0)


def test_a_branch_whose_output_cannot_be_rendered_has_failed() -> None:
    branch = {"steps": [ask("x")], "output": "${x.response.id}"}
    other = {"steps": [ask("x")]}
    step = {
        "id": "p",
        "type": "parallel",
        "branches": {"a": branch, "b": other},
        "join": "any",
    }
    result = simulate(plan_with(step), lambda _: reply({"no": 1}))
    assert result.output == {"p": {"b": {"x": {"no": 1}}}}
