"""The timeline: what it tells of each step."""

from __future__ import annotations

from typing import Any

import pytest

from plait.drivers.inline import Trace
from plait.drivers.inline.trace import LINES_MAX
from plait.kernel import Limits
from plait.kernel.events import ExecutionCancelled, IncidentRaised, StepStarted
from plait.testing import Simulated, Simulation, error, reply, simulate
from tests.simulation.asking import ask, give, plan_with


def lines(result: Simulated) -> dict[str, dict[str, Any]]:
    """Return the timeline as JSON, by step."""
    trace = Trace(0.0, result.elapsed_ms / 1000, result.steps)
    return {str(line["step"]): line for line in trace.as_json()}


def test_a_step_has_its_status_and_its_moments_in_milliseconds() -> None:
    plan = plan_with(ask("a"), ask("b", "${a.response}"))
    script = {"a": reply(1, after_ms=20), "b": reply(1, after_ms=5)}
    told = lines(simulate(plan, script))
    assert told["a"] == {
        "step": "a",
        "status": "completed",
        "attempt": 1,
        "started_ms": 0.0,
        "ended_ms": 20.0,
        "attempts": [{"started_ms": 0.0, "ended_ms": 20.0}],
    }
    assert (told["b"]["started_ms"], told["b"]["ended_ms"]) == (20.0, 25.0)


def spans(told: dict[str, Any]) -> list[tuple[object, object, object]]:
    """Return when each attempt began and ended, and the code that it failed with."""
    return [
        (one["started_ms"], one["ended_ms"], one.get("error", {}).get("code"))
        for one in told["attempts"]
    ]


def test_every_attempt_has_a_line_and_the_waits_between_are_in_none() -> None:
    plan = plan_with(ask("a", retry={"delay": "100ms"}))
    script = {"a": [error("connector.closed", after_ms=10), reply(1, after_ms=5)]}
    told = lines(simulate(plan, script))["a"]
    assert spans(told) == [(0.0, 10.0, "connector.closed"), (110.0, 115.0, None)]
    assert told["attempt"] == 2
    assert "error" not in told


def test_a_failed_step_has_its_error() -> None:
    plan = plan_with(ask("a", on_error="continue"))
    told = lines(simulate(plan, {"a": error("connector.closed", after_ms=3)}))["a"]
    assert (told["status"], told["error"]["code"]) == ("failed", "connector.closed")


def test_a_step_answered_by_its_fallback_says_so_and_keeps_the_error() -> None:
    plan = plan_with(ask("a", fallback=ask("b")))
    script = {
        "a": error("connector.closed", after_ms=3),
        "a.fallback/b": reply(1, after_ms=4),
    }
    told = lines(simulate(plan, script))
    assert (told["a"]["by_fallback"], told["a"]["status"]) == (True, "completed")
    assert told["a"]["error"]["code"] == "connector.closed"
    assert spans(told["a"]) == [(0.0, 3.0, "connector.closed")]
    assert (told["a"]["ended_ms"], told["a.fallback/b"]["ended_ms"]) == (7.0, 7.0)


def test_an_attempt_cut_off_by_a_time_limit_ends_there_not_with_the_fallback() -> None:
    wait = {"id": "w", "type": "wait", "for": "9s", "timeout": "1s", "fallback": ask("b")}
    told = lines(simulate(plan_with(wait), {"w.fallback/b": reply(1, after_ms=500)}))["w"]
    assert spans(told) == [(0.0, 1_000.0, "step.timeout")]
    assert told["ended_ms"] == 1_500.0


def test_skipped_and_cancelled_steps_have_lines() -> None:
    plan = plan_with(
        give("s", 1, condition=False),
        ask("slow"),
        ask("fast"),
        {"id": "r", "type": "return", "value": "${fast.response}"},
    )
    script = {"slow": reply(1, after_ms=50), "fast": reply(1, after_ms=9)}
    told = lines(simulate(plan, script))
    assert (told["s"]["status"], told["s"]["attempts"]) == ("skipped", [])
    assert (told["slow"]["status"], told["slow"]["ended_ms"]) == ("cancelled", 9.0)


def test_a_step_whose_condition_failed_has_a_line_without_attempts() -> None:
    steps = [
        give("a", 1, condition="${input.x}", **kind)
        for kind in ({"on_error": "continue"}, {"fallback": 2})
    ]
    for step in steps:
        told = lines(Simulation(plan_with(step), {}, input={}).result())["a"]
        assert told["attempts"] == []
        assert told["error"]["code"] == "expression.no_such_key"


def test_a_step_under_way_ends_for_now_where_the_trace_ends() -> None:
    sim = Simulation(plan_with(ask("a"), ask("b")), lambda _: reply(1, after_ms=10))
    sim.happen(sim.pending[0])
    told = lines(sim.result())["b"]
    assert (told["status"], told["ended_ms"]) == ("running", 10.0)


def test_a_long_loop_leaves_its_first_iterations_in_the_timeline() -> None:
    step: dict[str, Any] = {"id": "l", "type": "while", "while": "${iteration < 12000}"}
    step |= {"max_iterations": 12_000, "steps": [give("x", 1)]}
    limits = Limits(events_max=100_000)
    result = Simulation(plan_with(step), {}, limits=limits).run()
    assert result.status == "completed"
    assert list(result.steps)[:2] == ["l", "l[0]/x"]
    assert len(result.steps) == LINES_MAX


@pytest.mark.parametrize("is_in_doubt", [True, False])
def test_nothing_is_left_open_when_the_execution_ends(is_in_doubt: bool) -> None:
    trace = Trace(0.0)
    trace.note([StepStarted("a", 0)], 0.0)
    if is_in_doubt:
        trace.note([IncidentRaised("a", 1, 2)], 0.002)
    trace.note([ExecutionCancelled("enough", 7)], 0.007)
    (told,) = trace.as_json()
    assert (told["status"], told["ended_ms"]) == ("cancelled", 7.0)
