"""What is told of a plan without running it: waits, reasons, waves, paths."""

from __future__ import annotations

from typing import Any

import orjson

from plait.compile.explain import BESIDE_COUNT_MAX, StepExplanation, explain
from plait.document.source import SourceLimits
from tests.unit.compile.plans import call, parallel, plan_of, sequence, wait


def explained(*steps: dict[str, Any], **document: Any) -> dict[str, StepExplanation]:
    return {step.path: step for step in explain(plan_of(*steps, **document)).steps}


def reasons(step: StepExplanation) -> list[tuple[str, str]]:
    return [(reason.step, reason.text()) for reason in step.waits_for]


def test_a_step_waits_for_what_its_templates_read_and_each_read_is_named() -> None:
    offers = call("offers", "user", condition="${user.response.vip && orders.attempts > 0}")
    found = explained(call("user"), call("orders"), offers)
    assert reasons(found["user"]) == []
    assert reasons(found["offers"]) == [
        ("user", "reads user.response.vip in condition"),
        ("user", "reads user.response.id in request.params.user"),
        ("orders", "reads orders.attempts in condition"),
    ]


def test_depends_on_is_the_reason_only_when_nothing_is_read() -> None:
    found = explained(call("a"), call("b"), call("c", "a", depends_on=["a", "b"]))
    assert reasons(found["c"]) == [
        ("a", "reads a.response.id in request.params.a"),
        ("b", "depends_on"),
    ]


def test_reads_in_every_kind_of_setting_are_found() -> None:
    step = call(
        "last",
        retry={"on": "${error.code == a.response.code}"},
        idempotency_key="k-${b.response}",
        fallback={"value": "${c.response}"},
        output="${last.response.x + d.response.x}",
    )
    found = explained(call("a"), call("b"), call("c"), call("d"), step)
    assert reasons(found["last"]) == [
        ("a", "reads a.response.code in retry.on"),
        ("b", "reads b.response in idempotency_key"),
        ("c", "reads c.response in fallback.value"),
        ("d", "reads d.response.x in output"),
    ]


def test_a_step_waits_for_what_steps_inside_it_read_and_they_are_named() -> None:
    steps = [call("fetch", "user"), call("shape", "fetch")]
    found = explained(call("user"), parallel("enrich", steps))
    assert reasons(found["enrich"]) == [
        ("user", "reads user.response.id in request.params.user of enrich[b0]/fetch")
    ]
    assert reasons(found["enrich[b0]/fetch"]) == []
    assert reasons(found["enrich[b0]/shape"]) == [
        ("enrich[b0]/fetch", "reads fetch.response.id in request.params.fetch")
    ]


def test_the_output_of_a_branch_and_a_fallback_step_count_as_inside() -> None:
    enrich = parallel("enrich", [call("fetch")])
    enrich["branches"]["b0"]["output"] = "${user.response}"
    extra = call("extra", fallback=call("instead", "user"))
    found = explained(call("user"), enrich, extra)
    assert reasons(found["enrich"]) == [
        ("user", "reads user.response in output of enrich[b0]")
    ]
    assert reasons(found["extra"]) == [
        ("user", "reads user.response.id in request.params.user of extra.fallback/instead")
    ]


def test_in_a_sequence_each_step_waits_for_the_one_before() -> None:
    found = explained(call("a"), call("b"), call("c", "a"), order="sequence")
    assert reasons(found["c"]) == [("b", "runs after it in the sequence")]
    assert (found["b"].wave, found["c"].wave, found["c"].beside) == (1, 2, ())


def test_steps_may_run_at_the_same_time_when_neither_waits_for_the_other() -> None:
    found = explained(call("a"), call("b"), call("c", "a"), call("d", "c", "b"))
    assert found["a"].beside == ("b",)
    assert found["b"].beside == ("a", "c")
    assert found["d"].beside == ()
    assert [found[name].wave for name in "abcd"] == [0, 0, 1, 2]


def test_steps_inside_run_beside_other_branches_and_what_is_beside_the_outer_step() -> None:
    outer = parallel("p", [call("x"), call("y", "x")], [call("z")])
    found = explained(outer, call("other"), call("after", "p"))
    assert found["p[b0]/x"].beside == ("p[b1]", "other")
    assert found["p[b1]/z"].beside == ("p[b0]", "other")
    assert found["p"].beside == ("other",)
    assert found["p[b0]/x"].depth == 1


def test_a_fallback_runs_beside_what_is_outside_but_not_beside_what_it_stands_in_for() -> (
    None
):
    outer = parallel("p", [call("x")], [call("y")], fallback=call("instead"))
    found = explained(outer, call("other"))
    assert found["p.fallback/instead"].beside == ("other",)
    assert found["p[b0]/x"].beside == ("p[b1]", "other")


def test_of_very_many_steps_at_once_some_are_named_and_all_are_counted() -> None:
    found = explained(*(call(f"s{number}") for number in range(BESIDE_COUNT_MAX + 50)))
    assert len(found["s3"].beside) == BESIDE_COUNT_MAX
    assert found["s3"].beside_count == BESIDE_COUNT_MAX + 49
    assert "s3" not in found["s3"].beside


def test_waves_hold_the_steps_that_can_start_together() -> None:
    steps = (call("a"), call("b"), call("c", "a"), call("d", "b"), call("e", "c", "d"))
    assert explain(plan_of(*steps)).waves == (("a", "b"), ("c", "d"), ("e",))


def test_the_longest_paths_by_time_and_by_steps_may_differ() -> None:
    slow = wait("slow", "9s")
    steps = (call("a", timeout="1s"), call("b", "a", timeout="1s"), slow)
    bound = explain(plan_of(*steps, call("c", "b", timeout="1s"))).bound
    assert bound.slowest == ("slow",)
    assert bound.deepest == ("a", "b", "c")
    assert bound.ms == 9_000


def test_longest_paths_lead_through_what_is_inside() -> None:
    inner = parallel("p", [wait("x", "2s")], [wait("y", "1s"), wait("z", "1s")])
    steps = (wait("a", "1s"), sequence("s", wait("t", "1s"), inner, depends_on=["a"]))
    bound = explain(plan_of(*steps)).bound
    assert bound.slowest == ("a", "s/t", "s/p[b0]/x")
    assert bound.ms == 4_000


def test_as_json_is_json_and_says_null_for_what_has_no_bound() -> None:
    unknown = wait("w", "${input.how_long}")
    found = explain(plan_of(call("a", timeout="1s"), unknown)).as_json()
    assert orjson.loads(orjson.dumps(found)) == found
    assert found["worst_case_ms"] is None
    steps: Any = found["steps"]
    assert steps[0]["worst_case_ms"] == 1_000
    assert steps[1]["worst_case_why"] == (
        "unbounded (a template gives the duration of the wait)"
    )


def test_explaining_long_chains_recurses_nowhere() -> None:
    count = 5_000
    values = [1, *(f"${{s{number}.status}}" for number in range(count - 1))]
    steps = [
        {"id": f"s{number}", "type": "set", "value": value}
        for number, value in enumerate(values)
    ]
    explanation = explain(plan_of(*steps, limits=SourceLimits(bytes_max=10**6)))
    assert len(explanation.waves) == len(explanation.bound.deepest) == count
