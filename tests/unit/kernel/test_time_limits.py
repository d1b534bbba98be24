"""Time limits: of the workflow, of a step, of an attempt. All on the virtual clock."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from plait.document import DocumentErrors
from plait.testing import HANG, Simulation, error, reply, simulate
from tests.simulation.asking import ask, give, plan_with


def wait(step_id: str, time: str, **settings: object) -> dict[str, object]:
    return {"id": step_id, "type": "wait", "for": time, **settings}


def timeouts(*answers: object, **settings: object) -> list[int]:
    """Return the time limit of each call that the step makes."""
    plan = plan_with(ask("a", on_error="continue", **settings))
    result = simulate(plan, {"a": list(answers)})  # type: ignore[arg-type]
    return [call.timeout_ms for call in result.calls]


def test_a_call_without_limits_has_thirty_seconds() -> None:
    assert timeouts(reply(1)) == [30_000]


def test_a_call_has_the_smaller_of_both_limits() -> None:
    assert timeouts(reply(1), timeout="2s") == [2_000]
    assert timeouts(reply(1), attempt_timeout="1s") == [1_000]
    assert timeouts(reply(1), timeout="2s", attempt_timeout="1s") == [1_000]
    assert timeouts(reply(1), timeout="1s", attempt_timeout="2s") == [1_000]


def test_a_later_attempt_has_what_is_left_of_the_steps_time() -> None:
    busy = error("connector.http.503", after_ms=300)
    retry = {"delay": "200ms", "max_attempts": 2}
    assert timeouts(busy, reply(1), timeout="1s", retry=retry) == [1_000, 500]
    limits = {"timeout": "1s", "attempt_timeout": "400ms"}
    assert timeouts(busy, reply(1), retry=retry, **limits) == [400, 400]


def test_the_default_attempt_limit_does_not_apply_beside_a_longer_step_limit() -> None:
    assert timeouts(reply(1), timeout="2m") == [120_000]


def test_a_call_that_never_answers_fails_with_a_timeout_at_its_limit() -> None:
    result = simulate(plan_with(ask("a", timeout="800ms")), {"a": HANG})
    assert result.failure is not None
    assert (result.failure.code, result.elapsed_ms) == ("connector.timeout", 800)


def test_an_attempt_that_hangs_leaves_time_for_another() -> None:
    retry = {"max_attempts": 2, "delay": "50ms"}
    plan = plan_with(ask("a", timeout="1s", attempt_timeout="300ms", retry=retry))
    result = simulate(plan, {"a": [HANG, reply(1, after_ms=10)]})
    assert (result.output, result.elapsed_ms) == ({"a": 1}, 360)


@pytest.mark.parametrize(("delay", "is_retried"), [("699ms", True), ("700ms", False)])
def test_a_retry_that_would_start_at_the_deadline_or_after_is_not_waited_for(
    delay: str, is_retried: bool
) -> None:
    plan = plan_with(ask("a", timeout="1s", retry={"delay": delay, "max_attempts": 2}))
    result = simulate(plan, {"a": [error("connector.closed", after_ms=300), reply(1)]})
    assert (result.status == "completed") is is_retried
    assert result.elapsed_ms == (999 if is_retried else 300)


def test_no_call_is_made_with_no_time_left() -> None:
    plan = plan_with(ask("a"))
    # No document says so any more, but plans that are stored may.
    nodes = (replace(plan.scope.nodes[0], timeout_ms=0),)
    plan = replace(plan, scope=replace(plan.scope, nodes=nodes))
    result = simulate(plan, {})
    assert result.failure is not None
    assert (result.failure.code, result.calls) == ("step.timeout", [])


def test_the_documents_default_limit_reaches_every_call() -> None:
    plan = plan_with(ask("a"), ask("b", timeout="3s"), defaults={"timeout": "1s"})
    result = simulate(plan, {"a": reply(1), "b": reply(2)})
    assert [call.timeout_ms for call in result.calls] == [1_000, 3_000]


def test_a_containers_limit_cancels_what_runs_inside() -> None:
    group = {"id": "g", "type": "sequence", "timeout": "1s", "steps": [ask("x"), ask("y")]}
    script = {"g/x": reply(1, after_ms=600), "g/y": reply(1, after_ms=600)}
    result = simulate(plan_with(group), script)
    assert result.failure is not None
    assert (result.failure.code, result.failure.step) == ("step.timeout", "g")
    assert (result.elapsed_ms, result.status_of("g/y")) == (1_000, "cancelled")


def test_a_containers_limit_covers_all_its_attempts_and_the_waits_between() -> None:
    group = {
        "id": "g",
        "type": "sequence",
        "timeout": "1s",
        "steps": [ask("x")],
        "retry": {"max_attempts": 9, "delay": "250ms"},
    }
    result = simulate(plan_with(group), {"g/x": error("connector.closed", after_ms=200)})
    # 200 failed, 450–650 failed, 900 begun, cut off at 1,000.
    assert (len(result.calls), result.elapsed_ms) == (3, 1_000)
    assert result.failure is not None
    assert result.failure.code == "step.timeout"


def test_a_containers_limit_is_one_timer_for_all_its_attempts() -> None:
    group = {
        "id": "g",
        "type": "sequence",
        "timeout": "9s",
        "steps": [ask("x")],
        "retry": {"max_attempts": 2, "delay": "1s"},
    }
    sim = Simulation(plan_with(group), lambda _: error("connector.closed"))
    assert [one.step for one in sim.pending] == ["g/x", "g"]
    sim.happen(sim.pending_at("g/x"))
    sim.happen(min(sim.pending, key=lambda one: one.due_at_ms))
    assert [one.step for one in sim.pending] == ["g~2/x", "g"]


def test_a_containers_attempt_limit_leads_to_the_next_attempt() -> None:
    group = {
        "id": "g",
        "type": "sequence",
        "attempt_timeout": "1s",
        "steps": [ask("x")],
        "retry": {"max_attempts": 2, "delay": "100ms"},
    }
    answers = iter([reply(1, after_ms=1_500), reply(2, after_ms=10)])
    result = simulate(plan_with(group), lambda _: next(answers))
    assert (result.output, result.elapsed_ms) == ({"g": {"x": 2}}, 1_110)


def test_a_limit_in_time_leaves_nothing_behind() -> None:
    result = simulate(plan_with(wait("w", "1s", timeout="2s", attempt_timeout="3s")), {})
    assert (result.status, result.elapsed_ms) == ("completed", 1_000)


def test_a_wait_longer_than_its_limit_fails() -> None:
    result = simulate(plan_with(wait("w", "3s", timeout="2s")), {})
    assert result.failure is not None
    assert (result.failure.code, result.elapsed_ms) == ("step.timeout", 2_000)
    assert result.failure.classes == ("timeout",)


def test_a_wait_ends_at_its_moment_with_null() -> None:
    plan = plan_with(wait("w", "1h30m"), give("after", "${w.response}"))
    result = simulate(plan, {})
    assert (result.output, result.elapsed_ms) == ({"w": None, "after": None}, 5_400_000)


def test_a_wait_may_be_told_its_length() -> None:
    plan = plan_with(wait("w", "${input.time}"), wait("v", "${input.seconds}s"))
    result = simulate(plan, {}, input={"time": "PT2S", "seconds": 3})
    assert (result.status, result.elapsed_ms) == ("completed", 3_000)


@pytest.mark.parametrize("told", ["soon", "", "5", "5s ", "-1s", "PT", "200000d"])
def test_a_wait_told_text_that_is_no_duration_fails(told: str) -> None:
    result = simulate(plan_with(wait("w", "${input.time}")), {}, input={"time": told})
    assert result.failure is not None
    assert result.failure.code == "wait.duration"
    assert result.failure.message.startswith((f"'{told}' is not", f"duration '{told}' is"))


@pytest.mark.parametrize(
    ("told", "shown"),
    [
        (5, "5"),
        (2.5, "2.5"),
        (True, "true"),
        (None, "null"),
        (["5s"], "a list"),
        ({}, "a mapping"),
    ],
)
def test_a_wait_told_what_is_no_text_fails_and_says_what_to_write(
    told: Any, shown: str
) -> None:
    result = simulate(plan_with(wait("w", "${input.time}")), {}, input={"time": told})
    assert result.failure is not None
    assert (result.failure.code, result.failure.advice) == ("wait.duration", "fix_request")
    assert result.failure.message.startswith(f"{shown} is not a duration, which is text")
    assert "write ${…}ms or ${…}s" in result.failure.message


@pytest.mark.parametrize(
    "text", ["800ms", "1.5s", "1h30m", "PT1M", "P1D", "5", "5 s", "s", "", "P", "1y"]
)
def test_a_rendered_wait_takes_just_what_a_literal_one_takes(text: str) -> None:
    rendered = simulate(plan_with(wait("w", "${input.time}")), {}, input={"time": text})
    try:
        literal = simulate(plan_with(wait("w", text)), {})
    except DocumentErrors:
        assert rendered.failure is not None
        assert rendered.failure.code == "wait.duration"
    else:
        assert rendered.elapsed_ms == literal.elapsed_ms > 0


def test_the_workflows_limit_ends_everything() -> None:
    plan = plan_with(ask("a", on_error="continue", fallback=1), timeout="1s")
    result = simulate(plan, {"a": reply(1, after_ms=5_000)})
    assert result.failure is not None
    assert (result.failure.code, result.elapsed_ms) == ("execution.timeout", 1_000)
    assert (result.failure.classes, result.status_of("a")) == (("timeout",), "cancelled")


def running_at_the_end(*steps: Any, **script: Any) -> tuple[list[Any], int]:
    result = simulate(plan_with(*steps, timeout="1s"), script or (lambda _: HANG))
    assert result.failure is not None
    assert result.failure.code == "execution.timeout"
    details: Any = result.failure.details
    return details["running"], details["running_count"]


def test_the_workflows_limit_tells_what_still_ran() -> None:
    running, count = running_at_the_end(
        ask("done"),
        ask("slow"),
        ask("later", depends_on=["slow"]),
        done=reply(1),
        slow=HANG,
    )
    (slow,) = running
    assert (slow["step"], slow["attempts"], count) == ("slow", 1, 1)
    assert slow["place"]["pointer"] == "/steps/1"
    assert slow["place"]["line"] > 0


def test_of_a_group_the_workflows_limit_tells_the_steps_inside() -> None:
    group = {"id": "g", "type": "sequence", "retry": {}, "steps": [ask("x"), ask("y")]}
    closed = error("connector.closed")
    plan = plan_with(group, wait("w", "1h"), ask("r", retry={"delay": "1h"}), timeout="1s")
    script = {"g/x": closed, "g~2/x": reply(1), "g~2/y": HANG, "r": closed}
    failure = simulate(plan, script).failure
    assert failure is not None
    running: Any = (failure.details or {})["running"]
    told = [(step["step"], step["attempts"]) for step in running]
    assert told == [("g~2/y", 1), ("w", 1), ("r", 1)]


def test_a_fallback_that_still_runs_is_told_in_the_place_of_its_step() -> None:
    fails = ask("a", fallback=ask("b"))
    script = {"a": error("connector.decode"), "a.fallback/b": HANG}
    running, _ = running_at_the_end(fails, **script)
    assert [step["step"] for step in running] == ["a.fallback/b"]


@pytest.mark.parametrize("count", [20, 21])
def test_of_many_steps_that_still_ran_twenty_are_told_and_all_are_counted(
    count: int,
) -> None:
    running, told_count = running_at_the_end(*(ask(f"s{n}") for n in range(count)))
    assert [step["step"] for step in running] == [f"s{n}" for n in range(20)]
    assert told_count == count


def test_a_workflow_in_time_is_not_bothered_by_its_limit() -> None:
    result = simulate(plan_with(ask("a"), timeout="1s"), {"a": reply(1, after_ms=999)})
    assert result.output == {"a": 1}
