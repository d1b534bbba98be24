"""A child that was begun goes on as it began, whatever has become of its document."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from plait.drivers.children import Workflows
from plait.drivers.journal import Start
from plait.kernel import Kernel
from plait.operations import Hand, resume
from plait.plan import Plan
from plait.ports.journal import Search
from plait.stores.memory import MemoryStore
from plait.testing.virtual_time import run_virtually
from tests.simulation.asking import ask, plan_with
from tests.unit.drivers.test_journal_doubt import Calls
from tests.unit.drivers.test_journal_resumed_child import Shop
from tests.unit.drivers.workers import a_while, driver_on

KID: Any = {"id": "kid", "type": "workflow", "request": {"name": "child"}}
PARENT = plan_with(KID)
WAITING = plan_with(
    {"id": "go", "type": "wait", "event": {"name": "go"}},
    ask("ship", depends_on=["go"]),
    name="child",
)
FAILING = plan_with(ask("ship", effect="keyed"), name="child")
ANOTHER = replace(
    WAITING, input_schema={"type": "object", "required": ["b"], "properties": {"b": {}}}
)
GONE: list[Workflows] = [lambda *_: None, lambda *_: ANOTHER]


async def children(store: MemoryStore) -> list[str]:
    rows = await store.find(Search(workflow="child"))
    return [row.standing.status for row in rows]


@pytest.mark.parametrize("workflows", GONE, ids=["gone", "changed"])
def test_after_a_crash_a_parent_waits_for_the_child_that_there_is(
    workflows: Workflows,
) -> None:
    async def main() -> tuple[str, list[str]]:
        store, calls = MemoryStore(), Calls([])
        first = driver_on(store, "first", calls, workflows=lambda *_: WAITING)
        await first.open()
        await first.start(PARENT, Start("x", None))
        await a_while(1)
        await first.perish()
        await store.leave("first")
        heir = driver_on(store, "heir", calls, workflows=workflows)
        await heir.open()
        await a_while(60)
        (child,) = await store.find(Search(workflow="child"))
        await heir.signal(child.new.execution_id, "go", 1, "s1")
        status = (await heir.ended("x")).standing.status
        await heir.close()
        return status, await children(store)

    assert run_virtually(main()) == ("completed", ["completed"])


@pytest.mark.parametrize("workflows", GONE, ids=["gone", "changed"])
def test_a_child_that_failed_goes_on_with_its_parent(workflows: Workflows) -> None:
    async def main() -> tuple[str, list[str]]:
        store, shop, known = MemoryStore(), Shop(), [FAILING]

        def found(tenant: str, name: str) -> Plan | None:
            return known[0] if known else workflows(tenant, name)

        driver = driver_on(store, "w", shop, workflows=found)
        await driver.open()
        await driver.start(PARENT, Start("x", None))
        assert (await driver.ended("x")).standing.status == "failed"
        known.clear()
        await resume(Hand(store, Kernel, "hand", driver.now_ms(), {}), "x")
        driver.stir()
        status = (await driver.ended("x")).standing.status
        await driver.close()
        return status, await children(store)

    assert run_virtually(main()) == ("completed", ["completed"])


def test_a_child_that_never_began_cannot_without_its_document() -> None:
    async def main() -> tuple[str, str | None, list[str]]:
        store = MemoryStore()
        driver = driver_on(store, "w", Calls([]), workflows=GONE[0])
        await driver.open()
        await driver.start(PARENT, Start("x", None))
        standing = (await driver.ended("x")).standing
        await driver.close()
        return standing.status, standing.error_code, await children(store)

    assert run_virtually(main()) == ("failed", "workflow.unknown", [])
