"""Goto: which step is next in a sequence, what further visits are called, what they see."""

from __future__ import annotations

from typing import Any

import pytest

from plait.kernel import Kernel
from plait.kernel.events import StepCompleted, TimerFired
from plait.plan import Plan
from plait.plan.codec import dump_plan, load_plan
from plait.testing import Simulated, Simulation, reply, simulate
from tests.simulation.asking import ask, give, plan_with

COUNT = "${(n.response == null ? 0 : int(n.response)) + 1}"


def goto(step_id: str, to: str, **settings: Any) -> dict[str, Any]:
    return {"id": step_id, "type": "goto", "to": to, **settings}


def sequence(*steps: Any, **document: Any) -> Plan:
    return plan_with(*steps, order="sequence", **document)


def run(*steps: Any, script: Any = None, **document: Any) -> Simulated:
    return simulate(sequence(*steps, **document), script or {})


def visited(result: Simulated) -> list[str]:
    return [event.step for event in result.events if isinstance(event, StepCompleted)]


def test_a_sequence_goes_back_while_the_condition_holds() -> None:
    result = run(give("n", COUNT), goto("g", "n", condition="${n.response < 3}"))
    assert result.output == {"n": 3}
    assert visited(result) == ["n", "g", "n#2", "g#2", "n#3"]
    assert result.status_of("g#3") == "skipped"


def test_what_is_jumped_over_does_not_run_and_reads_as_skipped() -> None:
    result = run(
        goto("g", "c"),
        give("b", 1),
        give("c", "${b.status}"),
        output={"c": "${c.response}", "b": "${b.response}", "g": "${g.response}"},
    )
    jump = {"to": "c", "visit": 1}
    assert result.output == {"c": "skipped", "b": None, "g": jump}
    assert visited(result) == ["g", "c"]


def test_a_step_sees_the_newest_values_also_of_what_stands_behind_it() -> None:
    result = run(
        give("a", "${n.status}-${b.status}"),
        give("n", COUNT),
        give("b", "${a.response}"),
        goto("g", "a", condition="${n.response < 2}"),
        output="${b.response}",
    )
    assert result.output == "completed-completed"


@pytest.mark.parametrize("continues", [False, True])
def test_a_step_begins_so_often_at_most(continues: bool) -> None:
    settings: Any = {"on_error": "continue"} if continues else {}
    back = goto("g", "n", max_visits=4, condition="${n.response > 0}", **settings)
    result = run(give("n", COUNT), back, give("z", "${n.response}"), output="${z.response}")
    if continues:
        assert result.output == 4
        assert result.passed_over is not None
        return
    failure = result.failure
    assert failure is not None
    assert (failure.code, failure.step) == ("limit.visits", "g#4")
    assert {"to": "n", "max_visits": 4}.items() <= (failure.details or {}).items()


def test_every_way_to_a_step_counts_for_its_visits() -> None:
    result = run(
        give("n", COUNT),
        goto("g", "n", condition="${n.response % 2 == 1}", max_visits=4),
        goto("h", "n", condition="${n.response % 2 == 0}", max_visits=4),
    )
    assert result.failure is not None
    assert result.failure.step == "h#2"
    assert [one for one in visited(result) if one[0] == "n"] == ["n", "n#2", "n#3", "n#4"]


def test_groups_of_further_visits_have_addresses_of_their_own() -> None:
    body = {"id": "p", "type": "sequence", "steps": [ask("x", effect="keyed")]}
    plan = sequence(body, goto("g", "p", condition="${p.response.x < 3}"))
    script = {"p/x": reply(1), "p#2/x": reply(2), "p#3/x": reply(3)}
    result = simulate(plan, script)
    assert [call.step for call in result.calls] == ["p/x", "p#2/x", "p#3/x"]
    keys = [str(call.idempotency_key).partition("/")[2] for call in result.calls]
    assert keys == ["p/x", "p#2/x", "p#3/x"]
    assert result.output == {"p": {"x": 3}}


def test_each_visit_is_undone_with_what_it_had_come_to() -> None:
    undo = ask("u", "${c.response}")
    charge = ask("c", compensate=undo)
    result = simulate(
        sequence(
            give("n", COUNT),
            charge,
            goto("g", "n", condition="${n.response < 2}"),
            {"id": "f", "type": "fail", "code": "custom.no"},
            on_failure="compensate",
        ),
        {"c": reply("first"), "c#2": reply("second"), **UNDOING},
    )
    assert result.status == "compensated"
    undone = {one.step: one.request["arg"] for one in result.calls if "/u" in one.step}
    assert undone == {"c#2.compensate/u": "second", "c.compensate/u": "first"}


UNDOING = {"c.compensate/u": reply(None), "c#2.compensate/u": reply(None)}


def test_a_circle_of_instant_steps_ends_its_turns() -> None:
    steps = (give("n", COUNT), goto("g", "n", condition="${n.response < 2000}"))
    steps[1]["max_visits"] = 5_000
    sim = Simulation(sequence(*steps), {})
    result = sim.run()
    assert result.output is not None
    assert sum(isinstance(event, TimerFired) for event in result.events) >= 5
    assert result.elapsed_ms == 0


def test_jumps_are_in_the_plan_and_in_its_bytes() -> None:
    plan = sequence(give("n", COUNT), goto("g", "n", condition="${n.response < 2}"))
    assert plan.scope.jumps == {"n": 0}
    assert dump_plan(load_plan(dump_plan(plan))) == dump_plan(plan)
    assert Kernel(plan).has_loops
    assert "jumps" not in dump_plan(sequence(give("n", 1))).decode()
