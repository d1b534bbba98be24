"""Rounds: what a group runs again, it runs under new addresses and with the same keys."""

from __future__ import annotations

from typing import Any

from plait.kernel.events import CallCompleted, RetryStarted, StepStarted
from plait.testing import HANG, Simulation, error, reply, simulate
from tests.simulation.asking import ask, give, plan_with

BROKEN = error("connector.http.503")
TWICE = {"max_attempts": 2, "delay": "1s"}


def fan(*left: Any, **settings: Any) -> dict[str, Any]:
    """Return a group whose right branch fails the first time."""
    branches = {"left": {"steps": [*left]}, "right": {"steps": [ask("shaky")]}}
    settings = {"retry": TWICE, **settings}
    return {"id": "fan", "type": "parallel", "branches": branches, **settings}


SCRIPT = {
    "fan[left]/charge": reply("first"),
    "fan[right]/shaky": error("connector.http.503", after_ms=5),
    "fan~2[left]/charge": reply("second"),
    "fan~2[right]/shaky": reply(1),
}


def test_the_first_round_has_plain_paths_and_the_second_says_so() -> None:
    result = simulate(plan_with(fan(ask("charge"))), SCRIPT)
    paths = ["fan[left]/charge", "fan[right]/shaky"]
    assert [call.step for call in result.calls] == [
        *paths,
        "fan~2[left]/charge",
        "fan~2[right]/shaky",
    ]
    assert [call.attempt for call in result.calls] == [1, 1, 1, 1]
    assert result.output == {"fan": {"left": {"charge": "second"}, "right": {"shaky": 1}}}


def test_the_events_of_a_round_carry_its_paths() -> None:
    result = simulate(plan_with(fan(ask("charge"))), SCRIPT)
    begun = [e for e in result.events if isinstance(e, StepStarted | RetryStarted)]
    assert [event.step for event in begun] == [
        "fan",
        "fan[left]/charge",
        "fan[right]/shaky",
        "fan",
        "fan~2[left]/charge",
        "fan~2[right]/shaky",
    ]
    assert result.status_of("fan[right]/shaky") == "failed"
    assert result.status_of("fan~2[right]/shaky") == "completed"


def test_a_keyed_call_has_the_same_key_in_every_round() -> None:
    result = simulate(plan_with(fan(ask("charge", effect="keyed"))), SCRIPT)
    charges = [call for call in result.calls if call.step.endswith("charge")]
    keys = {call.idempotency_key for call in charges}
    assert (len(charges), keys) == (2, {"simulated/fan[left]/charge"})


def test_a_late_outcome_of_the_first_round_is_not_the_second_rounds() -> None:
    script = {**SCRIPT, "fan[left]/charge": HANG, "fan~2[left]/charge": HANG}
    sim = Simulation(plan_with(fan(ask("charge"))), script)
    sim.happen(sim.pending_at("fan[right]/shaky"))
    late = CallCompleted("fan[left]/charge", 1, "late", {}, sim.now_ms)
    assert sim.feed(late).events == []
    sim.happen(sim.pending_at("fan"))
    assert sim.feed(late).events == []
    assert "fan~2[left]/charge" in sim.state.calls


def test_rounds_of_groups_inside_each_other_are_counted_each() -> None:
    charge = ask("x", effect="keyed")
    inner = {"id": "low", "type": "sequence", "retry": TWICE, "steps": [charge]}
    outer = {"id": "out", "type": "sequence", "retry": TWICE, "steps": [inner]}
    result = simulate(plan_with(outer), lambda _: BROKEN)
    assert [call.step for call in result.calls] == [
        "out/low/x",
        "out/low~2/x",
        "out~2/low/x",
        "out~2/low~2/x",
    ]
    assert {call.idempotency_key for call in result.calls} == {"simulated/out/low/x"}


def test_a_step_that_is_no_group_keeps_its_path_and_counts_attempts() -> None:
    result = simulate(plan_with(ask("a", retry=TWICE)), {"a": [BROKEN, reply(1)]})
    assert [(call.step, call.attempt) for call in result.calls] == [("a", 1), ("a", 2)]


def test_a_fallback_of_a_retried_group_is_in_no_round() -> None:
    group = fan(give("x", 1), fallback=ask("mirror", retry=TWICE))
    script: Any = {"fan[right]/shaky": BROKEN, "fan.fallback/mirror": [BROKEN, reply(2)]}
    result = simulate(plan_with(group), script)
    assert result.output == {"fan": 2}
    assert [call.step for call in result.calls][-2:] == ["fan.fallback/mirror"] * 2


def test_a_fallback_inside_a_retried_group_is_in_its_round() -> None:
    charge = ask("charge", fallback=ask("card", effect="keyed"))
    script = {**SCRIPT, "fan[left]/charge": BROKEN, "fan~2[left]/charge": BROKEN}
    script["fan[left]/charge.fallback/card"] = reply("card")
    result = simulate(plan_with(fan(charge)), script)
    cards = [call for call in result.calls if call.step.endswith("card")]
    assert [call.step for call in cards] == [
        "fan[left]/charge.fallback/card",
        "fan~2[left]/charge.fallback/card",
    ]
    assert len({call.idempotency_key for call in cards}) == 1


def test_a_script_may_speak_of_all_rounds_or_of_one() -> None:
    script: Any = {"fan[right]/shaky": BROKEN, "fan[left]/charge": reply(1)}
    assert simulate(plan_with(fan(ask("charge"))), script).status == "failed"
    script["fan~2[right]/shaky"] = reply(2)
    assert simulate(plan_with(fan(ask("charge"))), script).status == "completed"
