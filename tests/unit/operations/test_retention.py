"""Retention: what ended long ago goes by itself, archived, by one worker at a time."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import Any

import orjson
import pytest

from plait.assembly import compose
from plait.assembly.archives import ArchiveFile, ArchiveRefused, archive_of_today
from plait.assembly.settings import Settings, StoreSection
from plait.drivers.journal import Start, Store
from plait.operations import Intake, Keeping, Sweeper
from plait.operations.retention import CHARGE_MS
from plait.ports.journal import Search, StoreUnavailable, Summary
from plait.ports.upkeep import Upkeep
from plait.stores.memory import MemoryStore
from plait.stores.sqlite import SqliteStore
from tests.simulation.asking import plan_of
from tests.unit.stores.histories import finished, hand, running, tamper

DAY_MS = 86_400_000
IDS = ("x1", "x2", "x3")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "plait.db"


@pytest.fixture
async def store(path: Path) -> AsyncIterator[SqliteStore]:
    opened = await SqliteStore.open(path)
    yield opened
    await opened.close()


class Clock:
    """Tells a moment that stands still until it is moved."""

    def __init__(self) -> None:
        self.at_ms = 0

    def __call__(self) -> int:
        return self.at_ms

    async def after(self, store: Store, ended: str, passed_ms: int) -> None:
        """Be so long after the end of an execution."""
        self.at_ms = (await store.read(ended)).summary.standing.at_ms + passed_ms


async def long_ago(
    store: Store, *ids: str, passed_ms: int = 2 * DAY_MS, **fields: Any
) -> Clock:
    """Run executions to their end; return a clock so long after that of the last."""
    await finished(store, *ids, **fields)
    clock = Clock()
    await clock.after(store, ids[-1], passed_ms)
    return clock


def sweeper(store: Store, clock: Clock, worker: str = "w", **fields: Any) -> Sweeper:
    return Sweeper(store, worker, Keeping(DAY_MS, **fields), clock)


async def names(store: Store) -> set[str]:
    return {one.new.execution_id for one in await store.find(Search(limit=10_000))}


async def test_what_ended_longer_ago_than_it_is_kept_goes(store: SqliteStore) -> None:
    clock = await long_ago(store, *IDS, passed_ms=DAY_MS)
    await finished(store, "later")
    later = await store.read("later")
    assert await sweeper(store, clock).sweep() <= 3
    await clock.after(store, "x3", DAY_MS + 1)
    clock.at_ms = min(clock.at_ms, later.summary.standing.at_ms + DAY_MS)
    await sweeper(store, clock).sweep()
    assert await names(store) == {"later"}
    assert await store.check() == []


async def test_what_goes_is_archived_first_and_can_be_taken_in_again(
    store: SqliteStore, tmp_path: Path
) -> None:
    clock = await long_ago(store, *IDS, tags=("vip",))
    folder = tmp_path / "archive" / "plait"
    before = {name: await store.read(name) for name in IDS}
    kept = sweeper(store, clock, archive=partial(archive_of_today, folder))
    assert await kept.sweep() == 3
    (file,) = folder.iterdir()
    lines = file.read_bytes().splitlines()
    assert {orjson.loads(one)["execution"]["execution_id"] for one in lines} == set(IDS)
    async with Intake(hand(store)) as intake:
        for line in lines:
            await intake.take(line)
    for name in IDS:
        found = await store.read(name)
        assert found.entries == before[name].entries
        assert found.summary.new == before[name].summary.new


async def test_what_cannot_be_archived_stays_and_is_told_once(
    store: SqliteStore, path: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    clock = await long_ago(store, *IDS)
    tamper(path, "UPDATE standings SET head = x'00' WHERE execution = 2")
    kept = sweeper(store, clock, archive=partial(archive_of_today, tmp_path))
    for _ in range(2):
        await kept.sweep()
    assert await names(store) == {"x2"}
    assert [one.levelno for one in caplog.records] == [logging.ERROR]
    assert "x2 is not archived" in caplog.text


async def test_where_nothing_can_be_archived_nothing_goes(store: SqliteStore) -> None:
    clock = await long_ago(store, *IDS)

    def full() -> AbstractContextManager[ArchiveFile]:
        return archive_of_today(Path("/dev/null/folder"))

    with pytest.raises(OSError, match="Not a directory"):
        await sweeper(store, clock, archive=full).sweep()
    assert await names(store) == set(IDS)


async def test_what_is_the_stores_own_is_no_archive_and_nothing_goes(
    store: SqliteStore, path: Path
) -> None:
    await long_ago(store, *IDS)
    own = {"url": str(path), "retention": "1ms", "archive": f"{path}.blobs"}
    kept = compose.sweeper(Settings(store=StoreSection.model_validate(own)), store, "w")
    assert kept is not None
    with pytest.raises(ArchiveRefused, match="belongs to the store"):
        await kept.sweep()
    assert await names(store) == set(IDS)


async def test_one_worker_at_a_time_removes_and_another_follows_it(
    store: SqliteStore,
) -> None:
    clock = await long_ago(store, "x1")
    first, second = sweeper(store, clock, "first"), sweeper(store, clock, "second")
    assert await first.sweep() == 1
    await finished(store, "x2")
    assert await second.sweep() == 0
    clock.at_ms += CHARGE_MS
    assert await second.sweep() == 1
    assert await first.sweep() == 0


async def test_a_worker_that_lost_its_charge_stops_after_a_page() -> None:
    store = Deposing()
    clock = await long_ago(store, *(f"x{number}" for number in range(250)))
    assert await sweeper(store, clock).sweep() == 100


class Deposing(MemoryStore):
    """Hands the charge to somebody else as soon as something was removed."""

    async def remove(self, ended: Any) -> list[str]:
        removed = await super().remove(ended)
        await self.charge("w", 0, 0)
        assert await self.charge("other", 10**14, 10**15)
        return removed


async def test_others_have_their_turn_between_two_pages(store: SqliteStore) -> None:
    """Half of the time at least: a page is followed by as long a rest."""
    ids = [f"x{number:03}" for number in range(300)]
    clock = await long_ago(store, *ids, passed_ms=DAY_MS + 1)
    sweeping = asyncio.ensure_future(sweeper(store, clock).sweep())
    async with running(store) as driver:
        plan = plan_of(
            {"name": "shop", "steps": [{"id": "a", "type": "ask", "request": {}}]}
        )
        count = 0
        while not sweeping.done():
            await driver.start(plan, Start(f"y{count}", None))
            await driver.ended(f"y{count}")
            count += 1
    assert await sweeping == 300
    assert count >= 3
    assert await names(store) == {f"y{number}" for number in range(count)}


# -- running ---------------------------------------------------------------------------


class Failing(MemoryStore):
    """Cannot be reached for the first rounds; says when something was removed."""

    def __init__(self, outages: int) -> None:
        super().__init__()
        self.outages = outages
        self.removed = asyncio.Event()

    async def ended(self, *wanted: Any) -> list[Summary]:
        if self.outages:
            self.outages -= 1
            raise StoreUnavailable("not now")
        return await super().ended(*wanted)

    async def remove(self, ended: Any) -> list[str]:
        removed = await super().remove(ended)
        self.removed.set()
        return removed


async def test_an_outage_ends_only_its_round(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("plait.operations.retention._EVERY_S_MIN", 0.001)
    store = Failing(outages=2)
    clock = await long_ago(store, "x1", passed_ms=100)
    sweeping = asyncio.ensure_future(Sweeper(store, "w", Keeping(1), clock).run())
    await store.removed.wait()
    sweeping.cancel()
    await asyncio.gather(sweeping, return_exceptions=True)
    assert caplog.text.count("old executions stay for now: not now") == 2
    assert await names(store) == set()
    # Whoever stops gives the charge up.
    assert await store.charge("other", clock.at_ms, clock.at_ms + 1)


def test_every_store_of_ours_can_be_looked_after() -> None:
    assert isinstance(MemoryStore(), Upkeep)
