"""Forks: what they keep, what they do again, and what they refuse."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from plait.cli.table import print_executions
from plait.drivers.journal import Start
from plait.model.failure import Failure
from plait.operations import Fork, fork
from plait.operations.forking import UnfitDocument
from plait.plan import Plan
from plait.ports.calls import Call, CallHandle, Done
from plait.ports.journal import Search
from plait.stores.memory import MemoryStore
from tests.simulation.asking import ask, give, plan_with
from tests.unit.stores.histories import Answers, damages, hand, running

SIDE_BY_SIDE = plan_with(ask("book"), ask("mail"), ask("slow"))
EACH: Any = {
    "id": "fan",
    "type": "foreach",
    "items": [0, 1, 2, 3],
    "max_concurrency": 4,
    "steps": [ask("pre"), {**ask("charge"), "depends_on": ["pre"]}],
}


class Refusing(Answers):
    """Refuses the call of one step, and answers the others at once."""

    refused = "mail"

    def start(self, call: Call, done: Done) -> CallHandle:
        if call.step != self.refused:
            return super().start(call, done)
        self.made.append(call)
        loop = asyncio.get_running_loop()
        return loop.call_later(0, done, Failure("connector.http.500", "no"))


async def failed(plan: Plan, step: str) -> MemoryStore:
    """Return a store with an execution `x` that `step` failed."""
    store, calls = MemoryStore(), Refusing()
    calls.refused = step
    async with running(store, calls) as driver:
        await driver.start(plan, Start("x", None))
        assert (await driver.ended("x")).standing.status == "failed"
    return store


@pytest.mark.parametrize(
    ("plan", "bad", "step"),
    [(SIDE_BY_SIDE, "mail", "book"), (plan_with(EACH), "fan[3]/charge", "fan[2]/pre")],
)
async def test_a_fork_does_again_what_failed_beside_its_step(
    plan: Plan, bad: str, step: str
) -> None:
    store, calls = await failed(plan, bad), Answers()
    made = await fork(hand(store), Fork("x", step), "y")
    assert made.standing.status == "running"
    async with running(store, calls) as driver:
        assert (await driver.ended("y")).standing.status == "completed"
    assert {step, bad} <= {one.step for one in calls.made}
    assert await damages(store) == []


async def calls_of_fork(
    old: Plan, new: Plan | None, step: str, given: Any = None
) -> tuple[list[Any], Any]:
    """Return what a fork of an execution of `old` calls again, with what, and how it ends.

    The execution runs with `{"is": True}`; the fork with `given`, if there is any.
    """
    store, calls = MemoryStore(), Answers()
    async with running(store, Answers()) as driver:
        await driver.start(old, Start("x", {"is": True}))
        assert (await driver.ended("x")).standing.status == "completed"
    wanted = Fork("x", step, given, given is not None, new)
    await fork(hand(store), wanted, "y")
    async with running(store, calls) as driver:
        status = (await driver.ended("y")).standing.status
    assert await damages(store) == []
    return [(one.step, one.request["arg"]) for one in calls.made], status


def sequence(*steps: Any, **settings: Any) -> Any:
    return {"id": "row", "type": "sequence", "steps": [*steps], **settings}


def priced(value: int) -> list[Any]:
    """Return steps of which some read the price, directly or not."""
    return [
        ask("beside"),
        give("price", value),
        ask("charge", "${price.response}"),
        ask("mail", "${charge.response}"),
        give("after", 1, depends_on=["price"]),
        ask("last", depends_on=["after"]),
    ]


async def test_what_reads_a_value_is_done_again_by_a_fork_from_that_value() -> None:
    made, status = await calls_of_fork(
        plan_with(*priced(10)), plan_with(*priced(99)), "price"
    )
    assert status == "completed"
    assert sorted(made, key=str) == [("charge", 99), ("last", None), ("mail", "done")]


async def test_in_a_sequence_all_that_follows_is_done_again() -> None:
    old, new = (
        plan_with(sequence(ask("first"), give("price", one), ask("next")), ask("beside"))
        for one in (10, 99)
    )
    assert await calls_of_fork(old, new, "row/price") == (
        [("row/next", None)],
        "completed",
    )


async def test_what_reads_the_group_around_the_step_is_done_again() -> None:
    old, new = (
        plan_with(
            sequence(give("price", one)),
            ask("charge", "${row.response.price}"),
            ask("beside"),
        )
        for one in (10, 99)
    )
    assert await calls_of_fork(old, new, "row/price") == ([("charge", 99)], "completed")


@pytest.mark.parametrize("step", ["pick", "pick[a]/price"])
async def test_what_reads_a_switch_of_values_only_is_done_again(step: str) -> None:
    old, new = (
        plan_with(
            {
                "id": "pick",
                "type": "switch",
                "cases": [
                    {"name": "a", "when": "${input.is}", "steps": [give("price", one)]}
                ],
            },
            ask("charge", "${pick.response}"),
        )
        for one in (10, 99)
    )
    made, _ = await calls_of_fork(old, new, step)
    assert [one for one, _ in made] == ["charge"]


async def test_what_reads_a_call_that_is_skipped_with_the_new_input_is_done_again() -> None:
    told = "${quote.response == null ? 'none' : 'some'}"
    plan = plan_with(ask("quote", condition="${input.is}"), ask("charge", told))
    assert await calls_of_fork(plan, None, "quote", {"is": False}) == (
        [("charge", "none")],
        "completed",
    )


async def test_what_reads_a_call_that_is_refused_at_once_is_done_again() -> None:
    told = "${refused.status}"
    old, new = (
        plan_with(ask("refused", arg, on_error="continue"), ask("charge", told))
        for arg in ("fine", "${input.nothing}")
    )
    made, _ = await calls_of_fork(old, new, "refused")
    assert [one for one, _ in made] == ["charge"]


COUNTED = "${(n.response == null ? 0 : int(n.response)) + 1}"


@pytest.mark.parametrize(
    ("step", "again"),
    [
        ("n", ["pay", "pay#2", "pay#3", "last"]),
        ("back", ["pay#2", "pay#3", "last"]),
        ("back#2", ["pay#3", "last"]),
    ],
)
async def test_a_fork_from_a_jump_keeps_only_the_visits_before_it(
    step: str, again: list[str]
) -> None:
    jump: Any = {"id": "back", "type": "goto", "to": "n", "max_visits": 3}
    jump["condition"] = "${n.response < 3}"
    steps = (give("n", COUNTED), ask("pay"), jump, ask("last"))
    made, status = await calls_of_fork(plan_with(*steps, order="sequence"), None, step)
    assert ([one for one, _ in made], status) == (again, "completed")


async def test_later_iterations_are_done_again_by_a_fork_from_one() -> None:
    inside = [give("price", "${iteration}"), ask("charge", "${price.response}")]
    loop: Any = {"id": "poll", "type": "repeat", "until": "${iteration >= 2}"}
    loop |= {"max_iterations": 5, "steps": inside}
    plan = plan_with(loop, ask("beside"))
    made, _ = await calls_of_fork(plan, None, "poll[1]/price")
    assert [one for one, _ in made] == ["poll[1]/charge", "poll[2]/charge"]


@pytest.mark.parametrize("step", ["first", "value"])
async def test_a_signal_waits_for_the_step_that_took_it(step: str) -> None:
    told: Any = {"id": "told", "type": "wait", "event": {"name": "go"}}
    plan = plan_with(ask("first"), give("value", 1), told, order="sequence")
    store = MemoryStore()
    async with running(store) as driver:
        await driver.start(plan, Start("x", None))
        await driver.signal("x", "go", 7, "s")
        await driver.ended("x")
    await fork(hand(store), Fork("x", step), "y")
    async with running(store) as driver:
        assert (await driver.ended("y")).standing.status == "completed"


@pytest.mark.parametrize("kind", ["foreach", "parallel"])
async def test_what_stands_beside_the_step_is_kept(kind: str) -> None:
    def plan(value: int) -> Plan:
        inside = [give("price", value), ask("charge", "${price.response}")]
        group: Any = {"id": "fan", "type": kind}
        if kind == "foreach":
            group |= {"items": [0, 1, 2], "steps": inside}
        else:
            group |= {"branches": {f"b{one}": {"steps": inside} for one in range(3)}}
        return plan_with(group, ask("last", "${fan.status}"))

    branch = "fan[1]" if kind == "foreach" else "fan[b1]"
    made, _ = await calls_of_fork(plan(10), plan(99), f"{branch}/price")
    assert made == [(f"{branch}/charge", 99), ("last", "completed")]


@pytest.mark.parametrize(
    "plan",
    [plan_with(ask("book"), name="other"), plan_with(ask("paid"))],
    ids=["another workflow", "no such step"],
)
async def test_a_document_that_is_no_newer_version_is_refused(plan: Plan) -> None:
    store = await failed(SIDE_BY_SIDE, "mail")
    with pytest.raises(UnfitDocument):
        await fork(hand(store), Fork("x", "book", plan=plan), "y")
    assert len(await store.find(Search())) == 1


async def test_what_ended_before_it_was_made_took_no_time(
    capsys: pytest.CaptureFixture[str],
) -> None:
    store = await failed(SIDE_BY_SIDE, "mail")
    (row,) = await store.find(Search())
    early = replace(row.standing, at_ms=row.new.created_at_ms - 12_072)
    print_executions([replace(row, standing=early)])
    assert "-12" not in capsys.readouterr().out
