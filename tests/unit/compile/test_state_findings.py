"""State machines: what `plait validate` finds in them, each with its place."""

from __future__ import annotations

import pytest

from tests.unit.compile.reading import lines_of

HEAD = "name: t\ninitial: a\nstates:\n"


def found(states: str) -> list[str]:
    """Return what is wrong with these states; the first stands in line 4."""
    return lines_of(HEAD + states)


@pytest.mark.parametrize(
    ("states", "lines"),
    [
        (
            "  a: {on: {go: shiped}}\n  shipped: {final: true}",
            ["4:16: P030 there is no state 'shiped' to go to (did you mean 'shipped'?)"],
        ),
        (
            "  a: {on: {go: [{target: b, guard: '${event.x}'}, z]}}\n  b: {final: true}",
            ["4:51: P030 there is no state 'z' to go to (there are a, b)"],
        ),
        (
            "  a: {after: {5m: {target: z}}}\n  b: {final: true}",
            ["4:28: P030 there is no state 'z' to go to (there are a, b)"],
        ),
        (
            "  a: {on: {go: [{target: b}, {target: a}]}}\n  b: {final: true}",
            [
                "4:17: P034 this answers every `on go`: those behind it are never taken "
                "(give it a guard, or put it last)"
            ],
        ),
        (
            "  a: {on: {go: b}}\n  b: {final: true, on: {go: a}}",
            [
                "5:24: P033 state 'b' is final: nothing leaves it, so `on` never counts "
                "(drop `on`, or `final`)"
            ],
        ),
        (
            "  a: {on: {go: {target: b, guard: '${event.x ==}'}}}\n  b: {final: true}",
            ["E004"],
        ),
        (
            "  a: {on: {go: {target: b, guard: '${usr.response}'}}}\n  b: {final: true}",
            ["P001"],
        ),
        (
            "  a: {after: {soon: b}}\n  b: {final: true}",
            ["4:15: D103"],
        ),
        (
            "  a: {on: {go: {tarjet: b}}}\n  b: {final: true}",
            ["4:17: D101 unknown key 'tarjet' (did you mean 'target'?)"],
        ),
        (
            "  a: {onn: {go: b}}\n  b: {final: true}",
            ["4:7: D101 unknown key 'onn' (did you mean 'on'?)"],
        ),
        (
            "  a: {on: {go: {target: b, actions: [{id: x, type: htp}]}}}\n"
            "  b: {final: true}",
            ["D104"],
        ),
        (
            "  a: {on: {go: b}, entry: [{id: states, type: set, value: 1}]}\n"
            "  b: {final: true}",
            [
                "4:33: P005 'states' is the id of the state machine itself "
                "(choose another id)"
            ],
        ),
        (
            "  a: {on: {go: b}, entry: [{id: event, type: set, value: 1}]}\n"
            "  b: {final: true}",
            ["P005"],
        ),
    ],
)
def test_a_table_that_cannot_run_is_refused(states: str, lines: list[str]) -> None:
    shown = found(states)
    assert len(shown) >= len(lines), shown
    assert all(told in line for told, line in zip(lines, shown, strict=False)), shown


def test_a_state_that_nothing_reaches_and_one_that_is_never_left_are_told() -> None:
    states = "  a: {on: {go: b}}\n  b: {on: {note: {}}}\n  c: {on: {go: a}}"
    assert found(states) == [
        "5:6: warning P032 state 'b' is never left and not final: an execution waits "
        "for ever (set `final: true`, or give it a transition)",
        "6:6: warning P031 no transition leads to state 'c'",
    ]


def test_what_never_happens_leads_nowhere() -> None:
    states = (
        "  a: {on: {go: [{target: b, guard: '${ 1 > 2 }'}, c]}}\n  b: {final: true}\n"
        "  c: {on: {go: {target: b, guard: false}}}"
    )
    assert [line[:18] for line in found(states)] == [
        "5:6: warning P031 ",
        "6:6: warning P032 ",
    ]
    states = "  a: {on: {go: {actions: [{id: r, type: return, condition: '${1 > 2}'}]}}}"
    assert [line[:18] for line in found(states)] == ["4:6: warning P032 "]


AT_ONCE = "follow each other at once"


@pytest.mark.parametrize(
    ("states", "lines"),
    [
        (
            "  a: {after: {0s: b}}\n  b: {after: {PT0S: a}}",
            [
                "4:19: P021 a → b → a follow each other at once, for ever (let an `after` "
                "take some time, or guard a transition that leads out)"
            ],
        ),
        ("  a: {after: {0ms: [{target: a, guard: '${ 1 < 2 }'}]}}", ["4:21: P021 a → a"]),
        (
            "  a: {after: {0s: [{target: b, guard: '${input.x}'}, a]}}\n"
            "  b: {after: {1s: c, 0s: [{target: c, guard: false}, a]}}\n  c: {final: true}",
            ["4:54: P021 a → b → a"],
        ),
        (
            "  a: {after: {0s: b}}\n  b: {after: {0s: b}, on: {error: c}}\n"
            "  c: {final: true}",
            ["5:19: P021 b → b follow"],
        ),
        (
            "  a: {after: {0s: a}, on: {go: b}}\n  b: {final: true}",
            ["4:19: warning P021 a → a follow each other at once, until an event or"],
        ),
    ],
)
def test_states_that_follow_each_other_at_once_for_ever_are_found(
    states: str, lines: list[str]
) -> None:
    shown = [line for line in found(states) if AT_ONCE in line]
    assert len(shown) == len(lines)
    assert all(line.startswith(told) for told, line in zip(lines, shown, strict=True))


@pytest.mark.parametrize(
    "states",
    [
        "  a: {after: {0s: b}}\n  b: {after: {1ms: a}}",
        "  a: {after: {0s: [{target: b, guard: '${input.x}'}, a]}}\n  b: {final: true}",
        "  a: {after: {0s: [{target: b, guard: '${input.x}'}]}}\n  b: {after: {0s: a}}",
        "  a: {after: {0s: [{actions: [{id: x, type: set, value: 1}]}, a]}}",
        "  a: {after: {0s: a}, entry: [{id: r, type: return, condition: '${input.x}'}]}",
    ],
)
def test_states_that_something_may_lead_out_of_are_no_circle(states: str) -> None:
    assert not [line for line in found(states) if AT_ONCE in line]


def test_a_circle_that_nothing_leads_into_is_told_as_that_and_is_no_error() -> None:
    circle = "\n  b: {after: {0s: c}}\n  c: {after: {0s: b}}\n  d: {final: true}"
    assert found("  a: {on: {go: d}}" + circle) == [
        "5:6: warning P031 no transition leads to state 'b'",
        "6:6: warning P031 no transition leads to state 'c'",
    ]
    (line,) = found("  a: {on: {go: d, back: b}}" + circle)
    assert "P021 b → c → b follow each other at once, for ever" in line


def test_a_state_that_follows_itself_at_once_does_not_wait_for_ever() -> None:
    (line,) = found("  a: {after: {0s: a}}")
    assert line.startswith("4:19: P021 a → a follow each other at once, for ever")


@pytest.mark.parametrize("where", ["entry: [{}]", "exit: [{}]"])
def test_states_whose_actions_take_time_follow_each_other_after_them(where: str) -> None:
    wait = where.format("{id: w, type: wait, for: 1h}")
    (line,) = found(f"  a: {{after: {{0s: b}}}}\n  b: {{{wait}, after: {{0s: a}}}}")
    told = "P021 a → b → a follow each other as soon as their actions have ended, for ever"
    assert told in line


def test_p012_names_the_action_that_a_step_is_inside() -> None:
    lines = found(
        "  a:\n"
        "    entry: [{id: g, type: sequence, steps: [{id: x, type: set, value: 1}]}]\n"
        "    on: {go: {target: b, guard: '${x.response == 1}'}}\n"
        "  b: {final: true, entry: [{id: y, type: set, value: '${x.response}'}]}\n"
        "output: ${x.response}"
    )
    what = "P012 step 'x' is inside 'g' and cannot be seen from here"
    hint = "read 'g.response' instead"
    assert [line.partition(": ")[2] for line in lines] == [f"{what} ({hint})"] * 3


def test_a_guard_that_is_always_true_is_none() -> None:
    states = "  a: {on: {go: [{target: b, guard: '${ 1 < 2 }'}, a]}}\n  b: {final: true}"
    (line,) = found(states)
    assert line.startswith("4:17: P034 ")


def test_a_state_whose_actions_end_the_workflow_is_no_dead_end() -> None:
    states = "  a: {on: {go: {actions: [{id: done, type: return, value: 1}]}}}"
    assert found(states) == []


def test_a_machine_needs_to_know_where_it_begins() -> None:
    assert lines_of("name: t\nstates: {a: {final: true}}") == [
        "2:1: D102 missing key 'initial' (name the state in which an execution begins)"
    ]
    assert lines_of("name: t\ninitial: b\nstates: {a: {final: true}}") == [
        "2:10: P030 there is no state 'b' to begin in"
    ]


def test_a_document_has_steps_or_states() -> None:
    steps = "\nsteps: [{id: x, type: set, value: 1}]"
    assert lines_of("name: t\ninitial: a\nstates: {a: {final: true}}" + steps) == [
        "4:1: D103 a document has `steps` or `states`, not both"
    ]
    (line,) = lines_of("name: t\ninitial: a" + steps)
    assert line.startswith("2:1: D103 `initial` names the state")
    (line,) = lines_of(HEAD + "  a: {final: true}\norder: sequence")
    assert line.startswith("5:1: D103 actions run one after the other")


def test_an_express_machine_is_refused_unless_its_endpoint_can_promote_it() -> None:
    states = "  a: {final: true}\nmode: express\n"
    (line,) = found(states)
    assert "P018 the state machine waits for events from outside" in line
    assert found(states + "endpoint: {path: /x, wait: 1s}") == []


def test_every_broken_state_is_told_and_names_in_the_others_are_checked() -> None:
    states = (
        "  a: {on: 5}\n"
        "  b: {entry: [{id: x, type: set, value: '${nope}'}], on: {go: c}}\n"
        "  c: {final: perhaps}\n"
    )
    assert [line.split()[1] for line in found(states)] == ["D103", "P001", "D103"]
