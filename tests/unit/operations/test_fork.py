"""Forks: what they keep, what they do again, and what they refuse."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from plait.cli.table import print_table
from plait.drivers.journal import Start
from plait.model.failure import Failure
from plait.operations import Fork, fork
from plait.operations.forking import UnfitDocument
from plait.plan import Plan
from plait.ports.calls import Call, CallHandle, Done
from plait.ports.journal import Search
from plait.stores.memory import MemoryStore
from tests.simulation.asking import ask, plan_with
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
    print_table([replace(row, standing=early)])
    assert "-12" not in capsys.readouterr().out
