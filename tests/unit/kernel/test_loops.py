"""While and repeat: iterations, what they see of each other, what ends them."""

from __future__ import annotations

from typing import Any

import pytest

from plait.kernel import Limits, StartCall
from plait.testing import Simulated, Simulation, error, reply, simulate
from tests.simulation.asking import ask, give, plan_of, plan_with

BROKEN = "connector.http.500"


def loop(kind: str, *steps: Any, **settings: Any) -> dict[str, Any]:
    return {"id": "l", "type": kind, "steps": list(steps), **settings}


def run(step: dict[str, Any], script: Any = None, **given: Any) -> Simulated:
    answers = script if script is not None else counted
    return simulate(plan_with(step, output="${l.response}"), answers, **given)


def counted(call: StartCall) -> Any:
    """Answer with the number of the iteration, after a millisecond each."""
    return reply(int(call.step.split("[")[1].split("]")[0]), after_ms=1)


def test_while_tests_first_and_counts_from_zero() -> None:
    result = run(loop("while", ask("x"), **{"while": "${iteration < 3}"}))
    assert result.output == {
        "result": {"x": 2},
        "iterations": 3,
        "stopped_by": "condition",
    }
    assert [call.step for call in result.calls] == ["l[0]/x", "l[1]/x", "l[2]/x"]


def test_while_that_is_false_at_once_runs_nothing() -> None:
    result = run(loop("while", ask("x"), **{"while": "${input.go}"}), input={"go": False})
    assert result.output == {"result": None, "iterations": 0, "stopped_by": "condition"}
    assert result.calls == []


def test_repeat_runs_once_at_least_and_its_condition_sees_the_iteration() -> None:
    result = run(loop("repeat", ask("x"), until="${x.response >= 2}"))
    assert result.output["iterations"] == 3  # type: ignore[index,call-overload]
    once = run(loop("repeat", ask("x"), until="${x.response >= 0}"))
    assert once.output["iterations"] == 1  # type: ignore[index,call-overload]


def test_an_iteration_reads_what_the_one_before_yielded() -> None:
    step = give("sum", "${previous == null ? 1 : previous * 2}")
    result = run(
        loop("while", step, **{"while": "${iteration < 5}"}, result="${sum.response}")
    )
    assert result.output == {"result": 16, "iterations": 5, "stopped_by": "condition"}


def test_each_iteration_has_keys_of_its_own_and_its_retries_share_one() -> None:
    retry = {"max_attempts": 2, "delay": "0ms", "on": "any"}
    step = ask("x", effect="keyed", retry=retry)
    answers = [error("connector.http.503"), reply(1)]
    script = {"l[0]/x": answers, "l[1]/x": answers}
    result = run(loop("while", step, **{"while": "${iteration < 2}"}), script)
    keys = [call.idempotency_key for call in result.calls]
    assert keys == ["simulated/l[0]/x"] * 2 + ["simulated/l[1]/x"] * 2


def test_a_loop_that_is_tried_again_makes_the_same_calls_again() -> None:
    retry = {"max_attempts": 2, "delay": "0ms", "on": "any"}
    script = {"l[0]/x": reply(0), "l[1]/x": error(BROKEN), "l~2[1]/x": reply(1)}
    step = loop("while", ask("x", effect="keyed"), **{"while": "${iteration < 2}"})
    result = run({**step, "retry": retry}, script)
    assert result.status == "completed"
    keys = [call.idempotency_key for call in result.calls]
    assert keys == ["simulated/l[0]/x", "simulated/l[1]/x"] * 2


def test_break_ends_the_loop_after_the_iteration_that_it_sees() -> None:
    step = loop("while", ask("x"), **{"while": True, "break": "${x.response == 4}"})
    result = run(step)
    assert result.output == {"result": {"x": 4}, "iterations": 5, "stopped_by": "break"}


def test_continue_passes_over_iterations_which_count_all_the_same() -> None:
    step = loop("while", ask("x"), **{"while": "${iteration < 5}"})
    result = run({**step, "continue": "${iteration == 1 || iteration == 3}"})
    assert [call.step for call in result.calls] == ["l[0]/x", "l[2]/x", "l[4]/x"]
    assert result.output["iterations"] == 3  # type: ignore[index,call-overload]


@pytest.mark.parametrize("kind", ["while", "repeat"])
def test_a_loop_stops_short_of_one_iteration_too_many(kind: str) -> None:
    condition = {"while": "${iteration < input.n}", "until": "${iteration + 1 >= input.n}"}
    key = "while" if kind == "while" else "until"
    step = loop(kind, ask("x"), max_iterations=3, **{key: condition[key]})
    assert run(step, input={"n": 3}).status == "completed"
    result = run(step, input={"n": 4})
    assert result.failure is not None
    assert (result.failure.code, result.failure.step) == ("limit.iterations", "l")
    assert len(result.calls) == 3


def test_delays_stand_between_iterations_and_may_grow() -> None:
    step = loop("while", ask("x"), **{"while": "${iteration < 3}"}, delay="${iteration}s")
    assert run(step).elapsed_ms == 1 + 1_000 + 1 + 2_000 + 1


def test_a_delay_that_is_no_duration_fails_the_loop() -> None:
    step = loop("while", ask("x"), **{"while": "${iteration < 3}"}, delay="${input}")
    result = run(step, input=5)
    assert result.failure is not None
    assert result.failure.code == "wait.duration"


def test_the_timeout_of_a_loop_is_for_all_iterations_and_their_delays() -> None:
    step = loop("while", ask("x"), **{"while": "${iteration < 50}"}, delay="1s")
    result = run({**step, "timeout": "10s"})
    assert result.failure is not None
    assert (result.failure.code, result.elapsed_ms) == ("step.timeout", 10_000)


def test_a_failed_iteration_fails_the_loop_and_names_the_step() -> None:
    script = {"l[0]/x": reply(0), "l[1]/x": error(BROKEN)}
    result = run(loop("while", ask("x"), **{"while": "${iteration < 5}"}), script)
    assert result.failure is not None
    assert (result.failure.code, result.failure.step) == (BROKEN, "l[1]/x")


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        ("while", {"while": "${input.nope}"}),
        ("while", {"while": "${previous == null || previous.nope}"}),
        ("while", {"while": True, "break": "${x.response.nope}"}),
        ("while", {"while": "${iteration < 3}", "continue": "${previous.nope}"}),
        ("repeat", {"until": "${x.response.nope}"}),
        ("repeat", {"until": "${x.response == 3}", "delay": "${previous.nope}"}),
    ],
)
def test_a_condition_without_a_value_fails_the_loop(kind: str, settings: Any) -> None:
    result = run(loop(kind, ask("x"), **settings), input={})
    assert result.failure is not None
    assert result.failure.code.startswith("expression."), result.failure
    assert result.failure.step == "l"


def test_loops_inside_loops_have_each_their_own_iteration() -> None:
    inner = {
        "id": "m",
        "type": "while",
        "while": "${iteration < 2}",
        "steps": [ask("x", "${iteration}")],
    }
    result = run(loop("while", inner, **{"while": "${iteration < 2}"}))
    made = [(call.step, call.request["arg"]) for call in result.calls]
    assert made == [
        ("l[0]/m[0]/x", 0),
        ("l[0]/m[1]/x", 1),
        ("l[1]/m[0]/x", 0),
        ("l[1]/m[1]/x", 1),
    ]


def test_a_return_inside_a_loop_ends_the_workflow() -> None:
    last = {"id": "r", "type": "return", "value": "${iteration}"}
    last["condition"] = "${iteration == 3}"
    step = loop("while", last, **{"while": True})
    assert run(step).output == 3


def test_what_an_iteration_passes_over_the_loop_passes_over() -> None:
    step = loop("while", ask("x", on_error="continue"), **{"while": "${iteration < 2}"})
    result = run(step, {"l[0]/x": error(BROKEN), "l[1]/x": reply(1)})
    assert result.status == "completed"
    assert result.passed_over is not None
    assert result.passed_over.step == "l[0]/x"


def test_a_fast_loop_ends_its_turn_now_and_then() -> None:
    step = loop("while", give("x", 1), max_iterations=5_000)
    plan = plan_with({**step, "while": "${iteration < 2000}"})
    sim = Simulation(plan, {}, limits=Limits(events_max=100_000))
    longest = 0
    while sim.state.end is None:
        longest = max(longest, len(sim.happen(sim.pending[0]).events))
    assert sim.result().output["l"]["iterations"] == 2000  # type: ignore[index,call-overload]
    assert longest <= 1_003


def test_a_loop_that_only_passes_over_ends_its_turn_too() -> None:
    step = loop("while", give("x", 1), max_iterations=5_000)
    step |= {"while": "${iteration < 4000}", "continue": True}
    sim = Simulation(plan_with(step), {})
    assert sim.state.end is None
    assert sim.run().output == {
        "l": {"result": None, "iterations": 0, "stopped_by": "condition"}
    }


def test_finished_iterations_leave_nothing_behind() -> None:
    step = loop("while", ask("x"), max_iterations=1_000)
    sim = Simulation(plan_with({**step, "while": "${iteration < 900}"}), counted)
    for _ in range(800):
        sim.happen(sim.pending[0])
    state = sim.state
    assert state.root is not None
    (run_of_loop,) = state.root.runs.values()
    assert (len(run_of_loop.frames), len(state.calls), len(state.timers)) == (1, 1, 0)
    assert len(run_of_loop.frames["steps"].runs) == 1


def test_the_document_may_say_the_order_of_the_steps_of_a_loop() -> None:
    steps = [ask("x"), ask("y")]
    document = {"steps": [loop("while", *steps, **{"while": "${iteration < 1}"})]}
    document["steps"][0]["order"] = "sequence"
    result = simulate(plan_of(document), counted)
    assert result.elapsed_ms == 2


def test_what_iterations_did_is_undone_the_last_first() -> None:
    def answer(call: StartCall) -> Any:
        return error(BROKEN) if call.step == "s/l[2]/x" else reply(1)

    undo = ask("undo", "${iteration}")
    step = loop("while", ask("x", compensate=undo), **{"while": "${iteration < 5}"})
    saga = {"id": "s", "type": "saga", "steps": [step]}
    result = simulate(plan_with(saga), answer)
    assert [(call.step, call.request["arg"]) for call in result.calls[3:]] == [
        ("s/l[1]/x.compensate/undo", 1),
        ("s/l[0]/x.compensate/undo", 0),
    ]


def test_a_saga_that_is_undone_in_each_iteration_undoes_its_own() -> None:
    def answer(call: StartCall) -> Any:
        return error(BROKEN) if call.step.endswith("/y") else reply(1)

    steps = [ask("x", compensate=ask("undo")), ask("y", depends_on=["x"])]
    saga = {"id": "s", "type": "saga", "steps": steps, "on_error": "continue"}
    result = run(loop("while", saga, **{"while": "${iteration < 2}"}), answer)
    undone = [call.step for call in result.calls if "undo" in call.step]
    assert undone == [f"l[{n}]/s/x.compensate/undo" for n in (0, 1)]
