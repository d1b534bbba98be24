"""The simulator: virtual time, scripted upstreams, a chosen order."""

from __future__ import annotations

import pytest

from plait.kernel.events import ExecutionStarted
from plait.testing import (
    HANG,
    Answer,
    Simulation,
    Unscripted,
    earliest,
    error,
    reply,
    shuffled,
    simulate,
)
from tests.simulation.asking import ask, give, plan_with

TWO = plan_with(ask("a"), ask("b"), give("both", ["${a.response}", "${b.response}"]))


def test_time_is_virtual_and_exact() -> None:
    day_ms = 86_400_000
    result = simulate(TWO, {"a": reply(1, after_ms=20), "b": reply(2, after_ms=7)})
    assert (result.elapsed_ms, result.steps["b"].ended_s) == (20, 0.007)
    long = plan_with({"id": "w", "type": "wait", "for": "30d"})
    assert simulate(long, {}).elapsed_ms == 30 * day_ms


def test_a_script_gives_one_answer_per_attempt_and_repeats_the_last() -> None:
    plan = plan_with(ask("a", retry={"max_attempts": 4, "on": ["any"]}))
    script = {"a": [error("connector.closed"), error("connector.decode")]}
    result = simulate(plan, script)
    assert result.failure is not None
    assert (len(result.calls), result.failure.code) == (4, "connector.decode")


def test_a_script_may_be_a_function_of_the_call() -> None:
    result = simulate(TWO, lambda call: reply(call.step))
    assert result.output == {"a": "a", "b": "b", "both": ["a", "b"]}


def test_a_call_without_an_answer_is_named() -> None:
    with pytest.raises(
        Unscripted, match="no answer for step 'b', attempt 1, which asks ask"
    ):
        simulate(TWO, {"a": reply(1)})
    with pytest.raises(Unscripted):
        simulate(TWO, {"a": [], "b": reply(1)})


@pytest.mark.parametrize("answer", [HANG, reply(1, after_ms=500), reply(1, after_ms=501)])
def test_an_answer_at_the_calls_limit_or_later_is_a_timeout(answer: Answer) -> None:
    result = simulate(plan_with(ask("a", timeout="500ms")), {"a": answer})
    assert result.failure is not None
    assert (result.failure.code, result.elapsed_ms) == ("connector.timeout", 500)


def test_an_answer_just_before_the_limit_is_heard() -> None:
    plan = plan_with(ask("a", timeout="500ms"))
    assert simulate(plan, {"a": reply(1, after_ms=499)}).status == "completed"


@pytest.mark.parametrize(
    ("code", "advice", "classes", "sent"),
    [
        ("connector.connect", "retry", ("connect",), False),
        ("connector.tls", "retry", ("connect",), False),
        ("connector.timeout", "retry", ("timeout",), True),
        ("connector.closed", "retry", (), True),
        ("connector.http.503", "retry", (), True),
        ("connector.http.404", "fix_request", (), True),
        ("connector.http.501", "report", (), True),
        ("connector.forbidden_address", "fix_request", (), True),
        ("connector.decode", "report", (), True),
    ],
)
def test_a_scripted_error_is_what_the_connectors_say_of_its_code(
    code: str, advice: str, classes: tuple[str, ...], sent: bool
) -> None:
    failure = error(code).failure
    assert failure is not None
    assert (str(failure.advice), failure.classes, failure.sent) == (advice, classes, sent)


def test_what_is_due_first_happens_first_and_of_equals_the_first_asked() -> None:
    sim = Simulation(TWO, {"a": reply(1, after_ms=9), "b": reply(2, after_ms=9)})
    assert earliest(sim.pending).step == "a"
    sim = Simulation(TWO, {"a": reply(1, after_ms=9), "b": reply(2, after_ms=8)})
    assert earliest(sim.pending).step == "b"


def test_another_order_can_be_chosen_and_time_does_not_run_backwards() -> None:
    sim = Simulation(TWO, {"a": reply(1, after_ms=9), "b": reply(2, after_ms=5)})
    sim.happen(sim.pending_at("a"))
    sim.happen(sim.pending_at("b"))
    result = sim.result()
    assert [result.steps[step].ended_s for step in ("a", "b")] == [0.009, 0.009]


def test_a_shuffled_order_is_the_same_for_the_same_seed() -> None:
    plan = plan_with(*(ask(f"s{n}") for n in range(20)))
    runs = [simulate(plan, lambda _: reply(1), choose=shuffled(seed)) for seed in (1, 1, 2)]
    orders = [[getattr(event, "step", "") for event in run.history] for run in runs]
    assert orders[0] == orders[1] != orders[2]


def test_nothing_outstanding_for_a_step_is_said_by_name() -> None:
    with pytest.raises(LookupError, match="step 'both' waits for nothing"):
        Simulation(TWO, lambda _: reply(1)).pending_at("both")


def test_every_run_starts_at_the_same_moment() -> None:
    (started, *_) = simulate(TWO, lambda _: reply(1)).history
    assert isinstance(started, ExecutionStarted)
    assert (started.execution_id, started.at_ms) == ("simulated", 1_767_225_600_000)


def test_a_result_tells_each_steps_fate() -> None:
    plan = plan_with(ask("a", condition=False), ask("b"), ask("c", "${b.response}"))
    result = simulate(plan, {"b": error("connector.decode")})
    fates = [result.status_of(step) for step in ("a", "b", "c")]
    assert fates == ["skipped", "failed", "not started"]


def test_an_execution_can_be_looked_at_while_it_runs() -> None:
    sim = Simulation(TWO, {"a": reply(1, after_ms=5), "b": reply(2, after_ms=9)})
    assert sim.result().status == "running"
    sim.happen(sim.pending_at("a"))
    assert sim.result().status_of("a") == "completed"
    assert sim.cancel().events
    assert (sim.result().status, sim.pending) == ("cancelled", [])
