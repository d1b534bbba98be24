"""The part of the stores' contract that says who runs: lanes, and turns among workflows.

Not here: everything else that a store promises (plait.testing.journal_suite, which has
these tests too).
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from random import Random

import pytest

from plait.drivers.journal import Store
from plait.ports.derived import Derived
from plait.ports.journal import (
    IN_LANE,
    LET_IN,
    QUEUED,
    RUNNING,
    Append,
    Entry,
    Message,
    NewExecution,
    Search,
    Standing,
    Summary,
)

_NOW_MS = 1_767_225_600_000
_LANE = 'shop:"ann"'
_DUE = Standing(RUNNING, _NOW_MS, 0)
_IN_AN_HOUR = Standing(RUNNING, _NOW_MS, _NOW_MS + 3_600_000)
_ENDED = Standing("completed", _NOW_MS, None)


def _entry(text: str) -> Entry:
    return Entry(text.encode(), text.encode()[:16])


async def start(
    store: Store,
    execution_id: str,
    standing: Standing = _DUE,
    *,
    owner: str = "ann",
    **fields: object,
) -> Summary:
    """Begin an execution in the lane of the tests."""
    plain = NewExecution(
        execution_id, "shop", "sha256:1", _NOW_MS, "{}", lane=_LANE, lane_max=1
    )
    new = replace(plain, **fields)  # type: ignore[arg-type]  # as the tests give them
    return (await store.create(new, [_entry("started")], standing, owner)).summary


async def add(store: Store, known: Summary, standing: Standing, **fields: object) -> None:
    """Append an entry to an execution as its row says it is."""
    plain = Append(
        known.new.execution_id, [_entry("more")], standing, known.length, known.epoch
    )
    await store.append(replace(plain, **fields))  # type: ignore[arg-type]  # see above


async def end(store: Store, known: Summary) -> None:
    """End an execution."""
    await add(store, known, _ENDED, is_released=True)


async def claim(store: Store, limit: int = 100, worker: str = "bob") -> list[str]:
    """Claim; return the ids."""
    claimed = await store.claim(worker, _NOW_MS, limit)
    return [one.new.execution_id for one in claimed.executions]


async def row(store: Store, execution_id: str) -> Summary:
    """Return how an execution stands."""
    return (await store.read(execution_id)).summary


class LanesSuite:
    """Inherit, and give the fixture `store`, in which the workers `ann` and `bob` live."""

    # -- lanes -------------------------------------------------------------------------

    async def test_an_execution_whose_lane_is_full_is_held_by_nobody(
        self, store: Store
    ) -> None:
        first, second = [await start(store, name) for name in ("x1", "x2")]
        assert (first.owner, first.lane_state) == ("ann", IN_LANE)
        assert (second.owner, second.lane_state) == (None, QUEUED)
        assert await row(store, "x2") == second
        claimed = await store.claim("bob", _NOW_MS, 10)
        assert (claimed.executions, claimed.next_wake_at_ms) == ([], None)

    async def test_the_end_of_one_lets_in_the_next(self, store: Store) -> None:
        first = await start(store, "x1")
        for name in ("x2", "x3"):
            await start(store, name, _IN_AN_HOUR)
        await end(store, first)
        assert (await row(store, "x2")).lane_state == LET_IN
        assert await claim(store) == ["x2"]
        assert await claim(store) == []
        await end(store, await row(store, "x2"))
        assert await claim(store) == ["x3"]

    async def test_the_highest_priority_is_let_in_first_then_the_oldest(
        self, store: Store
    ) -> None:
        held = await start(store, "x0")
        for name, priority in (("x1", 0), ("x2", 5), ("x3", 9), ("x4", 5)):
            await start(store, name, priority=priority)
        order = []
        for _ in range(4):
            await end(store, held)
            (name,) = await claim(store)
            order.append(name)
            held = await row(store, name)
        assert order == ["x3", "x2", "x4", "x1"]

    async def test_what_was_let_in_is_so_until_it_has_begun(self, store: Store) -> None:
        first = await start(store, "x1")
        await start(store, "x2")
        await end(store, first)
        await claim(store)
        held = await row(store, "x2")
        assert (held.lane_state, held.owner) == (LET_IN, "bob")
        await store.release("bob", ["x2"])
        await claim(store, worker="ann")
        held = await row(store, "x2")
        assert held.lane_state == LET_IN
        await add(store, held, _IN_AN_HOUR, is_released=True, is_begun=True)
        assert (await row(store, "x2")).lane_state == IN_LANE

    async def test_one_in_no_lane_that_was_given_back_at_its_start_begins_later(
        self, store: Store
    ) -> None:
        waits = Standing(RUNNING, _NOW_MS, _NOW_MS, "execution.no_room")
        for name, at_ms in (("x1", 2), ("x2", 1), ("x3", 3)):
            standing = replace(waits, wake_at_ms=_NOW_MS - at_ms)
            await start(store, name, standing, lane=None, lane_max=0)
        await store.release("ann", ["x1", "x2", "x3"])
        claimed = await store.claim("bob", _NOW_MS, 2)
        held = {one.new.execution_id: one for one in claimed.executions}
        assert [*held] == ["x3", "x1"], "due the longest"
        assert held["x3"].standing.error_code == "execution.no_room"
        await add(store, held["x3"], _DUE, is_begun=True)
        begun = await row(store, "x3")
        assert (begun.owner, begun.lane_state, begun.length) == ("bob", IN_LANE, 2)
        assert begun.standing == _DUE
        assert await claim(store, worker="eve") == ["x2"]

    async def test_an_execution_that_waits_or_that_nobody_holds_keeps_its_place(
        self, store: Store
    ) -> None:
        first = await start(store, "x1")
        await add(store, first, _IN_AN_HOUR, is_released=True)
        assert (await start(store, "x2")).lane_state == QUEUED
        assert await claim(store) == []
        await store.post(Message("m1", "x1", b""))
        assert await claim(store) == ["x1"]
        await store.leave("bob")
        assert await claim(store, worker="ann") == ["x1"]

    async def test_the_place_of_a_dead_worker_is_not_free(self, store: Store) -> None:
        await start(store, "x1")
        await start(store, "x2")
        late_ms = _NOW_MS + 10**6
        await store.beat("bob", late_ms, late_ms + 1)
        assert await claim(store) == ["x1"]
        await end(store, await row(store, "x1"))
        assert await claim(store) == ["x2"]

    async def test_lanes_are_apart_and_other_executions_are_in_none(
        self, store: Store
    ) -> None:
        lanes = [_LANE, _LANE, "shop", "shop", None, None]
        started = [
            await start(store, f"x{number}", lane=lane) for number, lane in enumerate(lanes)
        ]
        states = [one.lane_state for one in started]
        assert states == [IN_LANE, QUEUED, IN_LANE, QUEUED, IN_LANE, IN_LANE]

    async def test_a_wider_lane_runs_as_many_as_it_takes(self, store: Store) -> None:
        started = [await start(store, f"x{n}", lane_max=3) for n in range(5)]
        assert [one.lane_state for one in started] == [IN_LANE] * 3 + [QUEUED] * 2
        await end(store, started[1])
        assert await claim(store) == ["x3"]

    async def test_what_ends_at_its_start_was_in_no_lane(self, store: Store) -> None:
        await start(store, "x1")
        ended = await start(store, "x2", _ENDED)
        assert (ended.lane_state, ended.owner) == (IN_LANE, None)

    async def test_a_message_does_not_let_in(self, store: Store) -> None:
        await start(store, "x1")
        await start(store, "x2")
        await store.post(Message("m1", "x2", b""))
        assert await claim(store) == []

    async def test_one_that_queues_can_be_taken_and_ended(self, store: Store) -> None:
        first = await start(store, "x1")
        for name in ("x2", "x3"):
            await start(store, name)
        taken = await store.take("bob", _NOW_MS, "x2")
        assert (taken.owner, taken.lane_state) == ("bob", QUEUED)
        await end(store, taken)
        assert await claim(store) == []
        await end(store, first)
        assert await claim(store) == ["x3"]

    async def test_one_that_is_taken_as_it_queues_goes_on_queueing(
        self, store: Store
    ) -> None:
        first = await start(store, "x1")
        await start(store, "x2")
        taken = await store.take("bob", _NOW_MS, "x2")
        await add(store, taken, _DUE, is_released=True)
        assert await claim(store) == []
        await end(store, first)
        assert await claim(store) == ["x2"]

    async def test_what_goes_on_after_its_end_queues(self, store: Store) -> None:
        first = await start(store, "x1")
        await start(store, "x2")
        await end(store, first)
        await claim(store)
        taken = await store.take("ann", _NOW_MS, "x1")
        await add(store, taken, _DUE, is_released=True)
        assert (await row(store, "x1")).lane_state == QUEUED
        await end(store, await row(store, "x2"))
        assert await claim(store) == ["x1"]
        await end(store, await row(store, "x1"))
        taken = await store.take("ann", _NOW_MS, "x1")
        await add(store, taken, _DUE, is_released=True)
        assert await claim(store) == ["x1"]

    async def test_a_key_gives_the_one_that_queues(self, store: Store) -> None:
        await start(store, "x1")
        queued = await start(store, "x2", key="k")
        assert await start(store, "x3", key="k") == queued

    async def test_a_lane_is_found(self, store: Store) -> None:
        for name in ("x1", "x2"):
            await start(store, name)
        await start(store, "x3", lane="shop")
        await end(store, await start(store, "x4", lane_max=9))
        found = await store.find(Search(lane=_LANE, statuses=(RUNNING,)))
        assert [one.new.execution_id for one in found] == ["x2", "x1"]

    async def test_of_many_starts_at_once_as_many_are_let_in_as_fit(
        self, store: Store
    ) -> None:
        starts = (start(store, f"x{number}", lane_max=4) for number in range(40))
        started = await asyncio.gather(*starts)
        assert [one.lane_state for one in started].count(IN_LANE) == 4

    @pytest.mark.parametrize("seed", range(4))
    async def test_starts_and_ends_at_once_neither_overfill_nor_strand_a_lane(
        self, store: Store, seed: int
    ) -> None:
        lot = Random(seed)
        lanes = [f"lane {number}" for number in range(3)]
        held = [
            await start(store, f"y{lane}{number}", lane=lane, lane_max=2)
            for number in range(2)
            for lane in lanes
        ]
        for turn in range(12):
            begun = [
                start(store, f"x{turn}-{number}", lane=lot.choice(lanes), lane_max=2)
                for number in range(lot.randrange(4))
            ]
            ended = lot.sample(held, lot.randint(0, len(held)))
            jobs = [*begun, *(end(store, one) for one in ended)]
            lot.shuffle(jobs)
            await asyncio.gather(*jobs)
            await claim(store)
            running = await store.find(Search(statuses=(RUNNING,), limit=1_000))
            held = [one for one in running if one.owner is not None]
            for lane in lanes:
                queued = [one for one in running if one.new.lane == lane]
                inside = [one for one in queued if one.lane_state != QUEUED]
                assert len(inside) == min(2, len(queued))
                assert all(one.owner is not None for one in inside)
            if isinstance(store, Derived):
                assert await store.differences() == []

    # -- turns -------------------------------------------------------------------------

    async def test_workflows_of_one_priority_are_claimed_in_turn(
        self, store: Store
    ) -> None:
        for number in range(20):
            await start(store, f"many{number:02}", lane=None, workflow="heavy")
        await start(store, "few", lane=None, workflow="light")
        await start(store, "high", lane=None, workflow="heavy", priority=1)
        await store.leave("ann")
        claimed = await claim(store, 4)
        assert claimed[0] == "high"
        assert sorted(claimed[1:]) == ["few", "many00", "many01"]

    async def test_no_workflow_waits_for_more_than_one_of_each_other(
        self, store: Store
    ) -> None:
        for workflow in "abcde":
            for number in range(4):
                await start(store, f"{workflow}{number}", lane=None, workflow=workflow)
        await store.leave("ann")
        order = [(await claim(store, 1))[0] for _ in range(20)]
        rounds = [order[at : at + 5] for at in range(0, 20, 5)]
        assert [sorted(one) for one in rounds] == [
            [f"{workflow}{number}" for workflow in "abcde"] for number in range(4)
        ]

    async def test_a_message_makes_a_workflow_due_in_its_turn(self, store: Store) -> None:
        for number in range(5):
            await start(store, f"many{number}", lane=None, workflow="heavy")
        await start(store, "told", _IN_AN_HOUR, lane=None, workflow="light")
        await store.leave("ann")
        await store.post(Message("m1", "told", b""))
        assert "told" in await claim(store, 2)
