"""A child does not outlive the parent that waits for it, wherever a worker dies."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any, TypeVar

import pytest

from plait.drivers.journal import JournalDriver, Start
from plait.kernel import Kernel
from plait.operations import Hand, cancel
from plait.ports.journal import (
    Append,
    Created,
    Entry,
    History,
    Hold,
    Message,
    NewExecution,
    Search,
    Standing,
    StoreUnavailable,
    Summary,
)
from plait.stores.memory import MemoryStore
from plait.testing.virtual_time import run_virtually
from tests.simulation.asking import ask, plan_with
from tests.unit.drivers.test_journal_doubt import Calls, NeverAnswered
from tests.unit.drivers.workers import a_while, driver_on

T = TypeVar("T")

KID: Any = {"id": "kid", "type": "workflow", "request": {"name": "child"}}
BRIEF: Any = {**KID, "timeout": "500ms"}
LIMITED: Any = {**KID, "attempt_timeout": "500ms"}
BESIDE: Any = {"id": "beside", "type": "wait", "for": "500ms"}
BROKEN: Any = {"id": "broken", "type": "fail", "code": "custom.bad"}
NAP: Any = {"id": "nap", "type": "wait", "for": "30d"}
CHILDREN = {
    "a call": plan_with(ask("a"), name="child"),
    "a wait": plan_with(NAP, name="child"),
}
ENDS: dict[str, tuple[Any, str]] = {
    "its step's time is over": (plan_with(BRIEF), "failed"),
    "its attempt's time is over": (plan_with(LIMITED), "failed"),
    "something beside it fails": (
        plan_with(KID, BESIDE, {**BROKEN, "depends_on": ["beside"]}),
        "failed",
    ),
    "its step's failure is passed over": (
        plan_with({**BRIEF, "on_error": "continue"}, NAP),
        "running",
    ),
}


class MortalStore(MemoryStore):
    """Ends its worker's life at write number `dies_at`."""

    def __init__(self) -> None:
        super().__init__()
        self.dies_at: int | None = None
        self.is_kept = True
        self.died = asyncio.Event()

    async def create(
        self,
        new: NewExecution,
        entries: Sequence[Entry],
        standing: Standing,
        owner: str,
        under: Hold | None = None,
    ) -> Created:
        write = super().create
        return await self._write(lambda: write(new, entries, standing, owner, under))

    async def append(self, append: Append) -> None:
        write = super().append
        return await self._write(lambda: write(append))

    async def post(self, message: Message) -> None:
        write = super().post
        return await self._write(lambda: write(message))

    async def _write(self, write: Callable[[], Awaitable[T]]) -> T:
        await a_while(0.001)
        if self.dies_at is None:
            return await write()
        self.dies_at -= 1
        if self.dies_at > 0 or (self.dies_at == 0 and self.is_kept):
            written = await write()
        if self.dies_at <= 0:
            self.died.set()
            await asyncio.get_running_loop().create_future()
        return written


def parent_on(store: MemoryStore, worker_id: str, calls: Calls, kid: str) -> JournalDriver:
    return driver_on(store, worker_id, calls, workflows=lambda *_: CHILDREN[kid])


async def rows(store: MemoryStore) -> dict[str, Summary]:
    return {one.new.workflow: one for one in await store.find(Search())}


@pytest.mark.parametrize("is_kept", [True, False])
@pytest.mark.parametrize("kid", CHILDREN)
@pytest.mark.parametrize("end", ENDS)
def test_whenever_its_worker_dies_a_child_ends_with_the_step_that_waits_for_it(
    end: str, kid: str, is_kept: bool
) -> None:
    plan, status = ENDS[end]

    async def main(dies_at: int) -> bool:
        store, calls = MortalStore(), NeverAnswered([])
        store.dies_at, store.is_kept = dies_at, is_kept
        first = parent_on(store, "first", calls, kid)
        await first.open()
        starting = asyncio.create_task(first.start(plan, Start("x", None)))
        with suppress(TimeoutError):
            async with asyncio.timeout(5):
                await store.died.wait()
        starting.cancel()
        has_died, store.dies_at = store.died.is_set(), None
        await first.perish()
        await store.leave("first")
        second = parent_on(store, "second", calls, kid)
        await second.open()
        await a_while(20)
        found = await rows(store)
        if "test" in found:
            assert found["test"].standing.status == status, dies_at
            assert found["child"].standing.status == "cancelled", dies_at
        await second.close()
        return has_died

    deaths = 1
    while run_virtually(main(deaths)):
        deaths += 1
    assert deaths > 3


class SlowToBegin(MemoryStore):
    """Takes a second to begin a child."""

    async def create(
        self,
        new: NewExecution,
        entries: Sequence[Entry],
        standing: Standing,
        owner: str,
        under: Hold | None = None,
    ) -> Created:
        if new.parent is not None:
            await a_while(1)
        return await super().create(new, entries, standing, owner, under)


def test_a_child_that_begins_after_its_step_was_given_up_ends() -> None:
    async def main() -> str:
        store = SlowToBegin()
        driver = parent_on(store, "w", NeverAnswered([]), "a call")
        await driver.open()
        await driver.start(ENDS["its step's time is over"][0], Start("x", None))
        await driver.ended("x")
        await a_while(5)
        await driver.close()
        return (await rows(store))["child"].standing.status

    assert run_virtually(main()) == "cancelled"


def test_an_overtaken_worker_begins_no_child() -> None:
    async def main() -> dict[str, str]:
        store = SlowToBegin()
        zombie = parent_on(store, "zombie", NeverAnswered([]), "a call")
        await zombie.open()
        await zombie.start(plan_with(KID), Start("x", None))
        await a_while(0.1)
        await store.leave("zombie")  # as when its lease has run out
        await cancel(Hand(store, Kernel, "hand", 0, {}), "x", "enough")
        await a_while(5)
        found = await rows(store)
        await zombie.close()
        return {workflow: one.standing.status for workflow, one in found.items()}

    assert run_virtually(main()) == {"test": "cancelled"}


@pytest.mark.parametrize("kid", CHILDREN)
def test_a_child_ends_when_its_parent_is_cancelled_by_hand(kid: str) -> None:
    async def main() -> tuple[str, str]:
        store = MemoryStore()
        first = parent_on(store, "first", NeverAnswered([]), kid)
        await first.open()
        await first.start(plan_with(KID), Start("x", None))
        await a_while(1)
        await first.close()
        hand = Hand(store, Kernel, "hand", first.now_ms(), {})
        ended = await cancel(hand, "x", "enough")
        second = parent_on(store, "second", NeverAnswered([]), kid)
        await second.open()
        await a_while(5)
        await second.close()
        return ended.standing.status, (await rows(store))["child"].standing.status

    assert run_virtually(main()) == ("cancelled", "cancelled")


def test_a_child_that_nobody_waits_for_outlives_its_parent() -> None:
    loose = {**KID, "request": {"name": "child", "wait": False}}

    async def main() -> tuple[str, str]:
        store = MemoryStore()
        driver = parent_on(store, "w", NeverAnswered([]), "a call")
        await driver.open()
        await driver.start(plan_with(loose), Start("x", None))
        await driver.ended("x")
        await a_while(60)
        found = await rows(store)
        await driver.close()
        return found["test"].standing.status, found["child"].standing.status

    assert run_virtually(main()) == ("completed", "running")


class AwayAtMessages(MemoryStore):
    """Cannot be reached for the first messages."""

    refusals = 3

    async def post(self, message: Message) -> None:
        if self.refusals:
            self.refusals -= 1
            raise StoreUnavailable("away")
        await super().post(message)


def test_a_parent_ends_when_its_children_can_be_told() -> None:
    async def main() -> tuple[str, str, int]:
        store = AwayAtMessages()
        driver = parent_on(store, "w", NeverAnswered([]), "a call")
        await driver.open()
        await driver.start(ENDS["something beside it fails"][0], Start("x", None))
        await driver.ended("x")
        await a_while(5)
        found = await rows(store)
        await driver.close()
        standings = found["test"].standing.status, found["child"].standing.status
        return *standings, store.refusals

    assert run_virtually(main()) == ("failed", "cancelled", 0)


class DamagedOnce(MemoryStore):
    """Shows the child's history without its end when a worker takes it up first."""

    is_damaged = True

    async def read(self, execution_id: str) -> History:
        history = await super().read(execution_id)
        if history.summary.new.parent is None or not self.is_damaged:
            return history
        self.is_damaged = False
        return replace(history, entries=history.entries[:-1])


def test_a_child_that_could_not_be_read_ends_with_its_parent_once_it_can() -> None:
    async def main() -> list[tuple[str, str]]:
        store = DamagedOnce()
        standings = []
        for number in range(3):
            driver = parent_on(store, f"w{number}", NeverAnswered([]), "a call")
            await driver.open()
            if number == 0:
                await driver.start(plan_with(KID), Start("x", None))
            await a_while(5)
            await driver.perish()
            await store.leave(f"w{number}")
            found = await rows(store)
            standings.append(
                (found["test"].standing.status, found["child"].standing.status)
            )
        return standings

    assert run_virtually(main()) == [
        ("running", "running"),
        ("failed", "running"),
        ("failed", "cancelled"),
    ]
