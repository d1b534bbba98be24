"""Try: what is caught by what, what is seen of it, and what runs in any case."""

from __future__ import annotations

from typing import Any

import pytest

from plait.testing import Simulated, error, reply, simulate
from tests.simulation.asking import ask, give, plan_with

BROKEN = "connector.http.503"


def attempt(**settings: Any) -> dict[str, Any]:
    return {"id": "t", "type": "try", "steps": [ask("x")], **settings}


def catch(on: Any = None, *steps: Any, **settings: Any) -> dict[str, Any]:
    given = {} if on is None else {"on": on}
    return {**given, "steps": [*(steps or (give("c", "caught"),))], **settings}


def run(step: dict[str, Any], script: Any, *more: Any) -> Simulated:
    output = {"yields": "${t.response}", "caught": "${t.caught}"}
    return simulate(plan_with(step, *more, output=output), script)


BREAKS = {"t/x": error(BROKEN, after_ms=3)}


def test_without_a_failure_nothing_is_caught() -> None:
    result = run(attempt(catch=[catch()]), {"t/x": reply(1)})
    assert result.output == {"yields": {"x": 1}, "caught": None}


def test_what_the_catch_yields_stands_for_what_failed() -> None:
    result = run(attempt(catch=[catch()]), BREAKS)
    output: Any = result.output
    assert output["yields"] == {"c": "caught"}
    caught = output["caught"]
    assert (caught["code"], caught["details"]["step"]) == (BROKEN, "t/x")


@pytest.mark.parametrize(
    ("on", "is_caught"),
    [
        ([503], True),
        (["5xx", "timeout"], True),
        ("connector.http.503", True),
        (["connector.*"], True),
        ("any", True),
        ("${error.code == 'connector.http.503' && error.details.attempts == 1}", True),
        ([404], False),
        (["connect"], False),
        ("${error.code == 'other'}", False),
    ],
)
def test_errors_are_matched_by_code_class_status_and_expression(
    on: Any, is_caught: bool
) -> None:
    result = run(attempt(catch=[catch(on)]), BREAKS)
    assert (result.failure is None) == is_caught


def test_of_several_the_first_that_fits_answers() -> None:
    ways = [catch([404], give("c", 1)), catch([503], give("c", 2)), catch(None)]
    output: Any = run(attempt(catch=ways), BREAKS).output
    assert output["yields"] == {"c": 2}


def test_its_steps_see_the_error_under_the_name_they_chose() -> None:
    way = catch(None, give("c", "${problem.code}"), **{"as": "problem"})
    output: Any = run(attempt(catch=[way]), BREAKS).output
    assert output["yields"] == {"c": BROKEN}
    way = catch(None, give("c", "${error.code}"))
    usual: Any = run(attempt(catch=[way]), BREAKS).output
    assert usual["yields"] == {"c": BROKEN}


def test_what_no_catch_answers_is_the_steps_own_failure() -> None:
    result = run(attempt(catch=[catch([404])]), BREAKS)
    assert result.failure is not None
    assert (result.failure.code, result.failure.step) == (BROKEN, "t/x")


def test_a_condition_without_a_value_catches_nothing_and_says_so() -> None:
    result = run(attempt(catch=[catch("${error.nope}"), catch()]), BREAKS)
    assert result.failure is not None
    details: Any = result.failure.details
    assert result.failure.code == BROKEN
    assert details["catch_on"]["code"] == "expression.no_such_key"


def test_a_failure_inside_a_catch_is_not_caught_by_the_next() -> None:
    fail = {"id": "f", "type": "fail", "code": "my.worse"}
    result = run(attempt(catch=[catch([503], fail), catch()]), BREAKS)
    assert result.failure is not None
    assert (result.failure.code, result.failure.step) == ("my.worse", "t[catch1]/f")


@pytest.mark.parametrize(
    ("script", "catches", "is_completed"),
    [
        ({"t/x": reply(1)}, [catch()], True),
        (BREAKS, [catch()], True),
        (BREAKS, [catch([404])], False),
        (BREAKS, [catch(None, {"id": "f", "type": "fail", "code": "my.worse"})], False),
    ],
    ids=["completed", "caught", "not caught", "failed in the catch"],
)
def test_finally_runs_in_any_case(script: Any, catches: Any, is_completed: bool) -> None:
    step = attempt(catch=catches, **{"finally": {"steps": [ask("end")]}})
    result = run(step, {**script, "t[finally]/end": reply(2)})
    assert result.calls[-1].step == "t[finally]/end"
    assert (result.failure is None) == is_completed
    if is_completed:
        output: Any = result.output
        assert "end" not in output["yields"]


def test_finally_that_fails_fails_the_step_and_tells_what_was_before() -> None:
    step = attempt(**{"finally": {"steps": [ask("end")]}})
    script = {**BREAKS, "t[finally]/end": error("connector.closed")}
    failure = run(step, script).failure
    assert failure is not None
    details: Any = failure.details
    assert (failure.code, details["after"]["code"]) == ("connector.closed", BROKEN)


def test_finally_does_not_run_when_the_workflow_ends_inside() -> None:
    steps = [{"id": "r", "type": "return", "value": "early"}]
    step = attempt(steps=steps, **{"finally": {"steps": [ask("end")]}})
    result = run(step, {})
    assert (result.output, result.calls) == ("early", [])


@pytest.mark.parametrize(
    "settings",
    [
        {"timeout": "10ms", "on_error": "continue"},
        {"attempt_timeout": "10ms", "on_error": "continue"},
        {"attempt_timeout": "10ms", "fallback": {"value": 0}},
    ],
)
def test_finally_runs_when_the_time_of_the_step_itself_is_over(settings: Any) -> None:
    step = attempt(**{"finally": {"steps": [ask("end")]}}, **settings)
    script = {"t/x": reply(1, after_ms=50), "t[finally]/end": reply(2, after_ms=50)}
    result = run(step, script)
    assert [call.step for call in result.calls] == ["t/x", "t[finally]/end"]
    assert result.passed_over is None or result.passed_over.code == "step.timeout"


def test_finally_has_no_part_in_the_time_limit_and_runs_for_each_attempt() -> None:
    step = attempt(
        attempt_timeout="10ms",
        retry={"max_attempts": 2, "delay": "1ms"},
        **{"finally": {"steps": [ask("end")]}},
    )
    script = {
        "t/x": reply(1, after_ms=50),
        "t[finally]/end": reply(2, after_ms=50),
        "t~2/x": reply(5),
        "t~2[finally]/end": reply(2, after_ms=50),
    }
    result = run(step, script)
    assert result.output == {"yields": {"x": 5}, "caught": None}


def test_a_try_that_is_tried_again_begins_anew() -> None:
    step = attempt(retry={"max_attempts": 2, "delay": "1ms"}, catch=[catch([404])])
    result = run(step, {"t/x": error(BROKEN), "t~2/x": reply(5)})
    assert result.output == {"yields": {"x": 5}, "caught": None}


def test_what_was_caught_leaves_the_workflow_whole() -> None:
    result = run(attempt(catch=[catch()]), BREAKS)
    assert result.passed_over is None
