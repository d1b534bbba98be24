"""What the simulations of durable executions take for rest."""

from __future__ import annotations

import pytest

from plait.drivers.journal import entry_of, origin_of
from plait.kernel.events import CancelRequested
from plait.ports.journal import NewExecution, Standing
from plait.stores.memory import MemoryStore
from plait.testing.durable.rest import waits_for_rest

QUARANTINED = Standing("running", 0, None, "execution.quarantined")
ACTED_ON = Standing("running", 0, 0)
WAITS = Standing("running", 0, 1)


async def begun(
    store: MemoryStore, name: str, standing: Standing, parent: str | None = None
) -> None:
    new = NewExecution(name, "w", "sha256:1", 0, "null", None, (), 0, parent)
    entry = entry_of([CancelRequested("any event", 0)], origin_of(new))
    await store.create(new, [entry], standing, "worker")


@pytest.mark.parametrize(
    ("parent", "child", "is_rest"),
    [
        (WAITS, QUARANTINED, True),
        (WAITS, ACTED_ON, False),
        (WAITS, Standing("completed", 0, None), False),
        (ACTED_ON, QUARANTINED, False),
    ],
)
async def test_a_parent_waits_for_a_person_when_its_child_does(
    parent: Standing, child: Standing, is_rest: bool
) -> None:
    store = MemoryStore()
    await begun(store, "parent", parent)
    await begun(store, "child", child, "parent")
    summary = (await store.read("parent")).summary
    assert await waits_for_rest(store, summary) == is_rest
    await begun(store, "grand", WAITS)
    await begun(store, "between", parent, "grand")
    await begun(store, "below", child, "between")
    grand = (await store.read("grand")).summary
    assert await waits_for_rest(store, grand) == is_rest
