"""Time limits: of the workflow, of a step, of an attempt. All on the virtual clock."""

from __future__ import annotations

import pytest

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
    result = simulate(plan_with(ask("a", timeout="0ms")), {})
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
    assert [one.step for one in sim.pending] == ["g/x", "g"]


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


@pytest.mark.parametrize("told", ["soon", 5, None, ""])
def test_a_wait_told_no_duration_fails(told: object) -> None:
    result = simulate(plan_with(wait("w", "${input.time}")), {}, input={"time": told})  # type: ignore[dict-item]
    assert result.failure is not None
    assert result.failure.code == "wait.duration"
    assert "is not a duration" in result.failure.message


def test_the_workflows_limit_ends_everything() -> None:
    plan = plan_with(ask("a", on_error="continue", fallback=1), timeout="1s")
    result = simulate(plan, {"a": reply(1, after_ms=5_000)})
    assert result.failure is not None
    assert (result.failure.code, result.elapsed_ms) == ("execution.timeout", 1_000)
    assert (result.failure.classes, result.status_of("a")) == (("timeout",), "cancelled")


def test_a_workflow_in_time_is_not_bothered_by_its_limit() -> None:
    result = simulate(plan_with(ask("a"), timeout="1s"), {"a": reply(1, after_ms=999)})
    assert result.output == {"a": 1}
