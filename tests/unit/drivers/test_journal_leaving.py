"""Whoever asked goes away while the store is writing: what was begun goes on."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from plait.drivers.journal import JournalDriver, Start, Unkept
from plait.kernel import Kernel
from plait.operations import Hand, cancel
from plait.ports.journal import (
    Created,
    Entry,
    Hold,
    NewExecution,
    Standing,
    StoreUnavailable,
)
from plait.ports.leases import Claimed
from plait.stores.memory import MemoryStore
from plait.testing.virtual_time import run_virtually
from tests.simulation.asking import ask, plan_with
from tests.unit.drivers.test_journal_doubt import Calls, NeverAnswered
from tests.unit.drivers.workers import driver_on

WRITE_S = 1.0
# Of virtual time: several beats.
A_MINUTE_S = 60.0


class SlowStore(MemoryStore):
    """Takes a second for each beginning; `is_away`: and then cannot be reached."""

    is_away = False

    async def create(
        self,
        new: NewExecution,
        entries: Sequence[Entry],
        standing: Standing,
        owner: str,
        under: Hold | None = None,
    ) -> Created:
        await asyncio.sleep(WRITE_S / 2)
        if self.is_away:
            raise StoreUnavailable("away")
        created = await super().create(new, entries, standing, owner, under)
        await asyncio.sleep(WRITE_S / 2)
        return created


async def given_up(asking: asyncio.Task[object], after_s: float) -> None:
    await asyncio.sleep(after_s)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking


class Refusing(MemoryStore):
    """Gives no answer to claims while it has an error."""

    error: Exception | None = None

    async def claim(self, worker_id: str, now_ms: int, limit: int) -> Claimed:
        if self.error is not None:
            raise self.error
        return await super().claim(worker_id, now_ms, limit)


def test_a_worker_tells_why_it_can_take_nothing_up_until_it_can() -> None:
    async def main() -> list[str | None]:
        store = Refusing()
        driver = driver_on(store, "w", Calls([]))
        await driver.open()
        told = [driver.trouble]
        for error in (StoreUnavailable("away"), ValueError("a defect"), None):
            store.error = error
            await asyncio.sleep(A_MINUTE_S)
            told.append(driver.trouble)
        await driver.close()
        return told

    assert run_virtually(main()) == [None, "store.unavailable", "internal", None]


@pytest.mark.parametrize("after_s", [WRITE_S / 4, WRITE_S * 3 / 4])
def test_a_start_that_nobody_waits_for_any_more_is_run(after_s: float) -> None:
    async def main() -> str:
        driver = driver_on(SlowStore(), "w", Calls([]))
        await driver.open()
        starting = asyncio.create_task(driver.start(plan_with(ask("a")), Start("x", None)))
        await given_up(starting, after_s)
        await asyncio.sleep(WRITE_S)
        summary = await driver.ended("x")
        await driver.close()
        return summary.standing.status

    assert run_virtually(main()) == "completed"


def promoted_and_left(store: SlowStore, calls: Calls) -> tuple[JournalDriver, Unkept]:
    driver = driver_on(store, "w", calls)
    kernel = Kernel(plan_with(ask("a"), ask("b", "${a.response}")))
    return driver, Unkept(driver, kernel, Start("x", None), 1)


@pytest.mark.parametrize("after_s", [WRITE_S / 4, WRITE_S * 3 / 4])
def test_a_promotion_that_nobody_waits_for_any_more_is_kept(after_s: float) -> None:
    async def main() -> tuple[str, list[str]]:
        calls = Calls([])
        driver, unkept = promoted_and_left(SlowStore(), calls)
        await driver.open()
        promoting = asyncio.create_task(unkept.promote())
        await given_up(promoting, after_s)
        unkept.abandon()
        await asyncio.sleep(WRITE_S)
        summary = await driver.ended("x")
        await driver.close()
        return summary.standing.status, [call.step for call in calls.made]

    assert run_virtually(main()) == ("completed", ["a", "b"])


def test_a_promotion_that_failed_with_nobody_waiting_is_given_up() -> None:
    async def main() -> bool:
        store, calls = SlowStore(), NeverAnswered([])
        store.is_away = True
        _, unkept = promoted_and_left(store, calls)
        promoting = asyncio.create_task(unkept.promote())
        await given_up(promoting, WRITE_S / 4)
        unkept.abandon()
        await asyncio.sleep(WRITE_S)
        return unkept._live.is_over

    assert run_virtually(main())


def test_a_hand_whose_clock_is_ahead_takes_nothing_from_a_worker_that_lives() -> None:
    async def main() -> tuple[str | None, int]:
        store = MemoryStore()
        driver = driver_on(store, "w", NeverAnswered([]))
        await driver.open()
        await driver.start(plan_with(ask("a")), Start("x", None))
        await driver.start(plan_with(ask("a")), Start("y", None))
        ahead_ms = driver.now_ms() + 3_600_000
        await cancel(Hand(store, Kernel, "hand", ahead_ms, {}), "y", "no longer")
        assert (await driver.ended("y")).standing.status == "cancelled"
        summary = (await store.read("x")).summary
        await driver.close()
        return summary.owner, summary.epoch

    assert run_virtually(main()) == ("w", 1)
