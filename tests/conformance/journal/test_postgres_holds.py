"""A hold cannot be lost while PostgreSQL is at a write under it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from plait.ports.journal import Hold, Search
from plait.testing.store_suite import (
    ANN,
    AT_ONCE,
    BOB,
    LATER_MS,
    NOW_MS,
    OpenStore,
    entry,
    new,
)
from tests.conformance.journal.outages import begin

_BLOCKED = "SELECT count(*) FROM pg_locks WHERE NOT granted"


@pytest.fixture
def stores(postgres_stores: OpenStore) -> OpenStore:
    return postgres_stores


async def test_whoever_takes_the_parent_waits_for_a_write_that_has_begun(
    stores: OpenStore, database: Any
) -> None:
    mine, other = await stores(), await stores()
    await mine.beat(ANN, NOW_MS, LATER_MS)
    parent = await begin(mine, "parent")
    await mine.release(ANN, ["parent"])

    async def take() -> list[str]:
        await other.take(BOB, NOW_MS, "parent")
        found = await other.find(Search(parent="parent"))
        return [one.new.execution_id for one in found]

    async def blocked(count: int, unless: asyncio.Task[Any]) -> None:
        while await database.fetchval(_BLOCKED) < count and not unless.done():
            await asyncio.sleep(0)

    # Whoever makes the same execution has to wait: the server is in the midst of a write.
    making = database.transaction()
    await making.start()
    await database.execute(
        "INSERT INTO plait.executions (id, workflow, plan_hash, created_at_ms, input, tags)"
        " VALUES ('child', 'shop', 'sha256:1', 0, '{}', '[]')"
    )
    wanted = new("child", parent="parent"), [entry()], AT_ONCE, ANN
    creating = asyncio.create_task(mine.create(*wanted, Hold("parent", parent.epoch)))
    await blocked(1, creating)
    taking = asyncio.create_task(take())
    await blocked(2, taking)
    await making.rollback()
    await creating
    assert await taking == ["child"]
