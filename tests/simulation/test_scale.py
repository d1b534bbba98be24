"""Work is proportional to what an event touches: counted in calls, not in time."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest

from plait.kernel import Limits
from plait.plan import Plan
from plait.testing import Simulation, reply
from tests.simulation.asking import ask, give, plan_of, plan_with

MANY = Limits(events_max=1_000_000, pending_max=100_000)


def calls_during(work: Callable[[], object]) -> int:
    """Return how many Python functions of the kernel `work` calls."""
    count = 0

    def note(frame: FrameType, event: str, _: object) -> None:
        nonlocal count
        if event == "call" and "/plait/kernel/" in frame.f_code.co_filename:
            count += 1

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        work()
    finally:
        sys.setprofile(before)
    return count


def chain(length: int, **document: Any) -> Plan:
    steps = [
        give("s0", 0),
        *(give(f"s{n}", f"${{s{n - 1}.response}}") for n in range(1, length)),
    ]
    return plan_of({"steps": steps, "output": f"${{s{length - 1}.response}}", **document})


@pytest.mark.parametrize("order", ["graph", "sequence"])
def test_a_chain_of_ten_thousand_steps_takes_ten_times_as_much_as_one_of_a_thousand(
    order: str,
) -> None:
    def run(plan: Plan) -> int:
        return calls_during(lambda: Simulation(plan, {}, limits=MANY))

    small, large = run(chain(1_000, order=order)), run(chain(10_000, order=order))
    assert large < 10.5 * small


def test_a_chain_of_ten_thousand_steps_completes_without_recursion() -> None:
    result = Simulation(chain(10_000), {}, limits=MANY).result()
    assert (result.status, result.output) == ("completed", 0)


@pytest.mark.parametrize("width", [10, 1_000])
def test_one_completion_touches_its_dependents_only(width: int) -> None:
    steps = [ask(f"s{n}") for n in range(width)]
    plan = plan_with(*steps, give("after", "${s0.response}"))
    sim = Simulation(plan, lambda _: reply(1), limits=MANY)
    first = sim.pending_at("s0")
    # The one that was answered, the one behind it, and nothing else.
    assert calls_during(lambda: sim.happen(first)) == calls_for_two()


def calls_for_two() -> int:
    plan = plan_with(ask("s0"), ask("s1"), give("after", "${s0.response}"))
    sim = Simulation(plan, lambda _: reply(1))
    return calls_during(lambda: sim.happen(sim.pending_at("s0")))


@pytest.mark.parametrize("kind", ["while", "repeat", "foreach"])
@pytest.mark.parametrize("is_undone", [False, True])
def test_an_iteration_costs_the_same_however_many_came_before(
    kind: str, *, is_undone: bool
) -> None:
    steps = [give("x", 1), give("y", 2)]
    body: dict[str, Any] = {"id": "g", "type": "sequence", "steps": steps}
    if is_undone:
        body["compensate"] = give("undo", 1)
    settings: dict[str, dict[str, Any]] = {
        "while": {"while": "${iteration < input.n}", "max_iterations": 10_000},
        "repeat": {"until": "${iteration + 1 == input.n}", "max_iterations": 10_000},
        "foreach": {"items": "${input.items}"},
    }
    plan = plan_with({"id": "l", "type": kind, "steps": [body], **settings[kind]})

    def run(count: int) -> int:
        given: Any = {"n": count, "items": list(range(count))}
        return calls_during(lambda: Simulation(plan, {}, input=given, limits=MANY).run())

    assert run(2_000) < 10.5 * run(200)


def test_a_join_of_ten_thousand_is_looked_at_once_per_branch() -> None:
    def run(width: int) -> int:
        steps = [give(f"s{n}", n) for n in range(width)]
        plan = plan_with(*steps, give("join", 1, depends_on=[s["id"] for s in steps]))
        return calls_during(lambda: Simulation(plan, {}, limits=MANY))

    assert run(5_000) < 10.5 * run(500)


def test_branches_nested_as_deep_as_a_text_may_be_run() -> None:
    steps: list[Any] = [give("x", "${input}")]
    for depth in range(13):
        steps = [
            {"id": f"p{depth}", "type": "parallel", "branches": {"b": {"steps": steps}}}
        ]
    result = Simulation(plan_of({"steps": steps}), {}, input=7).result()
    assert result.status == "completed"
