"""The contract of plait.ports.journal, .leases and .upkeep, as tests.

A store's tests are its fixtures:

    class TestMyStore(JournalSuite):
        @pytest.fixture
        async def stores(self) -> AsyncIterator[OpenStore]:
            ...  # a function that opens the same store once more

Needs pytest with pytest-asyncio in automatic mode.
"""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from plait.drivers.journal import PAYLOAD_BYTES_MAX, Store
from plait.ports.journal import (
    Created,
    Entry,
    LostRace,
    Message,
    Search,
    Standing,
    Summary,
    UnknownExecution,
    UnknownPlan,
)
from plait.testing.anew_suite import AnewSuite
from plait.testing.finding_suite import FindingSuite
from plait.testing.holds_suite import HoldsSuite
from plait.testing.lanes_suite import LanesSuite
from plait.testing.starters_suite import StartersSuite
from plait.testing.store_suite import (
    ANN,
    AT_ONCE,
    BOB,
    COMPLETED,
    LATER_MS,
    NOW_MS,
    OpenStore,
    append_to,
    entry,
    new,
)
from plait.testing.upkeep_suite import KeptStore, UpkeepSuite


class JournalSuite(
    FindingSuite, AnewSuite, HoldsSuite, LanesSuite, UpkeepSuite, StartersSuite
):
    """Inherit, and give the fixture `stores`: it opens one and the same store."""

    # -- create ------------------------------------------------------------------------

    async def test_what_was_created_is_read_back(self, store: Store) -> None:
        started = new(
            "x1", input='{"name":"Zoë"}', key="k", tags=("a", "b"), priority=3, parent="p"
        )
        entries = [entry("one"), entry("two")]
        created = await store.create(started, entries, AT_ONCE, ANN)
        summary = Summary(started, AT_ONCE, 2, entry("two").digest, 1, ANN)
        assert created == Created(summary, is_new=True)
        history = await store.read("x1")
        assert history.summary == summary
        assert history.entries == entries

    async def test_an_id_that_is_taken_is_refused(self, store: Store) -> None:
        await self.begin(store, "x1")
        with pytest.raises(LostRace):
            await store.create(new("x1"), [entry("other")], AT_ONCE, BOB)
        assert (await store.read("x1")).entries == [entry("started")]

    async def test_a_used_key_gives_the_first_execution(self, store: Store) -> None:
        first = await self.begin(store, "x1", key="order-7")
        again = await store.create(new("x2", key="order-7"), [entry()], AT_ONCE, BOB)
        assert again == Created(first, is_new=False)
        with pytest.raises(UnknownExecution):
            await store.read("x2")

    async def test_a_key_counts_after_the_end_too(self, store: Store) -> None:
        first = await self.begin(store, "x1", key="order-7")
        await store.append(append_to(first, "end", standing=COMPLETED, is_released=True))
        again = await store.create(new("x2", key="order-7"), [entry()], AT_ONCE, BOB)
        found = again.summary
        assert (found.new.execution_id, found.standing) == ("x1", COMPLETED)

    async def test_a_start_that_was_not_told_of_its_success_is_not_new(
        self, store: Store
    ) -> None:
        first = await self.begin(store, "x1", key="order-7")
        again = await store.create(new("x1", key="order-7"), [entry()], AT_ONCE, BOB)
        assert again == Created(first, is_new=False)

    async def test_a_key_counts_within_its_workflow(self, store: Store) -> None:
        await self.begin(store, "x1", key="order-7")
        other = await self.begin(store, "x2", key="order-7", workflow="other")
        assert other.new.execution_id == "x2"

    async def test_of_many_creates_with_one_key_one_is_done(self, store: Store) -> None:
        started = [new(f"x{number}", key="k") for number in range(20)]
        creates = [store.create(one, [entry()], AT_ONCE, ANN) for one in started]
        created = await asyncio.gather(*creates)
        assert len({one.summary.new.execution_id for one in created}) == 1
        assert [one.is_new for one in created].count(True) == 1
        assert len(await store.find(Search())) == 1

    # -- append ------------------------------------------------------------------------

    async def test_an_append_lengthens_the_history(self, store: Store) -> None:
        summary = await self.begin(store)
        await store.append(append_to(summary, "two", "three", standing=COMPLETED))
        history = await store.read(summary.new.execution_id)
        assert [one.body for one in history.entries] == [b"started", b"two", b"three"]
        assert history.summary.standing == COMPLETED
        assert (history.summary.length, history.summary.head) == (3, entry("three").digest)

    async def test_an_append_at_another_length_is_refused_whole(self, store: Store) -> None:
        summary = await self.begin(store)
        for length in (0, 2):
            wanted = append_to(
                summary, "a", "b", expected_length=length, standing=COMPLETED
            )
            with pytest.raises(LostRace):
                await store.append(wanted)
        assert (await store.read(summary.new.execution_id)).summary == summary

    async def test_an_append_of_another_epoch_is_refused_whole(self, store: Store) -> None:
        summary = await self.begin(store)
        for epoch in (0, 2):
            with pytest.raises(LostRace):
                await store.append(append_to(summary, "a", epoch=epoch))
        assert (await store.read(summary.new.execution_id)).summary == summary

    async def test_an_append_to_nothing_is_refused(self, store: Store) -> None:
        summary = await self.begin(store)
        with pytest.raises(UnknownExecution):
            await store.append(append_to(summary, "a", execution_id="nobody"))

    async def test_of_many_appends_at_one_length_one_is_done(self, store: Store) -> None:
        summary = await self.begin(store)
        appends = [store.append(append_to(summary, f"by {n}")) for n in range(20)]
        outcomes = await asyncio.gather(*appends, return_exceptions=True)
        assert [type(one) for one in outcomes if one is not None] == [LostRace] * 19
        assert (await store.read(summary.new.execution_id)).summary.length == 2

    async def test_a_refused_append_leaves_its_neighbours_alone(self, store: Store) -> None:
        summaries = [await self.begin(store) for _ in range(20)]
        appends = [
            append_to(one, "two", expected_length=1 + index % 2)
            for index, one in enumerate(summaries)
        ]
        outcomes = await asyncio.gather(
            *(store.append(one) for one in appends), return_exceptions=True
        )
        assert [isinstance(one, LostRace) for one in outcomes] == [False, True] * 10
        for index, one in enumerate(summaries):
            history = await store.read(one.new.execution_id)
            assert len(history.entries) == history.summary.length == 2 - index % 2

    async def test_a_released_execution_takes_no_more_from_its_holder(
        self, store: Store
    ) -> None:
        summary = await self.begin(store)
        await store.append(append_to(summary, "two", is_released=True))
        with pytest.raises(LostRace):
            await store.append(append_to(summary, "three", expected_length=2))
        found = (await store.read(summary.new.execution_id)).summary
        assert (found.owner, found.length) == (None, 2)

    async def test_bodies_of_any_bytes_and_size_are_kept(self, store: Store) -> None:
        body = bytes(range(256)) * 8_000
        summary = await self.begin(store)
        kept = Entry(body, b"\x00" * 16)
        await store.append(append_to(summary, entries=[kept]))
        assert (await store.read(summary.new.execution_id)).entries[-1] == kept

    async def test_a_payload_at_the_cap_is_kept(self, store: Store) -> None:
        # What frames it comes on top.
        body = bytes(range(256)) * (PAYLOAD_BYTES_MAX // 256 + 4)
        summary = await self.begin(store)
        kept = Entry(body, b"\x00" * 16)
        await store.append(append_to(summary, entries=[kept]))
        assert (await store.read(summary.new.execution_id)).entries[-1] == kept

    async def test_many_large_payloads_at_once_are_kept(self, store: Store) -> None:
        bodies = [bytes([number]) * (256 * 1024 + number) for number in range(60)]
        summaries = [await self.begin(store) for _ in bodies]
        await asyncio.gather(
            *(
                store.append(append_to(one, entries=[Entry(body, body[:16])]))
                for one, body in zip(summaries, bodies, strict=True)
            )
        )
        for one, body in zip(summaries, bodies, strict=True):
            assert (await store.read(one.new.execution_id)).entries[-1].body == body

    # -- reading -----------------------------------------------------------------------

    @pytest.mark.parametrize("name", ["nobody", "no\0body"])
    async def test_an_unknown_execution_is_told_so(self, store: Store, name: str) -> None:
        with pytest.raises(UnknownExecution, match=name):
            await store.read(name)
        with pytest.raises(UnknownExecution, match=name):
            await store.post(Message("m1", name, b"cancel"))

    # -- messages ----------------------------------------------------------------------

    async def test_a_message_comes_with_every_beat_until_it_is_heard(
        self, store: Store
    ) -> None:
        summary = await self.begin(store, "x1")
        message = Message("m1", "x1", b"cancel")
        await store.post(message)
        for _ in range(2):
            assert await store.beat(ANN, NOW_MS, LATER_MS) == [message]
            assert await store.beat(BOB, NOW_MS, LATER_MS) == []
        await store.append(append_to(summary, "two", heard=("m1",)))
        assert await store.beat(ANN, NOW_MS, LATER_MS) == []

    async def test_what_waits_comes_with_the_history_until_it_is_heard(
        self, store: Store
    ) -> None:
        summary = await self.begin(store, "x1")
        await self.begin(store, "x2")
        waiting = tuple(Message(one, "x1", one.encode()) for one in ("m1", "m2"))
        for message in waiting:
            await store.post(message)
        assert (await store.read("x1")).waiting == waiting
        assert (await store.read("x2")).waiting == ()
        await store.append(append_to(summary, "two", heard=("m1",), put_aside=("m2",)))
        history = await store.read("x1")
        assert (history.waiting, history.aside) == ((), waiting[1:])

    async def test_messages_are_heard_in_the_order_in_which_they_were_posted(
        self, store: Store
    ) -> None:
        for name in ("x2", "x1"):
            await self.begin(store, name)
        # Not the order of their ids, nor its opposite.
        posted = [
            Message(one, f"x{1 + place % 2}", one.encode())
            for place, one in enumerate(["m9", "m10", "m1", "z", "a", "m2"])
        ]
        for message in posted:
            await store.post(message)
        told = await store.beat(ANN, NOW_MS, LATER_MS)
        for name in ("x1", "x2"):
            own = [one for one in posted if one.execution_id == name]
            assert [one for one in told if one.execution_id == name] == own
            assert [*(await store.read(name)).waiting] == own

    async def test_hearing_needs_no_entry(self, store: Store) -> None:
        summary = await self.begin(store, "x1")
        await store.post(Message("m1", "x1", b""))
        await store.append(append_to(summary, heard=("m1",)))
        assert await store.beat(ANN, NOW_MS, LATER_MS) == []
        assert (await store.read("x1")).summary == summary

    async def test_a_message_posted_again_comes_once(self, store: Store) -> None:
        summary = await self.begin(store, "x1")
        for body in (b"first", b"second"):
            await store.post(Message("m1", "x1", body))
        assert await store.beat(ANN, NOW_MS, LATER_MS) == [Message("m1", "x1", b"first")]
        await store.append(append_to(summary, "two", heard=("m1",)))
        await store.post(Message("m1", "x1", b"third"))
        assert await store.beat(ANN, NOW_MS, LATER_MS) == []

    async def test_an_append_that_is_refused_hears_nothing(self, store: Store) -> None:
        summary = await self.begin(store, "x1")
        await store.post(Message("m1", "x1", b""))
        with pytest.raises(LostRace):
            await store.append(append_to(summary, "two", expected_length=9, heard=("m1",)))
        assert len(await store.beat(ANN, NOW_MS, LATER_MS)) == 1

    @pytest.mark.parametrize("standing", [AT_ONCE, COMPLETED], ids=["goes on", "ends"])
    async def test_a_message_that_is_put_aside_is_told_no_more_and_kept(
        self, store: KeptStore, standing: Standing
    ) -> None:
        summary = await self.begin(store, "x1")
        odd, heard = Message("odd", "x1", b"\xff odd"), Message("m1", "x1", b"one")
        for message in (odd, heard):
            await store.post(message)
        given: Any = {"put_aside": ("odd",), "heard": ("m1",), "is_released": True}
        await store.append(append_to(summary, "two", standing=standing, **given))
        assert (await store.read("x1")).aside == (odd,)
        # Nobody is woken for it any more.
        later = Standing("running", NOW_MS, None)
        taken = await store.take(ANN, NOW_MS, "x1")
        assert await store.beat(ANN, NOW_MS, LATER_MS) == []
        await store.append(append_to(taken, standing=later, is_released=True))
        assert (await store.claim(BOB, NOW_MS, 10)).executions == []
        assert (await store.read("x1")).aside == (odd,)

    async def test_what_was_put_aside_goes_with_its_execution(
        self, store: KeptStore
    ) -> None:
        summary = await self.begin(store, "x1")
        await store.post(Message("odd", "x1", b"odd"))
        given: Any = {"put_aside": ("odd",), "is_released": True}
        await store.append(append_to(summary, "two", standing=COMPLETED, **given))
        await store.remove([(await store.read("x1")).summary])
        await self.begin(store, "x1")
        assert (await store.read("x1")).aside == ()
        assert await store.check() == []

    async def test_a_message_to_nobody_is_refused(self, store: Store) -> None:
        with pytest.raises(UnknownExecution):
            await store.post(Message("m1", "nobody", b""))

    async def test_a_message_makes_an_execution_due(self, store: Store) -> None:
        await self.free(store, "x1", None)
        assert (await store.claim(BOB, NOW_MS, 10)).executions == []
        await store.post(Message("m1", "x1", b""))
        claimed = await store.claim(BOB, NOW_MS, 10)
        assert [one.new.execution_id for one in claimed.executions] == ["x1"]
        assert len(await store.beat(BOB, NOW_MS, LATER_MS)) == 1

    @pytest.mark.parametrize("moment", ["before its end", "after its end", "taken"])
    async def test_what_came_while_it_was_over_is_not_told_when_it_runs_again(
        self, store: Store, moment: str
    ) -> None:
        summary = await self.begin(store, "x1")
        asleep = Standing("running", NOW_MS, None)
        message = Message("m1", "x1", b"cancel")
        if moment == "before its end":
            await store.post(message)
        ending = append_to(summary, "end", standing=COMPLETED, is_released=True)
        await store.append(ending)
        if moment == "after its end":
            await store.post(message)
        taken = await store.take(ANN, NOW_MS, "x1")
        if moment == "taken":
            await store.post(message)
        await store.append(append_to(taken, "resumed", standing=asleep, is_released=True))
        assert (await store.claim(BOB, NOW_MS, 10)).executions == []
        await store.take(ANN, NOW_MS, "x1")
        assert await store.beat(ANN, NOW_MS, LATER_MS) == []
        # It is open again: whoever says the same now is heard.
        await store.post(message)
        assert await store.beat(ANN, NOW_MS, LATER_MS) == [message]

    # -- plans -------------------------------------------------------------------------

    async def test_a_plan_is_kept_as_it_was_first_saved(self, store: Store) -> None:
        await store.save_plan("sha256:1", b"one")
        await store.save_plan("sha256:1", b"two")
        assert await store.load_plan("sha256:1") == b"one"
        with pytest.raises(UnknownPlan):
            await store.load_plan("sha256:2")

    # -- leases ------------------------------------------------------------------------

    async def test_what_is_due_is_claimed_in_a_new_epoch(self, store: Store) -> None:
        await self.free(store, "due", NOW_MS)
        await self.free(store, "later", NOW_MS + 1)
        await self.free(store, "never", None)
        await self.begin(store, "held")
        claimed = await store.claim(BOB, NOW_MS, 10)
        assert [one.new.execution_id for one in claimed.executions] == ["due"]
        assert (claimed.executions[0].epoch, claimed.executions[0].owner) == (2, BOB)
        assert claimed.next_wake_at_ms == NOW_MS + 1
        assert (await store.read("due")).summary == claimed.executions[0]

    async def test_what_has_ended_is_not_claimed(self, store: Store) -> None:
        summary = await self.begin(store)
        await store.append(append_to(summary, "end", standing=COMPLETED, is_released=True))
        assert (await store.claim(BOB, LATER_MS, 10)).executions == []

    async def test_claims_go_by_priority_then_by_due_time(self, store: Store) -> None:
        for execution_id, priority, wake_at_ms in (
            ("third", 0, 5),
            ("second", 0, 4),
            ("fourth", -1, 0),
            ("first", 9, 9),
        ):
            standing = Standing("running", NOW_MS, wake_at_ms)
            await self.begin(store, execution_id, standing, priority=priority)
        await store.release(ANN, ["first", "second", "third", "fourth"])
        order = []
        for _ in range(4):
            claimed = await store.claim(BOB, NOW_MS, 1)
            order += [one.new.execution_id for one in claimed.executions]
        assert order == ["first", "second", "third", "fourth"]

    async def test_two_claims_at_once_share_nothing(self, store: Store) -> None:
        for number in range(30):
            await self.free(store, f"x{number}", 0)
        both = await asyncio.gather(
            store.claim(ANN, NOW_MS, 20), store.claim(BOB, NOW_MS, 20)
        )
        ids = [one.new.execution_id for claimed in both for one in claimed.executions]
        assert len(ids) == len(set(ids)) == 30

    async def test_an_old_holder_is_fenced(self, store: Store) -> None:
        old = await self.begin(store, "x1")
        await store.beat(BOB, LATER_MS + 1, LATER_MS + 1_000)
        claimed = await store.claim(BOB, LATER_MS + 1, 10)
        assert [one.new.execution_id for one in claimed.executions] == ["x1"]
        with pytest.raises(LostRace):
            await store.append(append_to(old, "stale"))
        await store.append(append_to(claimed.executions[0], "fresh"))

    async def test_a_worker_that_beats_keeps_what_it_holds(self, store: Store) -> None:
        await self.begin(store, "x1")
        await store.beat(ANN, LATER_MS, LATER_MS + 2_000)
        await store.beat(BOB, LATER_MS + 1, LATER_MS + 2_000)
        assert (await store.claim(BOB, LATER_MS + 1, 10)).executions == []

    @pytest.mark.parametrize("verb", ["create", "claim", "take"])
    async def test_what_comes_to_a_worker_after_its_lease_is_not_lost_with_it(
        self, store: Store, verb: str
    ) -> None:
        if verb != "create":
            await self.free(store, "x1", 0)
        await store.beat(BOB, LATER_MS + 1, LATER_MS + 9_000)
        match verb:
            case "create":
                await self.begin(store, "x1")
            case "claim":
                await store.claim(ANN, LATER_MS + 2, 10)
            case _:
                await store.take(ANN, LATER_MS + 2, "x1")
        assert (await store.read("x1")).summary.owner == ANN
        await store.beat(BOB, LATER_MS + 3, LATER_MS + 9_000)
        claimed = await store.claim(BOB, LATER_MS + 3, 10)
        assert [one.new.execution_id for one in claimed.executions] == ["x1"]

    async def test_one_that_is_held_cannot_be_taken(self, store: Store) -> None:
        summary = await self.begin(store, "x1")
        with pytest.raises(LostRace):
            await store.take(BOB, NOW_MS, "x1")
        assert (await store.read("x1")).summary == summary

    async def test_one_that_is_not_due_can_be_taken(self, store: Store) -> None:
        await self.free(store, "x1", None)
        taken = await store.take(BOB, NOW_MS, "x1")
        assert (taken.owner, taken.epoch) == (BOB, 2)

    async def test_one_that_has_ended_can_be_taken(self, store: Store) -> None:
        summary = await self.begin(store, "x1")
        await store.append(append_to(summary, "end", standing=COMPLETED, is_released=True))
        taken = await store.take(BOB, NOW_MS, "x1")
        await store.append(append_to(taken, "resumed"))

    async def test_its_holder_takes_it_in_a_new_epoch(self, store: Store) -> None:
        summary = await self.begin(store, "x1")
        taken = await store.take(ANN, NOW_MS, "x1")
        assert taken.epoch == summary.epoch + 1

    async def test_nobody_cannot_be_taken(self, store: Store) -> None:
        with pytest.raises(UnknownExecution):
            await store.take(ANN, NOW_MS, "nobody")

    async def test_only_the_holder_releases(self, store: Store) -> None:
        await self.begin(store, "x1")
        await store.release(BOB, ["x1", "nobody"])
        assert (await store.claim(BOB, NOW_MS, 10)).executions == []
        await store.release(ANN, ["x1"])
        assert len((await store.claim(BOB, NOW_MS, 10)).executions) == 1

    async def test_who_leaves_gives_all_back(self, store: Store) -> None:
        for number in range(3):
            await self.begin(store, f"x{number}")
        await store.leave(ANN)
        assert len((await store.claim(BOB, NOW_MS, 10)).executions) == 3

    # -- opened more than once ---------------------------------------------------------

    async def test_another_opening_sees_everything(
        self, store: Store, stores: OpenStore
    ) -> None:
        summary = await self.begin(store, "x1", key="k", tags=("a",))
        await store.append(append_to(summary, "two"))
        await store.save_plan("sha256:1", b"plan")
        other = await stores()
        assert await other.read("x1") == await store.read("x1")
        assert await other.load_plan("sha256:1") == b"plan"
        assert len(await other.find(Search(tag="a"))) == 1

    async def test_a_worker_hears_what_another_opening_writes(
        self, store: Store, stores: OpenStore
    ) -> None:
        await self.begin(store, "x1")
        other = await stores()
        hearing = asyncio.ensure_future(store.changed())
        await asyncio.sleep(0)
        await other.post(Message("m1", "x1", b""))
        async with asyncio.timeout(10):
            await hearing
            while not await store.beat(ANN, NOW_MS, LATER_MS):
                await store.changed()
