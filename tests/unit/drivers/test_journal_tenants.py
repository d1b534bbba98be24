"""Tenants: what comes of an execution is its tenant's, and others do not wait for it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from plait.drivers.journal import HistoryDamaged, JournalDriver, Start, verify
from plait.operations import Fork, Intake, fork, line_of, restart, row_json
from plait.plan import Plan
from plait.ports.journal import IN_LANE, QUEUED, History, NewExecution, Search
from plait.stores.memory import MemoryStore
from plait.testing.virtual_time import run_virtually
from tests.simulation.asking import ask, plan_of, plan_with
from tests.unit.drivers.test_journal_doubt import Calls
from tests.unit.drivers.test_journal_lanes import plan as in_lanes
from tests.unit.drivers.workers import driver_on
from tests.unit.stores.histories import STEPS, damages, finished, hand

NORTH = "north"
CHILD = plan_with(ask("a"), name="child")
PARENT = plan_with(
    {"id": "nap", "type": "wait", "for": "1h"},
    {
        "id": "kid",
        "type": "workflow",
        "request": {"name": "child"},
        "depends_on": ["nap"],
    },
)


def driver(store: MemoryStore, name: str) -> JournalDriver:
    def workflows(_: str, wanted: str) -> Plan | None:
        return CHILD if wanted == "child" else None

    return driver_on(store, name, Calls([]), workflows=workflows)


def test_a_child_is_its_parent_s_also_after_a_crash() -> None:
    async def main() -> None:
        store = MemoryStore()
        ann = driver(store, "ann")
        await ann.open()
        await ann.start(PARENT, Start("x", {}, tenant=NORTH))
        await ann.perish()
        bob = driver(store, "bob")
        await bob.open()
        assert (await bob.ended("x")).standing.status == "completed"
        found = await store.find(Search(parent="x"))
        assert [(one.new.workflow, one.new.tenant) for one in found] == [("child", NORTH)]
        assert len(await store.find(Search(tenant=NORTH))) == 2
        await bob.close()

    run_virtually(main())


async def test_what_is_begun_from_an_execution_is_its_tenant_s() -> None:
    store = MemoryStore()
    await finished(store, "x1", tenant=NORTH)
    made = [
        await restart(hand(store), "x1", "x2"),
        await fork(hand(store), Fork("x1", "b"), "x3"),
    ]
    assert [one.new.tenant for one in made] == [NORTH, NORTH]
    assert [row_json(one)["tenant"] for one in made] == [NORTH, NORTH]
    assert await damages(store) == []


def test_a_tenant_waits_in_a_lane_of_its_own() -> None:
    async def main() -> None:
        store = MemoryStore()
        ann = driver(store, "ann")
        await ann.open()
        tenants = ["default", NORTH, NORTH, "default"]
        started = [
            await ann.start(in_lanes(), Start(f"x{number}", {}, tenant=tenant))
            for number, tenant in enumerate(tenants)
        ]
        states = [one.lane_state for one in started]
        assert states == [IN_LANE, IN_LANE, QUEUED, QUEUED]
        for one in started:
            await ann.ended(one.new.execution_id)
        await ann.close()

    run_virtually(main())


async def test_a_tenant_goes_with_an_archive() -> None:
    old, new = MemoryStore(), MemoryStore()
    await finished(old, "x1", tenant=NORTH, key="k")
    await finished(new, "x2", key="k", plan=plan_of(STEPS))
    text = await line_of(old, await old.read("x1"))
    async with Intake(hand(new)) as intake:
        taken = await intake.take(text)
    assert taken.new.tenant == NORTH
    assert len(await new.find(Search(key="k"))) == 2


@pytest.mark.parametrize(("was", "became"), [(NORTH, "default"), ("default", NORTH)])
async def test_a_tenant_that_was_altered_is_told(was: str, became: str) -> None:
    store = MemoryStore()
    await finished(store, "x1", tenant=was)
    history = await store.read("x1")
    verify(history)
    given: NewExecution = replace(history.summary.new, tenant=became)
    altered: Any = replace(history.summary, new=given)
    with pytest.raises(HistoryDamaged, match="its row, or entry 1"):
        verify(History(altered, history.entries))
