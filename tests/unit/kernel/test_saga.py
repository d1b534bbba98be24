"""Sagas and compensation: what is undone, in which order, and what is told of it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from plait.kernel import BEHAVIOUR
from plait.kernel.compensation import cancelled, load_undoing, undoing_json
from plait.kernel.events import (
    CompensationEnded,
    CompensationRequested,
    ExecutionCancelled,
    ExecutionCompensated,
    ExecutionFailed,
)
from plait.testing import (
    HANG,
    Answer,
    Simulated,
    Simulation,
    earliest,
    error,
    reply,
    simulate,
)
from tests.simulation.asking import ask, plan_with

GONE = error("connector.http.400")


def done(step_id: str, **settings: Any) -> dict[str, Any]:
    """Return a step that can be undone by another, which reads it and why."""
    arg = {"was": f"${{{step_id}.response}}", "why": "${error.code}"}
    undo = ask("undo", arg, effect="keyed")
    return ask(step_id, effect="keyed", compensate=undo, **settings)


def saga(*steps: dict[str, Any], **settings: Any) -> dict[str, Any]:
    return {"id": "s", "type": "saga", "steps": list(steps), **settings}


def script(**answers: Answer) -> dict[str, Answer]:
    """Return answers by path; `__` stands for `/`."""
    return {path.replace("__", "/"): one for path, one in answers.items()}


def run(plan: Any, **answers: Any) -> Simulated:
    known = script(**answers)
    return simulate(plan, lambda call: known.get(call.step, reply(call.step)))


def called(result: Simulated) -> list[str]:
    return [call.step for call in result.calls]


def test_completed_steps_of_a_saga_are_undone_in_reverse_order() -> None:
    plan = plan_with(saga(done("a"), done("b"), ask("c")))
    result = run(plan, s__c=GONE)
    undone = ["s/b.compensate/undo", "s/a.compensate/undo"]
    assert called(result) == ["s/a", "s/b", "s/c", *undone]
    assert [call.request["arg"] for call in result.calls[3:]] == [
        {"was": "s/b", "why": "connector.http.400"},
        {"was": "s/a", "why": "connector.http.400"},
    ]
    assert result.status == "failed"
    assert result.failure is not None
    assert (result.failure.code, result.failure.step) == ("connector.http.400", "s/c")
    assert (result.failure.details or {})["compensation"] == {
        "outcome": "compensated",
        "undone": ["s/b", "s/a"],
        "not_undone": [],
    }


def test_a_saga_that_completes_undoes_nothing_and_responds_as_a_sequence() -> None:
    result = run(plan_with(saga(done("a"), done("b"))))
    assert result.output == {"s": {"a": "s/a", "b": "s/b"}}
    assert called(result) == ["s/a", "s/b"]


def test_order_of_completion_counts_not_that_of_the_document() -> None:
    group = {
        "id": "p",
        "type": "parallel",
        "branches": {"l": {"steps": [done("x")]}, "r": {"steps": [done("y")]}},
    }
    slow = reply(after_ms=9)
    result = run(plan_with(saga(group, ask("z"))), **{"s__p[l]__x": slow, "s__z": GONE})
    assert called(result)[3:] == ["s/p[l]/x.compensate/undo", "s/p[r]/y.compensate/undo"]


def test_what_undoes_a_group_stands_for_what_undoes_the_steps_in_it() -> None:
    group: dict[str, Any] = {"id": "g", "type": "sequence", "steps": [done("x"), done("y")]}
    group["compensate"] = ask("undo")
    result = run(plan_with(saga(group, ask("z"))), s__z=GONE)
    assert called(result)[3:] == ["s/g.compensate/undo"]


def test_a_group_that_failed_half_way_is_undone_step_by_step() -> None:
    group: dict[str, Any] = {"id": "g", "type": "sequence", "steps": [done("x"), ask("y")]}
    group["compensate"] = ask("undo")
    result = run(plan_with(saga(group)), s__g__y=GONE)
    assert called(result)[2:] == ["s/g/x.compensate/undo"]


def test_a_compensation_has_its_own_retry_and_its_own_key() -> None:
    first = done("a")
    first["compensate"]["retry"] = {"max_attempts": 2, "delay": "1s"}
    answers = {"s__a.compensate__undo": [error("connector.closed"), reply()]}
    known = script(**answers, s__b=GONE)  # type: ignore[arg-type]
    known |= {"s/a": reply(1)}
    result = simulate(plan_with(saga(first, ask("b"))), known)
    undoing = [call for call in result.calls if "compensate" in call.step]
    assert [call.idempotency_key for call in undoing] == [
        "simulated/s/a.compensate/undo",
        "simulated/s/a.compensate/undo",
    ]
    assert result.elapsed_ms == 1_000


def test_a_compensation_that_fails_keeps_no_other_from_being_made() -> None:
    plan = plan_with(saga(done("a"), done("b"), ask("c")), on_failure="stop")
    result = run(plan, s__c=GONE, **{"s__b.compensate__undo": error("connector.http.500")})
    assert called(result)[3:] == ["s/b.compensate/undo", "s/a.compensate/undo"]
    assert result.failure is not None
    assert result.failure.code == "saga.compensation_failed"
    details: Any = result.failure.details
    assert details["cause"]["code"] == "connector.http.400"
    assert details["compensation"]["outcome"] == "compensation_failed"
    assert details["compensation"]["undone"] == ["s/a"]
    (left,) = details["compensation"]["not_undone"]
    assert (left["step"], left["error"]["code"]) == ("s/b", "connector.http.500")


def test_after_a_saga_was_undone_its_fallback_and_on_error_answer() -> None:
    plan = plan_with(saga(done("a"), ask("b"), fallback="none"), ask("z", "${s.response}"))
    result = run(plan, s__b=GONE)
    assert called(result)[2:] == ["s/a.compensate/undo", "z"]
    assert result.status == "completed"


def test_a_saga_that_is_tried_again_makes_other_calls_than_those_undone() -> None:
    retry = {"max_attempts": 2, "delay": "1s", "on": ["any"]}
    plan = plan_with(saga(done("a"), ask("b"), retry=retry))
    known = {"s/a": reply(1), "s/b": error("connector.http.503"), "s~2/b": GONE}
    known |= {"s~2/a": reply(1), "s/a.compensate/undo": reply()}
    known |= {"s~2/a.compensate/undo": reply()}
    result = simulate(plan, known)
    keys = [call.idempotency_key for call in result.calls if call.idempotency_key]
    assert keys == [
        "simulated/s/a",
        "simulated/s/a.compensate/undo",
        "simulated/s/a~2",
        "simulated/s/a.compensate/undo~2",
    ]


def test_a_saga_whose_time_is_over_is_undone_without_a_limit() -> None:
    plan = plan_with(saga(done("a"), ask("b"), timeout="1s"))
    slow = reply(after_ms=5_000)
    result = run(plan, s__b=HANG, **{"s__a.compensate__undo": slow})
    assert result.elapsed_ms == 6_000
    assert result.failure is not None
    assert result.failure.code == "step.timeout"
    assert (result.failure.details or {})["compensation"]["undone"] == ["s/a"]  # type: ignore[index, call-overload]


def test_a_saga_that_is_cut_short_from_outside_is_undone_before_the_end() -> None:
    race = {
        "id": "p",
        "type": "parallel",
        "branches": {
            "l": {"steps": [saga(done("a"), ask("b"))]},
            "r": {"steps": [ask("c")]},
        },
    }
    fails = error("connector.http.400", after_ms=5)
    result = run(plan_with(race), **{"p[l]__s__b": HANG, "p[r]__c": fails})
    assert called(result)[-1] == "p[l]/s/a.compensate/undo"
    assert (result.status, result.failure and result.failure.step) == ("failed", "p[r]/c")


def test_on_failure_compensate_undoes_the_whole_execution() -> None:
    plan = plan_with(
        done("a"),
        saga(done("b")),
        ask("c", depends_on=["s"]),
        on_failure="compensate",
        order="sequence",
    )
    result = run(plan, c=GONE)
    assert called(result)[3:] == ["s/b.compensate/undo", "a.compensate/undo"]
    assert (result.status, result.failure and result.failure.code) == (
        "compensated",
        "connector.http.400",
    )
    assert isinstance(result.events[-1], ExecutionCompensated)


def test_where_nothing_had_completed_the_execution_has_failed() -> None:
    result = run(plan_with(done("a"), on_failure="compensate"), a=GONE)
    assert isinstance(result.events[-1], ExecutionFailed)


def test_by_a_fallback_nothing_was_done_that_the_step_could_undo() -> None:
    first = done("a", fallback="none")
    result = run(plan_with(saga(first, ask("b"))), s__a=GONE, s__b=GONE)
    assert called(result) == ["s/a", "s/b"]


@pytest.mark.parametrize("is_rollback", [True, False])
def test_what_has_ended_is_rolled_back_and_what_runs_is_cancelled(
    is_rollback: bool,
) -> None:
    plan = plan_with(done("a"), ask("b", depends_on=["a"]))
    known = {"a": reply(1), "b": reply(2), "a.compensate/undo": reply()}
    sim = Simulation(plan, known)
    sim.happen(sim.pending_at("a"))
    if is_rollback:
        sim.happen(sim.pending_at("b"))
        assert sim.state.end is not None
    other = CompensationRequested("no", not is_rollback, sim.now_ms)
    assert sim.feed(other).events == []
    sim.feed(CompensationRequested("withdrawn", is_rollback, sim.now_ms))
    result = sim.run()
    assert (result.status, called(result)[-1]) == ("compensated", "a.compensate/undo")
    assert result.failure is not None
    assert (result.failure.code, result.failure.message) == (
        "execution.cancelled",
        "withdrawn",
    )
    again = CompensationRequested("again", True, sim.now_ms)
    assert sim.feed(again).events == []


def test_a_rollback_tries_again_what_could_not_be_undone() -> None:
    plan = plan_with(done("a"), ask("b", depends_on=["a"]), on_failure="compensate")
    known = {"a": reply(1), "b": GONE, "a.compensate/undo": GONE}
    sim = Simulation(plan, {**known, "a.compensate~2/undo": reply()})
    failed = sim.run()
    assert failed.failure is not None
    assert failed.failure.code == "saga.compensation_failed"
    sim.feed(CompensationRequested("mended", True, sim.now_ms))
    result = sim.run()
    assert result.status == "compensated"
    keys = [call.idempotency_key for call in result.calls[-2:]]
    assert keys == ["simulated/a.compensate/undo"] * 2
    ended = [one for one in result.events if isinstance(one, CompensationEnded)]
    assert [one.undone for one in ended] == [[], ["a"]]


def until_undoing(plan: Any, step: str) -> Simulation:
    """Return an execution in which `step` is being undone, which hangs."""
    known = script(d=GONE, s__d=GONE) | {step: HANG}
    sim = Simulation(plan, lambda call: known.get(call.step, reply(call.step)))
    while step not in sim.state.calls:
        sim.happen(earliest(sim.pending))
    return sim


SHOP = (done("a"), done("b"), done("c"), ask("d"))
LINED = [
    {**step, "depends_on": ["abcd"[n - 1]] if n else []} for n, step in enumerate(SHOP)
]


@pytest.mark.parametrize(
    ("plan", "at"),
    [
        (plan_with(saga(*SHOP)), "s/"),
        (plan_with(*LINED, on_failure="compensate"), ""),
    ],
)
def test_a_cancel_that_stops_an_undoing_says_what_it_leaves(plan: Any, at: str) -> None:
    sim = until_undoing(plan, f"{at}b.compensate/undo")
    end = sim.cancel("enough").events[-1]
    assert isinstance(end, ExecutionCancelled)
    told: Any = end.compensation
    assert (told["outcome"], told["undone"]) == ("compensation_failed", [f"{at}c"])
    left = told["not_undone"]
    assert [(one["step"], one["error"]["code"]) for one in left] == [
        (f"{at}b", "execution.cancelled"),
        (f"{at}a", "execution.cancelled"),
    ]
    assert "is not known" in str(left[0])
    assert (cancelled(end).details or {})["compensation"] == told


def test_what_a_cancel_left_is_undone_by_a_rollback() -> None:
    plan = plan_with(*LINED, on_failure="compensate")
    sim = until_undoing(plan, "b.compensate/undo")
    sim.cancel("enough")
    sim.feed(CompensationRequested("mended", True, sim.now_ms))
    assert sim.run().status == "compensated"
    assert [one.step for one in sim.run().calls][-2:] == [
        "b.compensate~2/undo",
        "a.compensate/undo",
    ]


def test_an_execution_of_the_first_behaviour_ends_as_it_did() -> None:
    sim = until_undoing(plan_with(saga(*SHOP)), "s/b.compensate/undo")
    sim.state.started = replace(sim.state.started, behaviour=1)
    end = sim.cancel("enough").events[-1]
    assert end == ExecutionCancelled("enough", sim.now_ms)


def waits_first(*, then: dict[str, Any]) -> Any:
    """Return a plan in which `b` is undone by a wait, and then by what follows."""
    steps = [{"id": "nap", "type": "wait", "for": "1h"}, then]
    undo = {"id": "undo", "type": "sequence", "steps": steps}
    return plan_with(saga(done("a"), ask("b", compensate=undo), ask("d")))


def left_by_a_cancel(sim: Simulation) -> list[str]:
    end = sim.cancel("enough").events[-1]
    assert isinstance(end, ExecutionCancelled)
    told: Any = end.compensation
    return [f"{one['step']}: {one['error']['message']}" for one in told["not_undone"]]


def undoing_of(plan: Any, *, behaviour: int = BEHAVIOUR) -> Simulation:
    """Return an execution in which `s/b` begins to be undone."""
    sim = Simulation(plan, lambda call: GONE if call.step == "s/d" else reply(call.step))
    sim.state.started = replace(sim.state.started, behaviour=behaviour)
    while not sim.state.compensation_count:
        sim.happen(earliest(sim.pending))
    return sim


NOT_DONE = "the execution was cancelled before this was undone"


def test_a_cancel_says_of_an_undoing_without_a_call_that_it_did_not_happen() -> None:
    sim = undoing_of(waits_first(then=ask("call")))
    assert left_by_a_cancel(sim) == [f"s/b: {NOT_DONE}", f"s/a: {NOT_DONE}"]


def test_a_cancel_says_of_an_undoing_after_its_first_call_that_nobody_knows() -> None:
    sim = undoing_of(waits_first(then=ask("call")))
    while "s/b.compensate/undo/call" not in sim.state.calls:
        sim.happen(earliest(sim.pending))
    assert "is not known" in left_by_a_cancel(sim)[0]


def test_an_undoing_that_begins_after_another_has_made_no_call() -> None:
    plan = plan_with(
        saga(
            {**done("a"), "compensate": {"type": "wait", "for": "1h"}},
            done("b"),
            ask("d"),
        )
    )
    sim = undoing_of(plan)
    while "s/b" not in sim.state.undone:
        sim.happen(earliest(sim.pending))
    assert left_by_a_cancel(sim) == [f"s/a: {NOT_DONE}"]


def test_an_execution_of_the_second_behaviour_says_what_it_said() -> None:
    sim = undoing_of(waits_first(then=ask("call")), behaviour=2)
    told, other = left_by_a_cancel(sim)
    assert "is not known" in told
    assert other == f"s/a: {NOT_DONE}"


@pytest.mark.parametrize(("behaviour", "is_kept"), [(BEHAVIOUR, True), (2, False)])
def test_a_snapshot_keeps_whether_a_call_was_made(behaviour: int, is_kept: bool) -> None:
    sim = undoing_of(waits_first(then=ask("call")), behaviour=behaviour)
    assert sim.state.root is not None
    [run] = sim.state.root.runs.values()
    saved = undoing_json(run.memory)
    assert isinstance(saved, dict)
    # Versions that do not know the third behaviour go on with the second.
    assert ("is_called" in saved) is is_kept
    assert undoing_json(load_undoing(saved)) == saved
