"""Waiting for moments and for events from outside."""

from __future__ import annotations

from typing import Any

import pytest

from plait.kernel import Limits
from plait.kernel.events import SignalReceived, SignalRefused, SignalTaken
from plait.testing import HANG, Sent, Simulation, Stuck, reply, simulate
from plait.testing.simulator import STARTED_AT_MS
from tests.simulation.asking import ask, give, plan_with


def wait(step_id: str, name: str = "e", **settings: Any) -> dict[str, Any]:
    """Return a step that waits for an event; `match` and `timeout` are the event's."""
    awaited = {key: settings.pop(key) for key in ("match", "timeout") if key in settings}
    return {"id": step_id, "type": "wait", "event": {"name": name, **awaited}, **settings}


def until(moment: str) -> dict[str, Any]:
    return {"id": "nap", "type": "wait", "until": moment}


@pytest.mark.parametrize(
    ("moment", "elapsed_ms"),
    [
        ("2026-01-01T00:00:05Z", 5_000),
        ("2026-01-01T01:00:05.25+01:00", 5_250),
        ("2025-12-31T23:59:59Z", 0),
        ("${timestamp('2026-01-01T00:00:00Z') + duration('90s')}", 90_000),
        ("${input}", 60_000),
    ],
)
def test_it_waits_until_a_moment_and_not_for_one_that_is_over(
    moment: str, elapsed_ms: int
) -> None:
    result = simulate(plan_with(until(moment)), {}, input="2026-01-01T00:01:00Z")
    assert (result.status, result.output) == ("completed", {"nap": None})
    assert result.elapsed_ms == elapsed_ms


@pytest.mark.parametrize("given", ["tomorrow", 5, None, "2026-01-01", ["x"]])
def test_a_template_that_yields_no_moment_fails_the_step(given: Any) -> None:
    result = simulate(plan_with(until("${input}")), {}, input=given)
    assert result.failure is not None
    assert (result.failure.code, result.failure.attempts) == ("wait.until", 1)


def test_a_step_responds_with_the_payload_of_the_event_it_waited_for() -> None:
    plan = plan_with(wait("a"), give("b", "${a.response.n + 1}"))
    result = simulate(plan, {}, signals=[Sent("other", {}, 5), Sent("e", {"n": 1}, 9)])
    assert result.output == {"a": {"n": 1}, "b": 2}
    assert result.elapsed_ms == 9


def test_events_that_came_early_are_taken_in_the_order_of_their_coming() -> None:
    slow = ask("slow")
    plan = plan_with(slow, wait("a"), wait("b"), order="sequence")
    sent = [Sent("e", "second", 2), Sent("e", "first", 1), Sent("e", "third", 3)]
    result = simulate(plan, {"slow": reply(after_ms=50)}, signals=sent)
    assert (result.output["a"], result.output["b"]) == ("first", "second")  # type: ignore[index, call-overload]
    assert result.elapsed_ms == 50


def test_of_steps_that_wait_for_the_same_the_one_that_waited_longest_takes_it() -> None:
    plan = plan_with(ask("slow"), wait("late", depends_on=["slow"]), wait("early"))
    sent = [Sent("e", 1, 20), Sent("e", 2, 30)]
    result = simulate(plan, {"slow": reply(after_ms=10)}, signals=sent)
    assert result.output == {"slow": None, "early": 1, "late": 2}


def test_an_event_that_does_not_match_is_kept_for_whom_it_does() -> None:
    mine = wait("a", match="${event.payload.order == input.order}")
    theirs = wait("b", match="${event.name == 'e' && event.payload.order == 8}")
    sent = [Sent("e", {"order": 8}, 1), Sent("e", {"order": 7}, 2)]
    plan = plan_with(mine, theirs, order="sequence")
    result = simulate(plan, {}, input={"order": 7}, signals=sent)
    assert result.output == {"a": {"order": 7}, "b": {"order": 8}}


@pytest.mark.parametrize("payload", [None, "text", {}, {"order": {"id": 7}}])
def test_a_payload_of_another_shape_does_not_match_and_fails_nothing(payload: Any) -> None:
    plan = plan_with(wait("a", match="${event.payload.order == 7}"))
    sent = [Sent("e", payload, 1), Sent("e", {"order": 7}, 2)]
    assert simulate(plan, {}, signals=sent).output == {"a": {"order": 7}}


def test_a_wait_that_is_over_fails_and_its_fallback_answers() -> None:
    plan = plan_with(wait("a", timeout="5s", fallback="${error.code}"))
    result = simulate(plan, {}, signals=[Sent("e", 1, 5_001)])
    assert (result.output, result.elapsed_ms) == ({"a": "wait.timeout"}, 5_000)


def test_a_wait_that_is_tried_again_takes_what_came_meanwhile() -> None:
    retry = {"max_attempts": 2, "delay": "1s"}
    plan = plan_with(wait("a", timeout="5s", retry=retry))
    result = simulate(plan, {}, signals=[Sent("e", 1, 5_500)])
    assert (result.output, result.elapsed_ms) == ({"a": 1}, 6_000)


def test_a_step_that_was_cancelled_while_it_waited_takes_nothing_any_more() -> None:
    race = {
        "id": "race",
        "type": "parallel",
        "join": "any",
        "branches": {"w": {"steps": [wait("w")]}, "c": {"steps": [ask("x")]}},
    }
    plan = plan_with(race, wait("after", depends_on=["race"]))
    result = simulate(plan, {"race[c]/x": reply(1, after_ms=5)}, signals=[Sent("e", 1, 9)])
    assert result.output == {"race": {"c": {"x": 1}}, "after": 1}


def test_a_template_that_yields_no_timeout_fails_the_step() -> None:
    result = simulate(plan_with(wait("a", timeout="${input}")), {}, input=5)
    assert result.failure is not None
    assert result.failure.code == "wait.duration"


def test_the_same_id_counts_once_also_after_it_was_taken() -> None:
    plan = plan_with(wait("a"), wait("b", depends_on=["a"]))
    sim = Simulation(plan, {})
    signal = SignalReceived("s1", "e", 1, STARTED_AT_MS + 1)
    assert [type(one) for one in sim.feed(signal).events][:2] == [
        SignalReceived,
        SignalTaken,
    ]
    assert sim.feed(signal).events == []
    assert list(sim.state.waiting) == ["b"]


def test_a_flood_is_refused_and_ends_nothing() -> None:
    plan = plan_with(ask("a"), wait("b", depends_on=["a"]))
    limits = Limits(signals_max=2, signals_bytes_max=20)
    sent = [Sent("e", 1, 1), Sent("e", "x" * 18, 2), Sent("e", 3, 3), Sent("e", 4, 4)]
    script = {"a": reply(after_ms=9)}
    result = Simulation(plan, script, signals=sent, limits=limits).run()
    refused = [one for one in result.events if isinstance(one, SignalRefused)]
    assert [(one.signal_id, one.reason) for one in refused] == [
        ("signal-2", "signal.too_many"),
        ("signal-4", "signal.too_many"),
    ]
    assert (result.status, result.output) == ("completed", {"a": None, "b": 1})


def test_what_waits_outside_counts_among_the_pending() -> None:
    limits = Limits(pending_max=1)
    result = Simulation(plan_with(wait("a"), wait("b")), {}, limits=limits).run()
    assert result.failure is not None
    assert (result.failure.code, result.failure.step) == ("limit.pending_steps", "b")


def test_a_simulation_that_nobody_tells_anything_says_so() -> None:
    with pytest.raises(Stuck, match="nothing will wake a, b: add to `signals`"):
        simulate(plan_with(wait("a"), wait("b")), {})


def test_a_cancelled_execution_waits_no_more() -> None:
    sim = Simulation(plan_with(wait("a", timeout="5s"), ask("b")), {"b": HANG})
    sim.cancel()
    assert (sim.result().status, sim.state.waiting) == ("cancelled", {})
