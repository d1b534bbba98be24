"""The part of the journal's contract that is about writes under another's hold."""

from __future__ import annotations

import asyncio

import pytest

from plait.drivers.journal import Store
from plait.ports.journal import Created, Hold, HoldLost, Search, Summary, UnknownExecution
from plait.testing.store_suite import (
    ANN,
    AT_ONCE,
    BOB,
    COMPLETED,
    NOW_MS,
    OpenStore,
    StoreSuite,
    append_to,
    entry,
    new,
)


class HoldsSuite(StoreSuite):
    """An execution that begins, or goes on, only while its parent is held as it was."""

    async def test_what_is_written_under_a_hold_that_holds_is_written(
        self, store: Store
    ) -> None:
        parent = await self.begin(store, "parent")
        child = await _child(store, "child", _hold(parent))
        await store.append(append_to(child.summary, "two", under=_hold(parent)))
        assert len((await store.read("child")).entries) == 2

    async def test_one_that_is_nowhere_written_is_held(self, store: Store) -> None:
        under = Hold("in memory", 1)
        child = await _child(store, "child", under)
        await store.append(append_to(child.summary, "two", under=under))
        assert len((await store.read("child")).entries) == 2

    async def test_what_is_written_under_a_lost_hold_is_refused_whole(
        self, store: Store
    ) -> None:
        lost = _hold(await self._taken(store, "parent"))
        with pytest.raises(HoldLost) as refusal:
            await _child(store, "child", lost)
        assert refusal.value.execution_id == "parent"
        with pytest.raises(UnknownExecution):
            await store.read("child")
        before = await self.begin(store, "other")
        wanted = append_to(before, "two", standing=COMPLETED, under=lost)
        with pytest.raises(HoldLost):
            await store.append(wanted)
        assert (await store.read("other")).summary == before

    async def test_a_lost_hold_tells_nothing_of_whether_the_id_is_taken(
        self, store: Store
    ) -> None:
        lost = _hold(await self._taken(store, "parent"))
        await self.begin(store, "child")
        with pytest.raises(HoldLost):
            await _child(store, "child", lost)

    async def test_a_lost_hold_leaves_its_neighbours_alone(self, store: Store) -> None:
        lost = _hold(await self._taken(store, "lost"))
        held = _hold(await self.begin(store, "held"))
        holds = [lost, held, None] * 5
        creates = [_child(store, f"c{n}", under) for n, under in enumerate(holds)]
        outcomes = await asyncio.gather(*creates, return_exceptions=True)
        refused = [isinstance(one, HoldLost) for one in outcomes]
        assert refused == [under == lost for under in holds]
        children = [one.summary for one in outcomes if isinstance(one, Created)]
        wanted = [append_to(one, "two", under=held) for one in children[::2]]
        wanted += [append_to(one, "two", under=lost) for one in children[1::2]]
        appends = [store.append(one) for one in wanted]
        ends = await asyncio.gather(*appends, return_exceptions=True)
        refused = [isinstance(one, HoldLost) for one in ends]
        assert refused == [one.under == lost for one in wanted]

    @pytest.mark.parametrize("number", range(10))
    async def test_whoever_takes_the_parent_sees_all_that_was_begun_under_its_hold(
        self, store: Store, stores: OpenStore, number: int
    ) -> None:
        parent = await self.begin(store, "parent")
        await store.release(ANN, ["parent"])
        other = await stores()

        async def take() -> list[Summary]:
            for _ in range(number):
                await asyncio.sleep(0)
            await other.take(BOB, NOW_MS, "parent")
            return await other.find(Search(parent="parent"))

        creates = [_child(store, f"c{n}", _hold(parent)) for n in range(30)]
        seen, *outcomes = await asyncio.gather(take(), *creates, return_exceptions=True)
        assert isinstance(seen, list)
        begun = {
            one.summary.new.execution_id for one in outcomes if isinstance(one, Created)
        }
        assert begun == {one.new.execution_id for one in seen}
        assert all(isinstance(one, Created | HoldLost) for one in outcomes)

    async def _taken(self, store: Store, execution_id: str) -> Summary:
        """Begin an execution, and let somebody else take it; return its row before that."""
        summary = await self.begin(store, execution_id)
        await store.release(ANN, [execution_id])
        await store.take(BOB, NOW_MS, execution_id)
        return summary


def _hold(summary: Summary) -> Hold:
    return Hold(summary.new.execution_id, summary.epoch)


async def _child(store: Store, execution_id: str, under: Hold | None) -> Created:
    parent = None if under is None else under.execution_id
    started = new(execution_id, parent=parent)
    return await store.create(started, [entry()], AT_ONCE, ANN, under)
