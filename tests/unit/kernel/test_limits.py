"""Limits of one execution: at the limit, and one past it."""

from __future__ import annotations

from typing import Any

import pytest

from plait.kernel import Limits
from plait.testing import Simulated, Simulation, reply
from tests.simulation.asking import ask, give, plan_with


def run(*steps: Any, limits: Limits, **document: Any) -> Simulated:
    return Simulation(
        plan_with(*steps, **document), lambda _: reply(1), limits=limits
    ).run()


@pytest.mark.parametrize(("events_max", "status"), [(8, "completed"), (7, "failed")])
def test_a_history_at_the_limit_goes_on_and_one_event_more_fails(
    events_max: int, status: str
) -> None:
    # Started, three events each for a and b, c's start: 8 while it still runs.
    steps = [ask("a"), ask("b", "${a.response}"), ask("c", "${b.response}")]
    result = run(*steps, limits=Limits(events_max=events_max))
    assert result.status == status
    if result.failure is not None:
        assert result.failure.code == "limit.events"
        assert f"{events_max} events" in result.failure.message


def test_a_history_over_its_limit_leaves_nothing_outstanding() -> None:
    sim = Simulation(
        plan_with(ask("a"), ask("b"), timeout="1h"),
        lambda _: reply(1),
        limits=Limits(events_max=2),
    )
    assert (sim.result().status, sim.pending) == ("failed", [])


def test_as_many_calls_as_the_limit_run_at_once_and_one_more_fails() -> None:
    steps = [ask(f"s{n}") for n in range(5)]
    assert run(*steps, limits=Limits(pending_max=5)).status == "completed"
    crowded = run(*steps, limits=Limits(pending_max=4))
    assert crowded.failure is not None
    assert (crowded.failure.code, crowded.failure.step) == ("limit.pending_steps", "s4")


def test_as_many_waits_as_the_limit_run_at_once_and_one_more_fails() -> None:
    steps: list[dict[str, Any]] = [
        {"id": f"s{n}", "type": "wait", "for": "1s"} for n in range(3)
    ]
    assert run(*steps, limits=Limits(pending_max=3)).status == "completed"
    assert run(*steps, limits=Limits(pending_max=2)).status == "failed"


def test_time_limits_are_no_pending_steps() -> None:
    steps: list[dict[str, Any]] = [
        {"id": f"s{n}", "type": "wait", "for": "1s", "timeout": "2s"} for n in range(3)
    ]
    result = run(*steps, limits=Limits(pending_max=3), timeout="1h")
    assert result.status == "completed"


def test_a_crowded_step_can_be_caught() -> None:
    steps = [ask("a"), ask("b", fallback=0)]
    assert run(*steps, limits=Limits(pending_max=1)).output == {"a": 1, "b": 0}


def test_a_freed_place_can_be_taken() -> None:
    steps = [ask("a"), ask("b", "${a.response}")]
    assert run(*steps, limits=Limits(pending_max=1)).status == "completed"


@pytest.mark.parametrize("count", [1_000, 1_001])
def test_a_thousand_steps_may_be_pending_by_default(count: int) -> None:
    plan = plan_with(*(ask(f"s{n}") for n in range(count)))
    sim = Simulation(plan, lambda _: reply(1))
    assert (sim.state.end is None) is (count == 1_000)


def test_the_default_limit_of_the_history_is_fifty_thousand_events() -> None:
    assert Limits().events_max == 50_000


def test_steps_that_never_wait_count_for_the_history_only() -> None:
    steps = [give(f"s{n}", n) for n in range(20)]
    assert run(*steps, limits=Limits(pending_max=1)).status == "completed"
