"""What a store derives from its rows is compared with them and made anew, as tests."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol, TypeAlias

import pytest

from plait.drivers.journal import Store
from plait.ports.derived import Derived, Difference
from plait.ports.journal import LET_IN, RUNNING, Message, Search, Standing
from plait.ports.upkeep import Upkeep
from plait.testing.lanes_suite import claim, end, row, start
from plait.testing.store_suite import (
    ANN,
    BOB,
    LATER_MS,
    NOW_MS,
    OpenStore,
)

# Does to the store's lists what a name says, behind its back.
Spoil: TypeAlias = Callable[[str], Awaitable[object]]

LANE = 'shop:"ann"'
_IN_AN_HOUR = Standing(RUNNING, NOW_MS, NOW_MS + 3_600_000)


class DerivedStore(Store, Derived, Upkeep, Protocol):
    """A store whose derived data can be made anew."""


async def _names(store: DerivedStore, search: Search) -> list[str]:
    return sorted(one.new.execution_id for one in await store.find(search))


class DerivedSuite:
    """Inherit, and give the fixtures `stores` and `spoil`, which knows these names:

    untag, tag: x1 is not found by its tag `vip`; it is by `spam`.
    strand: x2 waits for its lane, in which nobody is.
    overfill: x2 is in its lane, which takes one, beside x1.
    ghost: x1 has ended, and waits for its lane.
    unplan: x3 is due, and its workflow's turn never comes.
    """

    @pytest.fixture
    async def store(self, stores: OpenStore) -> DerivedStore:
        """Ann has begun x1, which fills the lane that x2 waits for, and given back x3."""
        store = await stores()
        assert isinstance(store, Derived)
        for worker in (ANN, BOB):
            await store.join(worker)
            await store.beat(worker, NOW_MS, LATER_MS)
        await start(store, "x1", tags=("vip", "new"), key="k1")
        await start(store, "x2", _IN_AN_HOUR, key="k2")
        await start(store, "x3", lane=None, parent="x1")
        await store.release(ANN, ["x3"])
        await store.post(Message("m1", "x1", b""))
        return store  # type: ignore[return-value]  # as was looked

    async def test_of_a_store_that_was_left_alone_nothing_differs(
        self, store: DerivedStore
    ) -> None:
        assert await store.differences() == []
        await end(store, await row(store, "x1"))
        assert await store.differences(mends=True) == []
        assert await claim(store) == ["x2", "x3"]
        assert await store.differences() == []

    @pytest.mark.parametrize("name", ["untag", "tag", "unplan"])
    async def test_what_differs_of_an_execution_is_told_and_mended(
        self, store: DerivedStore, spoil: Spoil, name: str
    ) -> None:
        await spoil(name)
        (told,) = await store.differences()
        wrong = "x3" if name == "unplan" else "x1"
        assert (told.execution_id, told.lane, told.is_mended) == (wrong, None, False)
        assert await store.differences() == [told]
        (mended,) = await store.differences(mends=True)
        assert mended == Difference(wrong, None, told.reason, is_mended=True)
        assert await store.differences() == []
        assert await _names(store, Search(tag="vip")) == ["x1"]
        assert await _names(store, Search(tag="spam")) == []
        assert await claim(store) == ["x3"]

    async def test_who_waits_for_a_lane_that_has_room_is_let_in(
        self, store: DerivedStore, spoil: Spoil
    ) -> None:
        await end(store, await row(store, "x1"))
        await spoil("strand")
        assert await claim(store) == ["x3"]
        (told,) = await store.differences()
        assert (told.execution_id, told.lane, told.is_mended) == (None, LANE, False)
        assert "though it has room" in told.reason
        (mended,) = await store.differences(mends=True)
        assert (mended.lane, mended.is_mended) == (LANE, True)
        assert (await row(store, "x2")).lane_state == LET_IN
        assert await store.differences() == []
        assert await claim(store) == ["x2"]

    async def test_nobody_is_put_out_of_a_lane_that_is_too_full(
        self, store: DerivedStore, spoil: Spoil
    ) -> None:
        await spoil("overfill")
        await start(store, "x4")
        for mends in (False, True):
            (told,) = await store.differences(mends=mends)
            assert (told.lane, told.is_mended) == (LANE, False)
            assert "more are in it than it takes" in told.reason
        # It gets right by itself.
        await store.take(ANN, NOW_MS, "x2")
        for name in ("x1", "x2"):
            assert "x4" not in await claim(store)
            await end(store, await row(store, name))
        assert await store.differences() == []
        assert "x4" in await claim(store)

    async def test_what_has_ended_waits_for_no_lane(
        self, store: DerivedStore, spoil: Spoil
    ) -> None:
        await end(store, await row(store, "x1"))
        await spoil("ghost")
        (told,) = await store.differences()
        assert (told.execution_id, told.is_mended) == ("x1", False)
        (mended,) = await store.differences(mends=True)
        assert (mended.execution_id, mended.is_mended) == ("x1", True)
        assert await store.differences() == []

    async def test_what_is_not_to_be_trusted_is_left_alone(
        self, store: DerivedStore, spoil: Spoil
    ) -> None:
        await spoil("untag")
        assert await store.differences(mends=True, unsure={"x1"}) == []
        assert await _names(store, Search(tag="vip")) == []
