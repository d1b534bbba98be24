"""Damage in one row stops nobody else: tests that every store that can be damaged runs."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TypeAlias

import pytest

from plait.drivers.journal import Store
from plait.drivers.journal.lost import row_in
from plait.model.errors import PlaitError
from plait.ports.journal import Search, Standing
from plait.ports.upkeep import Upkeep
from plait.stores.damaged import tell_damaged
from plait.stores.faults import StoreDamaged
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
from tests.unit.stores.histories import damages

# Damages the row of one execution.
Damage: TypeAlias = Callable[[str], Awaitable[object]]

_DONE = Standing("completed", NOW_MS, None)


class DamageSuite:
    """Inherit, and give the fixtures `stores` and `damage`."""

    @pytest.fixture
    async def store(self, stores: OpenStore) -> Store:
        """Ann has joined, and three executions are due, held by nobody."""
        tell_damaged.cache_clear()
        store = await stores()
        for worker in (ANN, BOB):
            await store.join(worker)
            await store.beat(worker, NOW_MS, LATER_MS)
        for name in ("x1", "x2", "x3"):
            await store.create(new(name), [entry()], AT_ONCE, ANN)
        await store.release(ANN, ["x1", "x2", "x3"])
        return store

    async def test_the_others_are_claimed_and_it_is_told_once(
        self, store: Store, damage: Damage, caplog: pytest.LogCaptureFixture
    ) -> None:
        await damage("x1")
        with caplog.at_level(logging.ERROR, "plait.stores"):
            claimed = await store.claim(ANN, NOW_MS, 10)
            assert [one.new.execution_id for one in claimed.executions] == ["x2", "x3"]
            again = await store.claim(ANN, NOW_MS, 10)
            assert (again.executions, again.next_wake_at_ms) == ([], None)
        assert len(caplog.records) == 1

    async def test_it_takes_nobodys_place_in_a_claim(
        self, store: Store, damage: Damage
    ) -> None:
        await damage("x1")
        claimed = []
        for _ in range(3):
            claimed += (await store.claim(ANN, NOW_MS, 1)).executions
        assert [one.new.execution_id for one in claimed] == ["x2", "x3"]

    async def test_a_worker_that_held_it_leaves_all_others_to_the_next(
        self, store: Store, damage: Damage
    ) -> None:
        await store.claim(ANN, NOW_MS, 10)
        await damage("x1")
        await store.beat(BOB, LATER_MS + 1, LATER_MS + 2)
        claimed = await store.claim(BOB, LATER_MS, 10)
        assert [one.new.execution_id for one in claimed.executions] == ["x2", "x3"]

    async def test_a_start_with_its_key_comes_to_an_end(
        self, store: Store, damage: Damage
    ) -> None:
        await store.create(new("y1", key="k"), [entry()], AT_ONCE, ANN)
        await damage("y1")
        async with asyncio.timeout(20):
            # Of what is gone with its workflow or key nothing is known: it begins anew.
            with suppress(StoreDamaged):
                await store.create(new("y2", key="k"), [entry()], AT_ONCE, ANN)

    async def test_lists_show_the_others(self, store: Store, damage: Damage) -> None:
        await damage("x2")
        for search in (
            Search(limit=2),
            Search(workflow="shop", limit=2),
            Search(statuses=("running",), limit=2),
            Search(execution_ids=("x1", "x2", "x3")),
        ):
            found = await store.find(search)
            assert [one.new.execution_id for one in found] == ["x3", "x1"]

    async def test_whoever_asks_for_it_by_its_id_is_told(
        self, store: Store, damage: Damage
    ) -> None:
        await damage("x2")
        for asking in (store.read("x2"), row_in(store, "x2")):
            with pytest.raises(PlaitError) as caught:
                await asking
            assert caught.value.code in ("store.damaged", "execution.unknown")

    async def test_the_others_are_removed(self, store: Store, damage: Damage) -> None:
        assert isinstance(store, Upkeep)
        for name in ("y1", "y2"):
            await store.create(new(name), [entry()], _DONE, ANN)
        await damage("y1")
        (found,) = await store.ended(LATER_MS, ("completed",), 1)
        assert found.new.execution_id == "y2"

    async def test_verifying_names_it(self, store: Store, damage: Damage) -> None:
        before = set(await damages(store))
        await damage("x2")
        told = {*await damages(store)} - before
        assert told & {("x2", "store.damaged"), (None, "store.damaged")}
        assert not any(name in ("x1", "x3") for name, _ in told)
