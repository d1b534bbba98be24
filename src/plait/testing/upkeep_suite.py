"""The contract of plait.ports.upkeep, as tests.

Not here: everything else that a store promises (plait.testing.journal_suite, which has
these tests too).
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any, Final, Protocol

import pytest

from plait.drivers.journal import Store
from plait.ports.journal import (
    TERMINAL,
    Append,
    Entry,
    Message,
    NewExecution,
    Search,
    Standing,
    Summary,
    UnknownExecution,
)
from plait.ports.upkeep import Upkeep

_NOW_MS: Final = 1_767_225_600_000
_LATER_MS: Final = _NOW_MS + 60_000
_ANN, _BOB = "ann", "bob"
_DUE: Final = Standing("running", _NOW_MS, 0)


class KeptStore(Store, Upkeep, Protocol):
    """A store that can be looked after."""


def _entries(*texts: str) -> list[Entry]:
    return [Entry(text.encode(), text.encode()[:16]) for text in texts]


def _new(execution_id: str, **fields: Any) -> NewExecution:
    given = {"created_at_ms": _NOW_MS, **fields}
    return NewExecution(execution_id, "shop", "sha256:1", input='{"a":1}', **given)


async def _begin(store: KeptStore, execution_id: str, **fields: Any) -> Summary:
    started = _new(execution_id, **fields)
    return (await store.create(started, _entries("started"), _DUE, _ANN)).summary


async def _end(
    store: KeptStore,
    execution_id: str,
    at_ms: int = _NOW_MS,
    status: str = "completed",
    **fields: Any,
) -> Summary:
    """Put an execution into the store that has ended; return its row."""
    summary = await _begin(store, execution_id, **fields)
    await _append(store, summary, Standing(status, at_ms, None))
    return (await store.read(execution_id)).summary


async def _append(store: KeptStore, held: Summary, standing: Standing) -> None:
    """Append to an execution that somebody holds, and give it back."""
    name = held.new.execution_id
    entries = _entries(f"end at {held.length}")
    wanted = (name, entries, standing, held.length, held.epoch)
    await store.append(Append(*wanted, is_released=True))


async def _ended(store: KeptStore, *statuses: str, before_ms: int = _LATER_MS) -> set[str]:
    """Return the ids of all that may go, found two by two."""
    found: list[str] = []
    last: Summary | None = None
    while page := await store.ended(before_ms, statuses or TERMINAL, 2, last):
        found += [one.new.execution_id for one in page]
        last = page[-1]
    assert len(found) == len(set(found))
    return set(found)


class UpkeepSuite:
    """Inherit, and give the fixture `store`: Ann has joined and is alive."""

    # -- what may go -------------------------------------------------------------------

    async def test_what_ended_before_may_go(self, store: KeptStore) -> None:
        for number in range(5):
            await _end(store, f"x{number}", _NOW_MS + number)
        await _begin(store, "open")
        assert await _ended(store) == {"x0", "x1", "x2", "x3", "x4"}
        assert await _ended(store, before_ms=_NOW_MS + 2) == {"x0", "x1"}
        assert await _ended(store, before_ms=_NOW_MS) == set()

    async def test_what_ended_when_it_began_may_go(self, store: KeptStore) -> None:
        done = Standing("completed", _NOW_MS, None)
        started = _new("at once", lane="one", lane_max=1, key="k")
        created = await store.create(started, _entries("all"), done, _ANN)
        assert created.summary.owner is None
        assert created.summary == (await store.read("at once")).summary
        assert await _ended(store) == {"at once"}
        assert await store.remove([created.summary]) == ["at once"]
        assert await store.check() == []

    async def test_only_what_ended_in_one_of_the_ways_may_go(
        self, store: KeptStore
    ) -> None:
        for status in TERMINAL:
            await _end(store, status, status=status)
        assert await _ended(store, "failed") == {"failed"}
        assert await _ended(store, "completed", "cancelled") == {"completed", "cancelled"}
        assert await _ended(store, "running") == set()

    async def test_what_began_late_and_ended_long_ago_may_go(
        self, store: KeptStore
    ) -> None:
        """It was taken in from elsewhere: created last, and the oldest."""
        await _end(store, "young", _NOW_MS + 5)
        await _end(store, "old", 20, created_at_ms=10)
        assert await _ended(store, before_ms=_NOW_MS) == {"old"}

    async def test_what_ended_and_runs_again_may_not_go(self, store: KeptStore) -> None:
        await _end(store, "x1", status="failed")
        taken = await store.take(_ANN, _NOW_MS, "x1")
        assert await _ended(store) == set()
        await _append(store, taken, replace(_DUE, at_ms=_NOW_MS + 1))
        assert await _ended(store) == set()
        again = await store.take(_ANN, _NOW_MS, "x1")
        await _append(store, again, Standing("completed", _NOW_MS + 2, None))
        assert await _ended(store) == {"x1"}
        assert await _ended(store, before_ms=_NOW_MS + 2) == set()

    async def test_a_child_may_go_only_with_its_parent(self, store: KeptStore) -> None:
        mother = await _begin(store, "mother")
        await _end(store, "child", parent="mother")
        await _end(store, "grandchild", parent="child")
        await _end(store, "orphan", parent="nobody")
        assert await _ended(store) == {"orphan"}
        await _append(store, mother, Standing("failed", _NOW_MS + 9, None))
        # Whoever resumes the mother asks for the child.
        assert await _ended(store, before_ms=_NOW_MS + 9) == {"orphan"}
        assert await _ended(store, "completed") == {"orphan"}
        assert await _ended(store) == {"mother", "child", "grandchild", "orphan"}

    # -- removing ----------------------------------------------------------------------

    @pytest.mark.parametrize("is_running", [True, False], ids=["running", "held"])
    async def test_a_child_whose_parent_was_resumed_meanwhile_stays(
        self, store: KeptStore, is_running: bool
    ) -> None:
        await _end(store, "mother", status="failed")
        await _end(store, "child", parent="mother")
        await _end(store, "grandchild", parent="child")
        page = await store.ended(_LATER_MS, TERMINAL, 10)
        assert len(page) == 3
        taken = await store.take(_ANN, _NOW_MS, "mother")
        if is_running:
            await _append(store, taken, replace(_DUE, at_ms=_NOW_MS + 1))
        assert await store.remove([one for one in page if one.new.parent]) == []
        assert await store.ids() == ["child", "grandchild", "mother"]

    async def test_nothing_is_left_of_what_was_removed(self, store: KeptStore) -> None:
        fields: Any = {"key": "k", "tags": ("vip", "vip", "new"), "parent": "p"}
        gone = await _end(store, "gone", **fields)
        await store.post(Message("m1", "gone", b"late"))
        kept = await _end(store, "kept", **{**fields, "key": "other"})
        assert await store.remove([gone]) == ["gone"]
        await store.tidy()
        for search in (
            Search(),
            Search(workflow="shop"),
            Search(statuses=("completed",)),
            Search(tag="vip"),
            Search(parent="p"),
            Search(text="a"),
            Search(execution_ids=("gone", "kept")),
        ):
            assert await store.find(search) == [kept]
        assert await store.find(Search(key="k")) == []
        assert await store.ids() == ["kept"]
        for asking in (
            store.read("gone"),
            store.take(_ANN, _NOW_MS, "gone"),
            store.post(Message("m2", "gone", b"")),
        ):
            with pytest.raises(UnknownExecution):
                await asking
        assert await store.beat(_ANN, _NOW_MS, _LATER_MS) == []
        assert await store.check() == []

    async def test_its_key_begins_a_new_execution(self, store: KeptStore) -> None:
        await store.remove([await _end(store, "x1", key="order-7")])
        created = await store.create(_new("x2", key="order-7"), _entries("one"), _DUE, _ANN)
        assert created.is_new

    async def test_its_id_begins_a_new_history(self, store: KeptStore) -> None:
        old = await _begin(store, "x1")
        entries = _entries(*(f"number {number}" for number in range(700)))
        ended = Standing("completed", _NOW_MS, None)
        await store.append(Append("x1", entries, ended, 1, old.epoch, is_released=True))
        await store.post(Message("m1", "x1", b"to the old one"))
        assert await store.remove([(await store.read("x1")).summary]) == ["x1"]
        await _begin(store, "x1")
        await store.tidy()
        history = await store.read("x1")
        assert [one.body for one in history.entries] == [b"started"]
        assert await store.beat(_ANN, _NOW_MS, _LATER_MS) == []

    async def test_what_has_changed_meanwhile_stays(self, store: KeptStore) -> None:
        old, held = await _end(store, "old"), await _end(store, "held")
        longer = await _end(store, "longer")
        running = await _begin(store, "running")
        await store.take(_ANN, _NOW_MS, "held")
        taken = await store.take(_ANN, _NOW_MS, "longer")
        await _append(store, taken, longer.standing)
        nobody = replace(old, new=_new("nobody"))
        assert await store.remove([old, held, longer, running, nobody]) == ["old"]
        assert await store.ids() == ["held", "longer", "running"]
        assert await store.remove([]) == []

    async def test_what_is_left_of_a_family_is_found_still(self, store: KeptStore) -> None:
        mother = await _end(store, "mother")
        await _end(store, "child", _NOW_MS + 9, parent="mother")
        await store.remove([mother])
        (child,) = await store.find(Search(parent="mother"))
        assert child.new.execution_id == "child"
        assert await _ended(store) == {"child"}

    async def test_many_are_removed_while_others_go_on(self, store: KeptStore) -> None:
        names = [f"x{number:02}" for number in range(60)]
        ended = [await _end(store, name, key=name) for name in names]
        held = [await _begin(store, f"y{number:02}") for number in range(20)]
        done = Standing("completed", _NOW_MS, None)
        removed, *_ = await asyncio.gather(
            store.remove(ended), *(_append(store, one, done) for one in held)
        )
        assert removed == names
        assert len(await store.find(Search(limit=100))) == 20
        assert await store.check() == []

    async def test_a_start_beside_the_removal_of_its_key_is_done_or_given_the_old_one(
        self, store: KeptStore
    ) -> None:
        for number in range(10):
            old = await _end(store, f"old{number}", key="k")
            start = _new(f"new{number}", key="k")
            created, _ = await asyncio.gather(
                store.create(start, _entries("started"), _DUE, _ANN), store.remove([old])
            )
            name = created.summary.new.execution_id
            assert name == (f"new{number}" if created.is_new else f"old{number}")
            if created.is_new:
                ended = Standing("completed", _NOW_MS, None)
                await _append(store, created.summary, ended)
                summary = (await store.read(name)).summary
                assert await store.remove([summary]) == [name]

    # -- in charge ---------------------------------------------------------------------

    async def test_one_at_a_time_is_in_charge(self, store: KeptStore) -> None:
        assert await store.charge(_ANN, 1_000, 2_000)
        assert not await store.charge(_BOB, 1_500, 3_000)
        assert await store.charge(_ANN, 1_500, 2_500)
        assert not await store.charge(_BOB, 2_499, 3_000)
        assert await store.charge(_BOB, 2_500, 3_000)
        assert not await store.charge(_ANN, 2_600, 4_000)

    async def test_of_many_who_ask_at_once_one_is_in_charge(self, store: KeptStore) -> None:
        workers = [f"w{number}" for number in range(10)]
        asked = await asyncio.gather(*(store.charge(one, 1_000, 2_000) for one in workers))
        assert asked.count(True) == 1
        # Whoever gives it up says that it ends now.
        holder = workers[asked.index(True)]
        assert await store.charge(holder, 1_100, 1_100)
        assert await store.charge(_BOB, 1_100, 2_000)
