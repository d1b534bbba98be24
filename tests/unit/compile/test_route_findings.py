"""What is found wrong with routes, each at its place."""

from __future__ import annotations

import pytest

from plait.compile.explain import explain
from tests.simulation.asking import ask, plan_with
from tests.unit.compile.reading import lines_of_steps

STEPS = "steps: [{id: v, type: set, value: 1}]"
SOME = 'when: "${v.response == 1}"'


def lines(handlers: str, more: str = "") -> list[str]:
    step = f"{{id: r, type: route, handlers: {{{handlers}}}{more}}}"
    return lines_of_steps(f"- {step}")


@pytest.mark.parametrize(
    ("following", "more", "expected"),
    [
        ("[{to: b}]", "", ""),
        (f"[{{to: b, {SOME}}}, {{to: a, {SOME}}}]", ", start: b", "P031 no way leads to"),
        ("[{to: c}]", "", "no handler is called 'c'"),
        ("[{to: b}]", ", start: z", "no handler is called 'z'"),
        (f"[{{to: b}}, {{to: a, {SOME}}}]", "", "transitions behind this one are never"),
        ('[{to: b, when: "${ 1 < 2 }"}, {to: a}]', "", "transitions behind this one are"),
        ("[{to: a}]", "", "a → a hand over to each other for ever"),
        ('[{to: a, when: "${1 < 2}"}]', "", "a → a hand over to each other for ever"),
        ("[{to: b, when: false}, {to: a}]", "", "P021 a → a hand over"),
        (f"[{{{SOME}}}]", "", "missing key 'to'"),
        ("[{to: b, when: 5}]", "", "a condition is true, false or one expression"),
        ('[{to: b, when: "${w.response}"}]', "", "P001 'w' is neither a step"),
        ("[{to: b}]", ", max_hops: 0", "'max_hops': should be"),
        ("[{to: b}]", ", max_hops: 101", "'max_hops': should be"),
    ],
)
def test_transitions(following: str, more: str, expected: str) -> None:
    found = lines(f"a: {{{STEPS}, next: {following}}}, b: {{{STEPS}}}", more)
    assert bool(found) == bool(expected), found
    assert all(expected in line for line in found)


def test_handlers_that_surely_hand_over_to_each_other_never_end() -> None:
    found = lines(f"a: {{{STEPS}, next: [{{to: b}}]}}, b: {{{STEPS}, next: [{{to: a}}]}}")
    assert len(found) == 1
    assert "P021" in found[0]
    assert "a → b → a hand over to each other for ever" in found[0]


def test_handlers_that_end_the_workflow_hand_over_to_nobody() -> None:
    done = 'steps: [{id: q, type: return, condition: "${iteration > 3}"}]'
    assert lines(f"a: {{{done}, next: [{{to: a}}]}}") == []
    never = done.replace("iteration", "1")
    assert "P021" in lines(f"a: {{{never}, next: [{{to: a}}]}}")[0]


def test_a_handler_to_whom_nobody_hands_over_is_told() -> None:
    following = f"[{{to: c, when: false}}, {{to: b, {SOME}}}]"
    rest = f"b: {{{STEPS}}}, c: {{{STEPS}, next: [{{to: d}}]}}, d: {{{STEPS}}}"
    assert [
        line.partition(": ")[2]
        for line in lines(f"a: {{{STEPS}, next: {following}}}, {rest}")
    ] == [
        "warning P031 no way leads to handler 'c'",
        "warning P031 no way leads to handler 'd'",
    ]


def test_handlers_in_a_circle_to_which_nobody_hands_over_are_told_and_no_error() -> None:
    circle = f"b: {{{STEPS}, next: [{{to: c}}]}}, c: {{{STEPS}, next: [{{to: b}}]}}"
    found = lines(f"a: {{{STEPS}, next: [{{to: b, when: false}}]}}, {circle}")
    assert [line.partition(": ")[2] for line in found] == [
        "warning P031 no way leads to handler 'b'",
        "warning P031 no way leads to handler 'c'",
    ]
    (line,) = lines(f"a: {{{STEPS}, next: [{{to: b, {SOME}}}]}}, {circle}")
    assert "P021 b → c → b hand over to each other for ever" in line


def test_handlers_do_not_see_each_others_steps() -> None:
    read = 'steps: [{id: w, type: set, value: "${v.response}"}]'
    found = lines(f"a: {{{STEPS}, next: [{{to: b}}]}}, b: {{{read}}}")
    assert "P012" in found[0]


def test_the_worst_case_is_of_all_hops() -> None:
    handlers = {"a": {"steps": [ask("x", attempt_timeout="1s")]}}
    plan = plan_with({"id": "r", "type": "route", "handlers": handlers, "max_hops": 2})
    bound = explain(plan).bound
    assert (bound.ms, bound.calls) == (3_000, 3)


def test_a_mistake_in_a_route_is_the_only_one_that_is_found() -> None:
    reads = "steps: [{id: v, type: set, value: '${previous} ${iteration}'}]"
    found = lines(f"a: {{{reads}}}", ", max_hop: 3")
    assert len(found) == 1
    assert "D101 unknown key 'max_hop'" in found[0]
