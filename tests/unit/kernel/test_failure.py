"""Failure: fallback first, then on_error, then the scope around it."""

from __future__ import annotations

from typing import Any

import pytest

from plait.kernel.events import FallbackStarted, StepCompleted, StepFailed
from plait.testing import HANG, Simulated, error, reply, simulate
from tests.simulation.asking import ask, give, plan_with

BROKEN = error("connector.http.500", "it broke", details={"status_code": 500})


def failed(plan: Any, script: Any = None, **given: Any) -> Any:
    result = simulate(plan, script or {}, **given)
    assert result.status == "failed"
    assert result.failure is not None
    return result.failure


def of_kind(result: Simulated, kind: type[Any]) -> list[Any]:
    return [event for event in result.events if isinstance(event, kind)]


def test_an_uncaught_failure_fails_the_workflow_and_names_step_attempts_place() -> None:
    failure = failed(plan_with(give("x", 1), ask("a")), {"a": BROKEN})
    assert (failure.code, failure.step, failure.attempts) == ("connector.http.500", "a", 1)
    assert failure.place.pointer == "/steps/1"


def test_a_failure_deep_inside_names_the_innermost_step() -> None:
    group = {
        "id": "g",
        "type": "parallel",
        "branches": {
            "l": {"steps": [{"id": "s", "type": "sequence", "steps": [ask("x")]}]}
        },
    }
    failure = failed(plan_with(group), {"g[l]/s/x": BROKEN})
    assert (failure.step, failure.place.pointer) == (
        "g[l]/s/x",
        "/steps/0/branches/l/steps/0/steps/0",
    )


def test_a_fallback_value_stands_in_for_the_response() -> None:
    told = {
        "r": "${a.response}",
        "s": "${a.status}",
        "e": "${a.error}",
        "n": "${a.attempts}",
    }
    plan = plan_with(ask("a", fallback={"id": 0}), give("told", told))
    result = simulate(plan, {"a": BROKEN})
    view = {"r": {"id": 0}, "s": "completed", "e": None, "n": 1}
    assert result.output == {"a": {"id": 0}, "told": view}
    assert result.is_degraded is False


def test_a_fallback_may_be_null() -> None:
    result = simulate(plan_with(ask("a", fallback=None)), {"a": BROKEN})
    assert (result.status, result.output) == ("completed", {"a": None})


def test_a_fallback_reads_the_error_it_stands_in_for() -> None:
    plan = plan_with(ask("a", fallback=["${error.code}", "${error.details.step}"]))
    assert simulate(plan, {"a": BROKEN}).output == {"a": ["connector.http.500", "a"]}


def test_a_fallback_is_not_reshaped_by_output() -> None:
    plan = plan_with(ask("a", fallback=5, output="${a.response.id}"))
    assert simulate(plan, {"a": BROKEN}).output == {"a": 5}


def test_a_fallback_comes_only_after_the_last_attempt() -> None:
    plan = plan_with(ask("a", fallback=5, retry={"max_attempts": 2}))
    assert simulate(plan, {"a": [BROKEN, reply(1)]}).output == {"a": 1}
    result = simulate(plan, {"a": [BROKEN, BROKEN, reply(1)]})
    assert (result.output, len(result.calls)) == ({"a": 5}, 2)


def test_a_fallback_step_runs_in_the_steps_place() -> None:
    second = ask("mirror", "${error.code}")
    plan = plan_with(ask("a", fallback=second), give("b", "${a.response}"))
    result = simulate(plan, {"a": BROKEN, "a.fallback/mirror": reply(2, after_ms=5)})
    assert result.output == {"a": 2, "b": 2}
    assert result.calls[1].request["arg"] == "connector.http.500"


def test_a_fallback_step_needs_no_id() -> None:
    plan = plan_with(ask("a", fallback={"type": "set", "value": 3}))
    result = simulate(plan, {"a": BROKEN})
    assert (result.output, result.status_of("a.fallback/fallback")) == (
        {"a": 3},
        "completed",
    )


def test_a_fallback_step_may_have_a_fallback() -> None:
    inner = {**ask("second"), "fallback": {"type": "set", "id": "third", "value": 3}}
    plan = plan_with(ask("a", fallback=inner))
    result = simulate(plan, {"a": BROKEN, "a.fallback/second": BROKEN})
    assert result.output == {"a": 3}
    assert result.status_of("a.fallback/second.fallback/third") == "completed"


def test_a_fallback_step_that_completes_with_null_answers_null() -> None:
    plan = plan_with(ask("a", fallback=give("none", None)))
    assert simulate(plan, {"a": BROKEN}).output == {"a": None}


@pytest.mark.parametrize("how", [{"condition": False}, {"disabled": True}])
def test_a_skipped_fallback_step_is_no_answer(how: dict[str, Any]) -> None:
    failure = failed(plan_with(ask("a", fallback=give("no", 1, **how))), {"a": BROKEN})
    assert (failure.code, failure.step) == ("connector.http.500", "a")
    assert failure.details == {"status_code": 500, "fallback": "skipped"}


def test_on_error_continue_answers_when_the_fallback_step_is_skipped() -> None:
    skipped = give("no", 1, condition="${error.code == 'never'}")
    told = ["${a.status}", "${a.response}", "${a.error.details.fallback}"]
    plan = plan_with(ask("a", fallback=skipped, on_error="continue"), give("b", told))
    result = simulate(plan, {"a": BROKEN})
    assert (result.output, result.is_degraded) == ({"b": ["failed", None, "skipped"]}, True)


def test_a_fallback_step_that_fails_leaves_the_failure_it_was_to_answer() -> None:
    plan = plan_with(ask("a", fallback=ask("mirror")))
    closed = error("connector.closed", "cut off", details={"body": "half"})
    failure = failed(plan, {"a": BROKEN, "a.fallback/mirror": closed})
    assert (failure.code, failure.message) == ("connector.http.500", "it broke")
    assert (failure.step, failure.attempts) == ("a", 1)
    told = failure.details["fallback"]
    assert told.pop("place")["pointer"] == "/steps/0/fallback"
    # What an upstream said of another failure stays out.
    mirror = {"step": "a.fallback/mirror", "attempts": 1}
    assert told == {"code": "connector.closed", "message": "cut off", **mirror}


def test_a_fallback_step_that_fails_and_is_continued_is_no_answer() -> None:
    mirror = ask("mirror", on_error="continue")
    failure = failed(
        plan_with(ask("a", fallback=mirror)),
        {"a": BROKEN, "a.fallback/mirror": error("connector.closed")},
    )
    assert (failure.code, failure.step) == ("connector.http.500", "a")
    told = failure.details["fallback"]
    assert (told["code"], told["step"]) == ("connector.closed", "a.fallback/mirror")


def test_a_fallback_of_a_fallback_tells_what_failed_at_each_step() -> None:
    inner = ask("second", fallback=ask("third"))
    failure = failed(plan_with(ask("a", fallback=inner)), lambda _: BROKEN)
    assert (failure.step, failure.details["fallback"]["step"]) == (
        "a",
        "a.fallback/second",
    )


def test_a_fallback_that_cannot_be_rendered_is_no_answer() -> None:
    failure = failed(plan_with(ask("a", fallback="${error.details.nope}")), {"a": BROKEN})
    assert (failure.code, failure.place.pointer) == ("connector.http.500", "/steps/0")
    told = failure.details["fallback"]
    assert told["code"] == "expression.no_such_key"
    assert told["place"]["pointer"] == "/steps/0/fallback"


def test_a_fallback_step_has_an_address_and_a_key_of_its_own() -> None:
    group = {
        "id": "pay",
        "type": "sequence",
        "steps": [ask("charge", effect="keyed")],
        "fallback": ask("card", effect="keyed"),
    }
    script = {"pay/charge": BROKEN, "pay.fallback/card": reply(2)}
    result = simulate(plan_with(group), script)
    assert result.output == {"pay": 2}
    assert len({call.idempotency_key for call in result.calls}) == 2


def test_fallback_steps_without_an_id_answer_for_each_other_at_paths_of_their_own() -> None:
    second = {"type": "set", "value": ["${fallback.response}", "${error.details.step}"]}
    first = {"type": "set", "value": 1, "output": "${fallback.response.id}"}
    broken = {"id": "a", "type": "fail", "fallback": {**first, "fallback": second}}
    result = simulate(plan_with(give("fallback", 5), broken), {})
    assert result.output == {"fallback": 5, "a": [5, "a.fallback/fallback"]}
    assert list(result.steps) == [
        "fallback",
        "a",
        "a.fallback/fallback",
        "a.fallback/fallback.fallback/fallback",
    ]


@pytest.mark.parametrize(
    ("fallback", "note"),
    [(ask("mirror"), "kept"), (give("mirror", 1), None), (1, None)],
    ids=["a call", "no call", "a value"],
)
def test_the_facts_of_a_call_are_those_of_the_call_that_answered(
    fallback: Any, note: Any
) -> None:
    plan = plan_with(ask("a", fallback=fallback), give("b", "${a.note}"))
    script = {"a": BROKEN, "a.fallback/mirror": reply(1, facts={"note": "kept"})}
    assert simulate(plan, script).output == {"a": 1, "b": note}


def test_a_fallback_is_told_as_events() -> None:
    result = simulate(plan_with(ask("a", fallback=5)), {"a": BROKEN})
    (started,) = of_kind(result, FallbackStarted)
    (completed,) = of_kind(result, StepCompleted)
    assert (started.step, started.failure.code) == ("a", "connector.http.500")
    assert (completed.by_fallback, completed.attempts) == (True, 1)


def test_on_error_continue_gives_a_null_response_and_the_error() -> None:
    told = {
        "r": "${a.response}",
        "s": "${a.status}",
        "n": "${a.attempts}",
        "c": "${a.error.code}",
        "m": "${a.error.message}",
        "d": "${a.error.details.status_code}",
    }
    plan = plan_with(ask("a", on_error="continue"), give("told", told))
    result = simulate(plan, {"a": BROKEN})
    assert result.output == {
        "told": {
            "r": None,
            "s": "failed",
            "n": 1,
            "c": "connector.http.500",
            "m": "it broke",
            "d": 500,
        }
    }
    assert result.is_degraded is True


def test_on_error_continue_comes_after_the_fallback() -> None:
    plan = plan_with(ask("a", on_error="continue", fallback=ask("mirror")))
    answered = simulate(plan, {"a": BROKEN, "a.fallback/mirror": reply(2)})
    assert (answered.output, answered.is_degraded) == ({"a": 2}, False)
    failed_too = simulate(
        plan, {"a": BROKEN, "a.fallback/mirror": error("connector.closed")}
    )
    assert (failed_too.output, failed_too.is_degraded) == ({}, True)


SHAKY = ask("x", on_error="continue")
AGAIN = {"max_attempts": 2, "delay": "1ms", "on": ["any"]}
SECOND_ROUND = {"g/x": BROKEN, "g/y": BROKEN, "g~2/x": reply(1), "g~2/y": reply(2)}


def group_of(*steps: Any, **settings: Any) -> dict[str, Any]:
    return {"id": "g", "type": "sequence", "steps": [*steps], **settings}


def race_of(loser: list[Any], **settings: Any) -> dict[str, Any]:
    branches = {"slow": {"steps": loser}, "fast": {"steps": [ask("z")]}}
    return {"id": "g", "type": "parallel", "join": "any", "branches": branches, **settings}


@pytest.mark.parametrize(
    ("step", "script"),
    [
        (group_of(SHAKY, ask("y"), retry=AGAIN), SECOND_ROUND),
        (group_of(SHAKY, ask("y"), fallback=1), {"g/x": BROKEN, "g/y": BROKEN}),
        (
            race_of([SHAKY, ask("y")]),
            {"g[slow]/x": BROKEN, "g[slow]/y": HANG, "g[fast]/z": reply(1, after_ms=5)},
        ),
        (
            race_of([SHAKY], join="all", retry=AGAIN),
            {
                "g[slow]/x": BROKEN,
                "g[fast]/z": error("connector.closed", after_ms=5),
                "g~2[slow]/x": reply(1),
                "g~2[fast]/z": reply(1),
            },
        ),
        (
            ask("a", fallback=group_of(SHAKY, ask("y"), fallback="none")),
            {"a": BROKEN, "a.fallback/g/x": BROKEN, "a.fallback/g/y": BROKEN},
        ),
    ],
    ids=[
        "an earlier round",
        "a group with a fallback",
        "a race lost",
        "a branch of an earlier round",
        "a fallback group",
    ],
)
def test_what_was_passed_over_in_what_came_to_nothing_does_not_count(
    step: Any, script: Any
) -> None:
    result = simulate(plan_with(step), script)
    assert any(event.continued for event in of_kind(result, StepFailed))
    assert (result.status, result.passed_over) == ("completed", None)


@pytest.mark.parametrize(
    ("step", "path"),
    [
        (group_of(SHAKY, ask("y")), "g/x"),
        (race_of([SHAKY], join="all"), "g[slow]/x"),
        (ask("a", fallback=group_of(SHAKY, ask("y"))), "a.fallback/g/x"),
        (group_of(SHAKY, {"id": "r", "type": "return", "value": 1}), "g/x"),
        (group_of(ask("y"), on_error="continue", retry=AGAIN), "g~2/y"),
    ],
    ids=["in a group", "in a branch", "in a fallback", "beside a return", "a group"],
)
def test_what_was_passed_over_in_what_is_used_is_told(step: Any, path: str) -> None:
    fine = {name: reply(1) for name in ("g/y", "g[fast]/z", "a.fallback/g/y")}
    broken = dict.fromkeys(("a", "g~2/y", path), BROKEN)
    failing = {"g/y": BROKEN} if path == "g~2/y" else {}
    result = simulate(plan_with(step), {**fine, **broken, **failing})
    assert result.status == "completed"
    assert result.passed_over is not None
    assert (result.passed_over.code, result.passed_over.step) == (
        "connector.http.500",
        path,
    )


def test_a_return_does_not_go_without_what_failed_in_another_branch() -> None:
    early = {"id": "r", "type": "return", "value": 1, "depends_on": ["z"]}
    step = race_of([SHAKY, ask("y")])
    step["branches"]["fast"]["steps"].append(early)
    script = {"g[slow]/x": BROKEN, "g[slow]/y": HANG, "g[fast]/z": reply(1, after_ms=5)}
    result = simulate(plan_with(step), script)
    assert (result.output, result.passed_over) == (1, None)


def test_of_several_failures_that_were_passed_over_the_first_is_told() -> None:
    late, early = ask("a", on_error="continue"), ask("b", on_error="continue")
    script = {"a": error("connector.closed", after_ms=9), "b": BROKEN}
    result = simulate(plan_with(late, early), script)
    assert result.passed_over is not None
    assert result.passed_over.step == "b"


def test_a_continued_failure_is_told_as_such() -> None:
    result = simulate(plan_with(ask("a", on_error="continue")), {"a": BROKEN})
    (event,) = of_kind(result, StepFailed)
    assert (event.continued, event.failure.code) == (True, "connector.http.500")


def test_a_container_continues_when_something_inside_fails() -> None:
    group = {
        "id": "g",
        "type": "sequence",
        "on_error": "continue",
        "steps": [ask("x"), ask("y")],
    }
    plan = plan_with(group, give("after", "${g.error.details.step}"))
    result = simulate(plan, {"g/x": BROKEN})
    assert result.output == {"after": "g/x"}
    assert result.status_of("g/y") == "not started"


@pytest.mark.parametrize(
    ("settings", "pointer"),
    [
        ({"condition": "${input.user.name}"}, "/steps/0/condition"),
        ({"output": "${input.user.name}"}, "/steps/0/output"),
    ],
)
def test_an_expression_error_names_expression_place_and_missing_key(
    settings: dict[str, Any], pointer: str
) -> None:
    plan = plan_with(give("a", 1, **settings))
    failure = failed(plan, input={"user": {}})
    assert failure.code == "expression.no_such_key"
    assert "input.user.name" in failure.message
    assert "name" in failure.message
    assert (failure.step, failure.place.pointer) == ("a", pointer)


def test_an_expression_error_in_the_output_names_its_place() -> None:
    failure = failed(plan_with(give("a", {}), output={"x": ["${a.response.id}"]}))
    assert (failure.code, failure.place.pointer) == (
        "expression.no_such_key",
        "/output/x/0",
    )


@pytest.mark.parametrize("value", [0, 1, "true", None, [], {}])
def test_a_condition_that_is_no_bool_fails_the_step(value: Any) -> None:
    plan = plan_with(give("a", 1, condition="${input.x}"))
    failure = failed(plan, input={"x": value})
    assert failure.code.startswith("expression.")
    assert (failure.step, failure.attempts) == ("a", 0)
    assert failure.place.pointer == "/steps/0/condition"


def test_a_condition_that_fails_is_answered_by_fallback_and_on_error() -> None:
    wrong = {"condition": "${input.missing}"}
    plan = plan_with(
        give("a", 1, fallback=2, **wrong), give("b", 1, on_error="continue", **wrong)
    )
    result = simulate(plan, {}, input={})
    assert (result.output, result.is_degraded) == ({"a": 2}, True)


def test_reading_into_a_skipped_step_is_an_error_that_names_the_path() -> None:
    plan = plan_with(ask("a", condition=False), give("b", "${a.response.id}"))
    failure = failed(plan)
    assert failure.step == "b"
    assert "a.response" in failure.message


def test_fail_fails_with_the_documents_error() -> None:
    step = {
        "id": "f",
        "type": "fail",
        "code": "order.sold_out",
        "message": "no ${input.item} left",
        "details": {"item": "${input.item}"},
    }
    failure = failed(plan_with(step), input={"item": "tea"})
    assert (failure.code, failure.message) == ("order.sold_out", "no tea left")
    assert failure.details == {"item": "tea"}


def test_fail_has_an_error_of_its_own() -> None:
    failure = failed(plan_with({"id": "f", "type": "fail"}))
    assert (failure.code, failure.details) == ("workflow.failed", {})


def test_fail_keeps_details_that_are_no_mapping() -> None:
    failure = failed(plan_with({"id": "f", "type": "fail", "details": "${input}"}), input=5)
    assert failure.details == {"value": 5}


@pytest.mark.parametrize("code", ["order.sold_out", "E-17", "a", "7", "x" * 200])
def test_fail_takes_a_rendered_code(code: str) -> None:
    failure = failed(plan_with({"id": "f", "type": "fail", "code": "${input}"}), input=code)
    assert (failure.code, failure.details) == (code, {})


@pytest.mark.parametrize("code", ["Not found!", "a..b", ".a", "ü", "a\n", "x" * 201, {}])
def test_fail_keeps_its_message_when_a_rendered_code_is_none(code: Any) -> None:
    step = {"id": "f", "type": "fail", "code": "${input}", "message": "sold out"}
    failure = failed(plan_with({**step, "details": {"item": 7}}), input=code)
    assert (failure.code, failure.message) == ("workflow.failed", "sold out")
    shown = "{}" if code == {} else code[:200]
    assert failure.details == {"item": 7, "code_refused": shown}


@pytest.mark.parametrize("code", [None, ""])
def test_fail_without_a_rendered_code_has_the_default(code: Any) -> None:
    failure = failed(plan_with({"id": "f", "type": "fail", "code": "${input}"}), input=code)
    assert (failure.code, failure.details) == ("workflow.failed", {})


def test_fail_can_be_caught_like_any_failure() -> None:
    plan = plan_with({"id": "f", "type": "fail", "fallback": 1, "retry": {"on": ["any"]}})
    result = simulate(plan, {})
    assert (result.output, result.elapsed_ms) == ({"f": 1}, 200)


def test_of_two_failures_the_first_is_the_workflows() -> None:
    plan = plan_with(ask("a"), ask("b"))
    script = {"a": error("connector.closed", after_ms=9), "b": BROKEN}
    assert failed(plan, script).step == "b"
