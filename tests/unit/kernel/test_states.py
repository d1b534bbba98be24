"""State machines: transitions, guards, actions, times, and what is refused."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from plait.compile import compile_text
from plait.kernel.events import SignalRefused, StateEntered
from plait.plan import Plan
from plait.testing import Answer, Sent, Simulated, Stuck, error, reply, simulate
from tests.simulation.asking import CATALOG, ask, give


def machine(states: dict[str, Any], **document: Any) -> Plan:
    """Return the plan of a document with these states; the first is the initial one."""
    whole = {"name": "m", "initial": next(iter(states)), "states": states, **document}
    return compile_text(orjson.dumps(whole), name="m.json", catalog=CATALOG).plan


def course(result: Simulated) -> list[str]:
    """Return the states that were entered, in their order."""
    return [one.state for one in result.events if isinstance(one, StateEntered)]


def refusals(result: Simulated) -> list[str]:
    return [one.signal_id for one in result.events if isinstance(one, SignalRefused)]


def ran(result: Simulated) -> list[str]:
    """Return the addresses of the actions that ran, in the order of their beginning."""
    return [path for path in result.steps if path != "states"]


END: dict[str, Any] = {"final": True}
NEXT: dict[str, Any] = {"a": {"on": {"go": "b"}}, "b": END}


def test_an_event_leads_to_another_state_and_a_final_one_ends_the_execution() -> None:
    result = simulate(machine(NEXT), {}, signals=[Sent("go", after_ms=5)])
    assert (result.status, result.elapsed_ms) == ("completed", 5)
    assert result.output == {"state": "b", "context": {}}
    assert course(result) == ["a", "b"]


def test_a_state_alone_is_a_transition_in_a_list_as_well() -> None:
    guarded = {"target": "b", "guard": "${event.payload == 1}"}
    plan = machine({"a": {"on": {"go": [guarded, "c"]}}, "b": END, "c": END})
    assert course(simulate(plan, {}, signals=[Sent("go", 1)])) == ["a", "b"]
    assert course(simulate(plan, {}, signals=[Sent("go", 2)])) == ["a", "c"]


@pytest.mark.parametrize(
    "circling",
    [
        {"entry": [{"id": "f", "type": "fail", "code": "my.no"}], "on": {"error": "a"}},
        {"after": {"0s": "a"}},
    ],
    ids=["error", "after"],
)
def test_a_machine_that_goes_in_circles_by_itself_fails(circling: Any) -> None:
    result = simulate(
        machine({"a": {**circling, "on": {"go": "b", **circling.get("on", {})}}, "b": END}),
        {},
    )
    assert result.failure is not None
    assert (result.failure.code, result.failure.step) == ("limit.transitions", "states[a]")
    assert result.failure.place is not None
    assert result.failure.place.pointer == "/states/a"
    assert len(course(result)) == 101


def test_a_machine_that_waits_a_time_in_each_circle_goes_on() -> None:
    tries = [reply(number) for number in range(150)]
    states = {
        "a": {"after": {"1s": "b"}},
        "b": {
            "entry": [ask("n")],
            "after": {"0s": [{"target": "c", "guard": "${n.response == 149}"}, "a"]},
        },
        "c": END,
    }
    script = {f"states[b][entry][{number}]/n": one for number, one in enumerate(tries)}
    assert simulate(machine(states), script).status == "completed"


def test_exit_actions_and_entry_run_in_this_order_and_each_has_its_address() -> None:
    states = {
        "a": {
            "entry": [give("in_a", 1)],
            "exit": [give("out_a", 2), give("out_a_too", 3)],
            "on": {"go.now": {"target": "b", "actions": [give("on_the_way", 4)]}},
        },
        "b": {"entry": [give("in_b", 5)], "final": True},
    }
    result = simulate(machine(states), {}, signals=[Sent("go.now")])
    assert ran(result) == [
        "states[a][entry][0]/in_a",
        "states[a][exit][0]/out_a",
        "states[a][exit][0]/out_a_too",
        "states[a][on_go_now][0]/on_the_way",
        "states[b][entry][0]/in_b",
    ]
    context = {"in_a": 1, "out_a": 2, "out_a_too": 3, "on_the_way": 4, "in_b": 5}
    assert result.output == {"state": "b", "context": context}


def test_of_several_transitions_the_first_is_taken_that_its_guard_lets_pass() -> None:
    ways = [
        {"target": "vip", "guard": "${event.payload.total > input.limit}"},
        {"target": "plain", "guard": "${event.payload.total > 0}"},
        {"target": "empty"},
    ]
    plan = machine({"a": {"on": {"go": ways}}, "vip": END, "plain": END, "empty": END})
    for total, ended in ((11, "vip"), (10, "plain"), (0, "empty")):
        sent = [Sent("go", {"total": total})]
        result = simulate(plan, {}, input={"limit": 10}, signals=sent)
        assert course(result)[-1] == ended


@pytest.mark.parametrize("name", ["stop", "error"])
def test_an_event_that_the_state_does_not_know_is_refused_and_changes_nothing(
    name: str,
) -> None:
    states = {"a": {"on": {"go": "b", "error": "b"}}, "b": END}
    result = simulate(machine(states), {}, signals=[Sent(name), Sent("go", after_ms=9)])
    assert refusals(result) == ["signal-1"]
    assert (course(result), result.elapsed_ms) == (["a", "b"], 9)


@pytest.mark.parametrize("payload", [{"ok": False}, {}, None, "ok"])
def test_an_event_whose_guard_is_false_or_has_no_value_is_refused(payload: Any) -> None:
    way = {"target": "b", "guard": "${event.payload.ok}"}
    sent = [Sent("go", payload), Sent("go", {"ok": True}, 9)]
    result = simulate(machine({"a": {"on": {"go": way}}, "b": END}), {}, signals=sent)
    assert (refusals(result), result.elapsed_ms) == (["signal-1"], 9)


def test_a_transition_without_a_target_runs_its_actions_and_leaves_the_times() -> None:
    states = {
        "a": {
            "entry": [give("seen", 0)],
            "exit": [give("left", True)],
            "on": {"note": {"actions": [give("seen", "${seen.response + 1}")]}},
            "after": {"1s": "b"},
        },
        "b": END,
    }
    sent = [Sent("note", after_ms=400), Sent("note", after_ms=800)]
    result = simulate(machine(states), {}, signals=sent)
    assert result.output == {"state": "b", "context": {"seen": 2, "left": True}}
    assert result.elapsed_ms == 1_000
    assert ran(result)[1:3] == ["states[a][on_note][0]/seen", "states[a][on_note][1]/seen"]


def test_a_transition_to_the_same_state_leaves_and_enters_it_and_its_times_begin_anew() -> (
    None
):
    states = {
        "a": {
            "entry": [give("ins", "${previous == null ? 1 : ins.response + 1}")],
            "exit": [give("out", "${state}")],
            "on": {"again": "a"},
            "after": {"1s": "b"},
        },
        "b": END,
    }
    result = simulate(machine(states), {}, signals=[Sent("again", after_ms=900)])
    assert result.output == {"state": "b", "context": {"ins": 2, "out": "a"}}
    assert (course(result), result.elapsed_ms) == (["a", "a", "b"], 1_900)


def test_of_several_times_the_first_that_its_guard_lets_pass_leads_on() -> None:
    states = {
        "a": {
            "after": {
                "1s": {"target": "b", "guard": "${input.hurry}"},
                "2s": {"actions": [give("told", "${event.name}")]},
                "3s": "b",
            }
        },
        "b": END,
    }
    result = simulate(machine(states), {}, input={"hurry": False})
    assert result.output == {"state": "b", "context": {"told": "after"}}
    assert result.elapsed_ms == 3_000
    assert simulate(machine(states), {}, input={"hurry": True}).elapsed_ms == 1_000


def test_a_time_is_forgotten_when_its_state_is_left() -> None:
    states = {
        "a": {"on": {"go": "b"}, "after": {"1s": "late"}},
        "b": {"after": {"5s": "c"}},
        "late": END,
        "c": END,
    }
    result = simulate(machine(states), {}, signals=[Sent("go", after_ms=10)])
    assert (course(result), result.elapsed_ms) == (["a", "b", "c"], 5_010)


def test_what_comes_while_actions_run_waits_for_their_end_times_before_events() -> None:
    states = {
        "a": {
            "on": {"note": {"actions": [ask("slow")]}, "go": "b"},
            "after": {"100ms": {"target": "c", "guard": "${input.timed}"}},
        },
        "b": {"on": {"end": "c"}},
        "c": END,
    }
    sent = [
        Sent("note"),
        Sent("go", after_ms=50),
        Sent("end", after_ms=60),
        Sent("odd", after_ms=70),
    ]
    script = {"states[a][on_note][0]/slow": reply(after_ms=1_000)}
    result = simulate(machine(states), script, input={"timed": False}, signals=sent)
    assert (course(result), result.elapsed_ms) == (["a", "b", "c"], 1_000)
    timed = simulate(machine(states), script, input={"timed": True}, signals=sent)
    assert (course(timed), timed.elapsed_ms) == (["a", "c"], 1_000)


def test_an_event_kept_for_its_turn_that_nothing_takes_then_is_refused_then() -> None:
    states = {"a": {"entry": [ask("slow")], "on": {"go": "b"}}, "b": END}
    sent = [Sent("odd", after_ms=1), Sent("go", after_ms=50)]
    script = {"states[a][entry][0]/slow": reply(after_ms=20)}
    result = simulate(machine(states), script, signals=sent)
    (refused,) = [one for one in result.events if isinstance(one, SignalRefused)]
    begun_ms = result.events[0].at_ms
    assert (refused.reason, refused.at_ms - begun_ms) == ("signal.not_taken", 20)
    assert course(result) == ["a", "b"]


def test_actions_see_the_event_both_states_and_what_ran_before_whenever_that_was() -> None:
    seen = "${[state, previous, event.name, event.payload, event.id, first.status]}"
    states = {
        "a": {"entry": [give("before", "${first.response}")], "on": {"go": "b"}},
        "b": {"entry": [give("first", seen)], "on": {"end": "c"}},
        "c": {"entry": [give("last", "${first.response[3]}")], "final": True},
    }
    sent = [Sent("go", {"n": 7}), Sent("end", after_ms=1)]
    shown = "${[before.response, last.response, first.response, state]}"
    result = simulate(machine(states, output=shown), {}, signals=sent)
    told = ["b", "a", "go", {"n": 7}, "signal-1", "skipped"]
    assert result.output == [None, {"n": 7}, told, "c"]


def failing(**more: Any) -> dict[str, Any]:
    return {"entry": [ask("charge")], "on": {"go": "b", **more}}


CHARGE = "states[a][entry][0]/charge"
REFUSED: dict[str, Answer] = {CHARGE: error("card.refused")}


def test_an_action_that_fails_for_good_fails_the_execution() -> None:
    result = simulate(machine({"a": failing(), "b": END}), REFUSED)
    assert result.failure is not None
    assert (result.failure.code, result.failure.step) == ("card.refused", CHARGE)


def test_an_action_that_fails_leads_where_its_state_says_for_error() -> None:
    ways = [
        {"target": "b", "guard": "${event.payload.code == 'other'}"},
        {"target": "c", "actions": [give("why", "${event.payload.code}")]},
    ]
    states = {"a": failing(error=ways), "b": END, "c": END}
    result = simulate(machine(states), REFUSED)
    assert result.output == {"state": "c", "context": {"why": "card.refused"}}


def test_what_fails_on_the_way_out_of_an_error_fails_the_execution() -> None:
    ways = {"target": "c", "actions": [ask("undo")]}
    states = {"a": failing(error=ways), "b": END, "c": END}
    script = {**REFUSED, "states[a][on_error][0]/undo": error("undo.failed")}
    result = simulate(machine(states), script)
    assert result.failure is not None
    assert result.failure.code == "undo.failed"


def test_an_exit_that_failed_is_not_tried_again_on_the_way_out() -> None:
    states = {
        "a": {"exit": [ask("bye")], "on": {"go": "b", "error": "c"}},
        "b": END,
        "c": END,
    }
    script = {"states[a][exit][0]/bye": error("no.bye")}
    result = simulate(machine(states), script, signals=[Sent("go")])
    assert (course(result), len(result.calls)) == (["a", "c"], 1)


def test_a_guard_of_a_time_that_has_no_value_fails_the_execution() -> None:
    way = {"target": "b", "guard": "${input.no.such.key}"}
    result = simulate(machine({"a": {"after": {"1s": way}}, "b": END}), {}, input={})
    assert result.failure is not None
    assert result.failure.code == "expression.no_such_key"
    assert result.failure.step == "states[a][after]"


def test_errors_that_lead_in_a_circle_do_not_make_a_turn_without_end() -> None:
    states = {
        "a": {
            "entry": [give("boom", "${input.none}")],
            "on": {"error": {"target": "a"}, "go": "b"},
        },
        "b": END,
    }
    result = simulate(machine(states), {}, input={})
    assert result.failure is not None
    assert result.failure.code == "limit.transitions"


def test_a_machine_that_nothing_wakes_waits() -> None:
    with pytest.raises(Stuck):
        simulate(machine(NEXT), {})


def test_a_completed_action_is_undone_when_a_later_one_fails() -> None:
    states = {
        "a": {"entry": [{**ask("reserve"), "compensate": ask("free")}], "on": {"go": "b"}},
        "b": {"entry": [ask("charge")], "final": True},
    }
    script = {
        "states[a][entry][0]/reserve": reply(),
        "states[b][entry][0]/charge": error("card.refused"),
        "states[a][entry][0]/reserve.compensate/free": reply(),
    }
    plan = machine(states, on_failure="compensate")
    result = simulate(plan, script, signals=[Sent("go")])
    assert result.calls[-1].step == "states[a][entry][0]/reserve.compensate/free"


def test_of_times_that_were_over_while_actions_ran_the_first_comes_first() -> None:
    states = {
        "a": {
            "entry": [ask("slow")],
            "after": {
                "20ms": {"actions": [give("last", "second")]},
                "10ms": {"actions": [give("last", "first")]},
                "90ms": "b",
            },
        },
        "b": END,
    }
    result = simulate(machine(states), {"states[a][entry][0]/slow": reply(after_ms=50)})
    assert ran(result)[1:] == [
        "states[a][after_10ms][0]/last",
        "states[a][after_20ms][0]/last",
    ]
