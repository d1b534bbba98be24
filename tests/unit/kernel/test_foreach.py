"""Foreach: items side by side, in batches, tried again, counted; results in item order."""

from __future__ import annotations

from typing import Any

import pytest

from plait.kernel import Limits, StartCall
from plait.testing import Answer, Simulated, Simulation, error, reply, simulate
from tests.simulation.asking import ask, give, plan_with

BROKEN = "connector.http.500"
BUSY = "connector.http.503"


def fan(*steps: Any, **settings: Any) -> dict[str, Any]:
    return {"id": "f", "type": "foreach", "steps": list(steps), **settings}


def run(step: dict[str, Any], script: Any = None, given: Any = None) -> Simulated:
    answers = script if script is not None else slower_first
    return simulate(plan_with(step, output="${f.response}"), answers, input=given)


def number(call: StartCall) -> int:
    return int(call.step.split("[")[1].split("]")[0])


def slower_first(call: StartCall) -> Answer:
    """Answer with the item; the first items take longest."""
    arg: Any = call.request["arg"]
    return reply(arg, after_ms=100 - number(call))


def failing(*numbers: int, code: str = BROKEN) -> Any:
    def answer(call: StartCall) -> Answer:
        return error(code) if number(call) in numbers else slower_first(call)

    return answer


EACH = ask("x", "${item}")


def test_results_stand_in_the_order_of_the_items_whoever_ends_first() -> None:
    result = run(fan(EACH, items="${input}", result="${x.response}"), given=["a", "b", "c"])
    assert result.output == {
        "results": ["a", "b", "c"],
        "failures": [],
        "total": 3,
        "success_count": 3,
        "failure_count": 0,
        "skipped_count": 0,
        "success_rate": 1.0,
    }
    assert result.elapsed_ms == 100


def test_an_item_yields_its_steps_responses_unless_told_otherwise() -> None:
    result = run(fan(EACH, give("y", "${index}"), items=["a"]))
    assert result.output["results"] == [{"x": "a", "y": 0}]  # type: ignore[index,call-overload]


def test_no_items_are_no_failure() -> None:
    result = run(fan(EACH, items=[]))
    assert result.status == "completed"
    assert (result.output["total"], result.output["success_rate"]) == (0, 1.0)  # type: ignore[index,call-overload]


@pytest.mark.parametrize("items", [None, 3, "text", {"a": 1}, True])
def test_items_that_are_no_list_fail_the_step(items: Any) -> None:
    result = run(fan(EACH, items="${input}"), given=items)
    assert result.failure is not None
    assert (result.failure.code, result.failure.step) == ("foreach.items", "f")


def test_never_more_items_are_under_way_than_may_be() -> None:
    plan = plan_with(fan(EACH, items="${input}", max_concurrency=3))
    sim = Simulation(plan, slower_first, input=list(range(20)))
    most = 0
    while sim.state.end is None:
        most = max(most, len(sim.state.calls))
        sim.happen(min(sim.pending, key=lambda one: one.due_at_ms))
    assert most == 3


def test_an_item_ends_and_the_next_begins_at_once() -> None:
    step = fan(EACH, items=[0, 1, 2], max_concurrency=2)
    begun = [call.step for call in run(step).calls]
    assert begun == ["f[0]/x", "f[1]/x", "f[2]/x"]


def test_batches_follow_each_other_with_a_pause_between() -> None:
    plain = ask("x", "${item}")
    step = fan(plain, items=list(range(5)), batch_size=2, batch_delay="1s")
    result = run(step, lambda call: reply(1, after_ms=10))
    assert result.elapsed_ms == 10 + 1_000 + 10 + 1_000 + 10
    assert run(fan(plain, items=list(range(5)), batch_size=2)).status == "completed"


def test_a_failed_item_fails_the_step_and_cancels_the_others() -> None:
    result = run(fan(EACH, items=[1, 2, 3]), failing(1))
    assert result.failure is not None
    assert (result.failure.code, result.failure.step) == (BROKEN, "f[1]/x")
    assert result.status_of("f[0]/x") == "cancelled"


def test_failed_items_can_stand_beside_the_results() -> None:
    step = fan(EACH, items=[1, 2, 3, 4], on_item_error="continue", result="${x.response}")
    result = run(step, failing(2, 0))
    output: Any = result.output
    assert output["results"] == [None, 2, None, 4]
    assert [(one["index"], one["item"]) for one in output["failures"]] == [(0, 1), (2, 3)]
    assert [one["error"]["code"] for one in output["failures"]] == [BROKEN] * 2
    assert (output["success_count"], output["failure_count"]) == (2, 2)
    assert output["success_rate"] == 0.5
    assert result.passed_over is not None


def test_an_item_is_tried_again_with_the_same_keys() -> None:
    def answer(call: StartCall) -> Answer:
        return error(BUSY) if call.step == "f[1]/x" else reply(1)

    retry = {"max_attempts": 2, "delay": "1s"}
    step = fan(ask("x", "${item}", effect="keyed"), items=[5, 6], item_retry=retry)
    result = run(step, answer)
    assert (result.status, result.elapsed_ms) == ("completed", 1_000)
    assert [(call.step, call.idempotency_key) for call in result.calls] == [
        ("f[0]/x", "simulated/f[0]/x"),
        ("f[1]/x", "simulated/f[1]/x"),
        ("f[1]~2/x", "simulated/f[1]/x"),
    ]


def test_an_item_is_tried_as_often_as_its_retry_says() -> None:
    retry = {"max_attempts": 3, "delay": "1s"}
    step = fan(EACH, items=[5], item_retry=retry, on_item_error="continue")
    result = run(step, lambda _: error(BUSY))
    assert [call.step for call in result.calls] == ["f[0]/x", "f[0]~2/x", "f[0]~3/x"]
    assert result.elapsed_ms == 2_000


@pytest.mark.parametrize(
    ("on", "tries"),
    [
        (["404"], 1),
        (["503"], 2),
        (f"${{error.code == '{BUSY}'}}", 2),
        ("${item == 5}", 2),
        ("${item == 6}", 1),
    ],
)
def test_which_items_are_tried_again_a_retry_can_say(on: Any, tries: int) -> None:
    retry = {"max_attempts": 2, "delay": "0ms", "on": on}
    result = run(fan(EACH, items=[5], item_retry=retry), lambda _: error(BUSY))
    assert len(result.calls) == tries


def test_an_item_that_takes_too_long_fails_alone() -> None:
    def answer(call: StartCall) -> Answer:
        return reply(1, after_ms=20_000 if number(call) == 1 else 10)

    step = fan(EACH, items=[1, 2, 3], item_timeout="5s", on_item_error="continue")
    result = run(step, answer)
    output: Any = result.output
    assert result.elapsed_ms == 5_000
    assert [one["error"]["code"] for one in output["failures"]] == ["step.timeout"]
    assert result.status_of("f[1]/x") == "cancelled"


def test_the_time_of_an_item_is_for_its_attempts_and_the_waits_between() -> None:
    retry = {"max_attempts": 9, "delay": "2s"}
    step = fan(EACH, items=[1], item_timeout="5s", item_retry=retry)
    result = run(step, lambda _: error(BUSY))
    assert len(result.calls) == 3
    assert result.elapsed_ms == 4_000


def test_time_runs_out_while_an_item_waits_to_be_tried_again() -> None:
    retry = {"max_attempts": 9, "delay": "2s"}
    step = fan(EACH, items=[1], item_timeout="5s", item_retry=retry)
    result = run(step, lambda call: error(BUSY, after_ms=800))
    assert result.failure is not None
    assert result.failure.code in (BUSY, "step.timeout")


def test_break_lets_no_further_item_begin() -> None:
    step = fan(EACH, items=list(range(9)), max_concurrency=1)
    result = run({**step, "break": "${x.response == 3}"})
    output: Any = result.output
    assert len(result.calls) == 4
    assert (output["success_count"], output["skipped_count"]) == (4, 5)
    assert output["success_rate"] == 1.0


def test_continue_passes_over_items() -> None:
    step = fan(EACH, items=list(range(5)), result="${index}")
    result = run({**step, "continue": "${item % 2 == 1}"})
    output: Any = result.output
    assert output["results"] == [0, None, 2, None, 4]
    assert output["skipped_count"] == 2


@pytest.mark.parametrize("key", ["break", "continue", "batch_delay"])
def test_a_template_without_a_value_fails_the_step(key: str) -> None:
    step = fan(EACH, items=[1, 2], batch_size=1)
    result = run({**step, key: "${input.nope}"}, given={})
    assert result.failure is not None
    assert result.failure.step == "f"


def test_items_inside_items_see_their_own() -> None:
    inner = {
        "id": "g",
        "type": "foreach",
        "items": "${item}",
        "steps": [give("y", "${item * 10 + index}")],
        "result": "${y.response}",
    }
    step = fan(inner, items=[[1, 2], [3]], result="${g.response.results}")
    output: Any = run(step).output
    assert output["results"] == [[10, 21], [30]]


def test_a_step_that_is_tried_again_begins_with_the_first_item() -> None:
    script = {"f[0]/x": reply(0), "f[1]/x": error(BROKEN), "f~2[1]/x": reply(1)}
    retry = {"max_attempts": 2, "delay": "0ms", "on": "any"}
    result = run(fan(EACH, items=[0, 1], retry=retry), script)
    assert result.status == "completed"
    assert [call.step for call in result.calls][2:] == ["f~2[0]/x", "f~2[1]/x"]


def test_a_hundred_thousand_items_take_the_room_of_those_under_way() -> None:
    step = fan(give("x", "${item}"), items="${input}", result="${x.response}")
    limits = Limits(events_max=1_000_000)
    sim = Simulation(plan_with(step), {}, input=list(range(100_000)), limits=limits)
    frames = longest = 0
    while sim.state.end is None:
        root = sim.state.root
        assert root is not None
        frames = max(frames, len(root.runs[0].frames))
        longest = max(longest, len(sim.happen(sim.pending[0]).events))
    output: Any = sim.result().output
    assert output["f"]["success_count"] == 100_000
    assert frames <= 10
    assert longest <= 1_100


def test_as_many_calls_are_under_way_as_an_execution_may_have() -> None:
    step = fan(EACH, items="${input}", max_concurrency=1_000)
    result = run(step, lambda _: reply(1, after_ms=1), list(range(3_000)))
    assert result.status == "completed"
