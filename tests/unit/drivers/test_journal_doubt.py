"""When the store's answer is lost or late: what a worker holds, and what it may do."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import pytest

from plait.drivers.journal import Start, is_at_rest
from plait.ports.calls import Call, CallHandle, CallReply, Done
from plait.ports.journal import (
    Append,
    Created,
    Entry,
    History,
    Hold,
    NewExecution,
    Standing,
    StoreUnavailable,
    UnknownPlan,
)
from plait.ports.leases import Claimed
from plait.stores.memory import MemoryStore
from plait.testing.virtual_time import run_virtually
from tests.simulation.asking import ask, plan_with
from tests.unit.drivers.workers import a_while, driver_on

T = TypeVar("T")


class ForgetfulStore(MemoryStore):
    """Does what it is asked for; loses the answer to the writes named in `loses`."""

    def __init__(self, *loses: str) -> None:
        super().__init__()
        self.loses = list(loses)
        self.before_read: Callable[[], Awaitable[None]] | None = None
        self.after_append: Callable[[], Awaitable[None]] | None = None

    async def create(
        self,
        new: NewExecution,
        entries: Sequence[Entry],
        standing: Standing,
        owner: str,
        under: Hold | None = None,
    ) -> Created:
        return self._answer(
            "create", await super().create(new, entries, standing, owner, under)
        )

    async def append(self, append: Append) -> None:
        await super().append(append)
        after, self.after_append = self.after_append, None
        if after is not None:
            await after()
        self._answer("append", None)

    async def claim(self, worker_id: str, now_ms: int, limit: int) -> Claimed:
        claimed = await super().claim(worker_id, now_ms, limit)
        return self._answer("claim", claimed) if claimed.executions else claimed

    async def read(self, execution_id: str) -> History:
        before, self.before_read = self.before_read, None
        if before is not None:
            await before()
        return await super().read(execution_id)

    def _answer(self, verb: str, answer: T) -> T:
        if verb in self.loses:
            self.loses.remove(verb)
            raise StoreUnavailable("the connection was lost")
        return answer


@dataclass
class Calls:
    """Answers every call at once, and keeps it."""

    made: list[Call]

    def start(self, call: Call, done: Done) -> CallHandle:
        self.made.append(call)
        outcome = CallReply(call.step, {})
        return asyncio.get_running_loop().call_later(0.01, done, outcome)

    async def close(self) -> None:
        """Nothing to close."""


PLAN = plan_with(ask("a"), ask("b", depends_on=["a"]))


async def begin_for_anybody(store: MemoryStore) -> None:
    """Leave an execution that is due, and that nobody holds."""
    eve = driver_on(store, "eve", Calls([]))
    await eve.start(PLAN, Start("x", None))
    await eve.perish()
    await store.leave("eve")


@pytest.mark.parametrize("lost", [["create"], ["append"], ["append"] * 2, ["claim"]])
def test_what_a_lost_answer_gave_a_worker_it_takes_up_itself(lost: list[str]) -> None:
    async def main() -> tuple[str, list[str]]:
        store, calls = ForgetfulStore(*lost), Calls([])
        driver = driver_on(store, "ann", calls)
        await driver.open()
        if lost == ["claim"]:
            await begin_for_anybody(store)
            driver.stir()
        else:
            try:
                await driver.start(PLAN, Start("x", None))
            except StoreUnavailable:
                assert lost == ["create"]
        summary = await driver.ended("x")
        assert store.loses == []
        assert summary.owner is None
        assert (await store.read("x")).summary.owner is None
        await driver.close()
        return summary.standing.status, [call.step for call in calls.made]

    assert run_virtually(main()) == ("completed", ["a", "b"])


class DamagedStore(ForgetfulStore):
    """Finds a page that nobody wrote, the first time that it hands something out."""

    is_damaged = True

    async def claim(self, worker_id: str, now_ms: int, limit: int) -> Claimed:
        if self.is_damaged:
            self.is_damaged = False
            raise UnknownPlan("sha256:1")
        return await super().claim(worker_id, now_ms, limit)


def test_a_worker_that_can_claim_nothing_looks_again() -> None:
    async def main() -> str:
        store = DamagedStore()
        await begin_for_anybody(store)
        driver = driver_on(store, "ann", Calls([]))
        await driver.open()
        summary = await driver.ended("x")
        await driver.close()
        return summary.standing.status

    assert run_virtually(main()) == "completed"


class GarblingStore(ForgetfulStore):
    """Hands something out, and gives an answer that nobody can read, the first time."""

    is_garbled = True

    async def claim(self, worker_id: str, now_ms: int, limit: int) -> Claimed:
        claimed = await super().claim(worker_id, now_ms, limit)
        if claimed.executions and self.is_garbled:
            self.is_garbled = False
            raise ValueError("no such status")
        return claimed


def test_what_an_unreadable_answer_gave_a_worker_it_takes_up_itself() -> None:
    async def main() -> str:
        store = GarblingStore()
        await begin_for_anybody(store)
        driver = driver_on(store, "ann", Calls([]))
        await driver.open()
        async with asyncio.timeout(60):
            summary = await driver.ended("x")
        assert not store.is_garbled
        await driver.close()
        return summary.standing.status

    assert run_virtually(main()) == "completed"


class DeafStore(ForgetfulStore):
    """Takes its first cancellation for a time-out, as client libraries have done."""

    cancel_count = 0

    async def claim(self, worker_id: str, now_ms: int, limit: int) -> Claimed:
        try:
            never: asyncio.Future[Claimed] = asyncio.get_running_loop().create_future()
            return await never
        except asyncio.CancelledError:
            self.cancel_count += 1
            if self.cancel_count > 1:
                raise
            return Claimed([], None)


def test_a_cancellation_that_was_swallowed_does_not_keep_a_worker_from_closing() -> None:
    async def main() -> int:
        store = DeafStore()
        driver = driver_on(store, "ann", Calls([]))
        await driver.open()
        await a_while(0.1)
        async with asyncio.timeout(10):
            await driver.close()
        return store.cancel_count

    assert run_virtually(main()) == 1


def test_a_history_of_a_newer_epoch_is_not_gone_on_with() -> None:
    async def main() -> list[Call]:
        store, calls = ForgetfulStore(), Calls([])
        await begin_for_anybody(store)
        ann = driver_on(store, "ann", calls)
        overtaken: list[int] = []

        async def overtake() -> None:
            """Bob gets it while Ann is on her way to read what she has claimed."""
            await store.leave("ann")
            claimed = await store.claim("bob", ann.now_ms(), 10)
            overtaken.append(len(claimed.executions))

        store.before_read = overtake
        await ann.open()
        await a_while(1)
        assert overtaken == [1]
        await ann.close()
        return calls.made

    assert run_virtually(main()) == []


def test_what_is_claimed_again_by_who_was_overtaken_still_hears() -> None:
    nap = {"id": "nap", "type": "wait", "for": "900ms", "depends_on": ["a"]}

    async def main() -> tuple[str, int]:
        store, calls = ForgetfulStore(), Calls([])
        ann = driver_on(store, "ann", calls)
        await ann.open()
        await ann.start(plan_with(ask("a"), nap), Start("x", None))
        await store.leave("ann")  # as when her lease has run out
        ann.stir()
        await a_while(0.1)
        await ann.cancel("x", "no longer", "m1")
        summary = await ann.ended("x")
        await ann.close()
        return summary.standing.status, summary.epoch

    assert run_virtually(main()) == ("cancelled", 2)


@dataclass
class Slow(Calls):
    """Takes longer than a worker does from beat to beat."""

    def start(self, call: Call, done: Done) -> CallHandle:
        self.made.append(call)
        outcome = CallReply(call.step, {})
        return asyncio.get_running_loop().call_later(6.0, done, outcome)


def test_what_an_overtaken_worker_got_again_by_a_lost_answer_it_takes_up() -> None:
    async def main() -> tuple[str, int]:
        store = ForgetfulStore("claim")
        ann = driver_on(store, "ann", Slow([]))
        await ann.open()
        await ann.start(plan_with(ask("a")), Start("x", None))
        await store.leave("ann")  # as when her lease has run out
        ann.stir()
        async with asyncio.timeout(60):
            summary = await ann.ended("x")
        assert store.loses == []
        await ann.close()
        return summary.standing.status, summary.epoch

    assert run_virtually(main()) == ("completed", 3)


def test_a_message_that_comes_as_an_execution_leaves_the_memory_is_heard() -> None:
    nap = {"id": "nap", "type": "wait", "for": "3d", "depends_on": ["a"]}

    async def main() -> str:
        store = ForgetfulStore()
        ann = driver_on(store, "ann", Calls([]))
        await ann.open()
        await ann.start(plan_with(ask("a"), nap), Start("x", None))
        store.after_append = lambda: ann.cancel("x", "no longer", "m1")
        summary = await ann.ended("x")
        await ann.close()
        return summary.standing.status

    assert run_virtually(main()) == "cancelled"


class NeverAnswered(Calls):
    """Takes calls, and answers none."""

    def start(self, call: Call, done: Done) -> CallHandle:
        self.made.append(call)
        return asyncio.get_running_loop().call_later(1e9, done, CallReply(None, {}))


class SelectiveStore(MemoryStore):
    """Gives the worker `waits` nothing to do."""

    async def claim(self, worker_id: str, now_ms: int, limit: int) -> Claimed:
        if worker_id == "waits":
            return Claimed([], None)
        return await super().claim(worker_id, now_ms, limit)


def test_who_waits_hears_that_a_person_has_to_decide_in_whatever_worker() -> None:
    async def main() -> tuple[str, str | None]:
        store = SelectiveStore()
        dead = driver_on(store, "dead", NeverAnswered([]))
        await dead.open()
        await dead.start(plan_with(ask("a", effect="unsafe")), Start("x", None))
        waits = driver_on(store, "waits", Calls([]))
        await waits.open()
        waiting = asyncio.create_task(waits.ended("x", is_at_rest))
        await dead.perish()
        heir = driver_on(store, "heir", Calls([]))
        await heir.open()
        standing = (await waiting).standing
        await heir.close()
        await waits.close()
        return standing.status, standing.error_code

    assert run_virtually(main()) == ("running", "step.outcome_unknown")
