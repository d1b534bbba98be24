"""Records in SQLite keep the contract, beside a journal in the same file."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest

from plait.assembly.stores import UnknownStore, open_store
from plait.assembly.stores import open_records as open_by_place
from plait.ports.journal import TERMINAL, Search, StoreUnavailable
from plait.ports.records import Records
from plait.stores.faults import StoreDamaged
from plait.stores.sqlite import SqliteRecords, SqliteStore
from plait.testing.records_suite import (
    NOW_MS,
    LastingRecordsSuite,
    OpenRecords,
    drop,
    keys_of,
    put,
)
from tests.unit.stores.histories import damages, finished, tamper
from tests.unit.stores.test_files import files_of_at_most


@pytest.fixture
async def open_records(tmp_path: Path) -> AsyncIterator[OpenRecords]:
    opened: list[Records] = []

    async def open_records() -> Records:
        opened.append(await SqliteRecords.open(tmp_path / "deep" / "plait.db"))
        return opened[-1]

    yield open_records
    for records in opened:
        await records.close()


class TestSqliteRecords(LastingRecordsSuite):
    pass


async def test_a_change_that_fails_amid_a_batch_changes_nothing(
    open_records: OpenRecords, tmp_path: Path
) -> None:
    records = await open_records()
    await records.change([put("a", b"before")], NOW_MS)
    log = tmp_path / "deep" / "plait.db-wal"
    # There is room for the first of the two.
    with files_of_at_most(log.stat().st_size + 50_000), pytest.raises(StoreUnavailable):
        await records.change([put("a", b"after"), put("b", bytes(500_000))], NOW_MS)
    found = await records.get("deployment", "default", "a")
    assert found is not None
    assert (found.value, await records.revision()) == (b"before", 1)
    await records.change([put("a", b"after"), put("b", bytes(500_000))], NOW_MS)
    assert await keys_of(records) == ["a", "b"]


async def test_journal_and_records_write_to_one_file_side_by_side(tmp_path: Path) -> None:
    place = str(tmp_path / "plait.db")
    records = await open_by_place(place)
    store = await open_store(place, is_new=False)

    async def change() -> None:
        for number in range(50):
            await records.change([put(f"k{number}")], NOW_MS)

    ids = [f"x{number}" for number in range(50)]
    await asyncio.gather(change(), finished(store, *ids))
    assert await records.count("deployment", "default") == 50
    assert len(await store.find(Search())) == 50
    assert await damages(store) == []
    await store.close()
    await records.close()


async def test_a_backup_has_the_records(tmp_path: Path) -> None:
    records = await SqliteRecords.open(tmp_path / "plait.db")
    store = await SqliteStore.open(tmp_path / "plait.db")
    await finished(store, "x1")
    await records.change([put("a"), put("b"), drop("a")], NOW_MS)
    await store.backup(tmp_path / "copy.db")
    copy = await SqliteRecords.open(tmp_path / "copy.db")
    assert await copy.find("deployment", None) == await records.find("deployment", None)
    assert await copy.revision() == 3
    for one in (store, records, copy):
        await one.close()


async def test_removing_executions_removes_no_records(tmp_path: Path) -> None:
    records = await SqliteRecords.open(tmp_path / "plait.db")
    store = await SqliteStore.open(tmp_path / "plait.db")
    await finished(store, "x1")
    await records.change([put("a"), put("b")], 1)
    ended = await store.ended(10**15, TERMINAL, 10)
    assert await store.remove(ended) == ["x1"]
    await store.tidy()
    assert await keys_of(records) == ["a", "b"]
    assert await store.check() == []
    await records.close()
    await store.close()


@pytest.mark.parametrize(
    "damage",
    [
        "value = x'7b7c'",
        "version = version + 1",
        "at_ms = 0",
        "tenant = 'north', key = 'default'",
        "key = CAST(x'ff' AS TEXT)",
    ],
)
async def test_a_record_that_was_altered_is_told_by_its_name(
    tmp_path: Path, damage: str
) -> None:
    path = tmp_path / "plait.db"
    records = await SqliteRecords.open(path)
    store = await SqliteStore.open(path)
    await finished(store, "x1")
    await records.change([put("a"), put("b", kind="session")], NOW_MS)
    assert await store.check() == []
    tamper(path, f"UPDATE records SET {damage} WHERE key = 'a'")
    with pytest.raises(StoreDamaged, match=r"the record 'deployment' .* was altered"):
        await records.find("deployment", None)
    (told,) = await store.check()
    assert "the record 'deployment'" in told
    assert await damages(store) == [(None, "store.damaged")]
    assert len(await records.find("session", None)) == 1
    await records.close()
    await store.close()


async def test_a_damaged_page_of_records_is_told_and_stops_no_execution(
    tmp_path: Path,
) -> None:
    path = tmp_path / "plait.db"
    store = await SqliteStore.open(path)
    records = await SqliteRecords.open(path)
    await records.change([put(f"k{number}", bytes(1_000)) for number in range(40)], NOW_MS)
    await records.close()
    await store.close()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        query = "SELECT rootpage FROM sqlite_schema WHERE name = 'records'"
        (page,) = connection.execute(query).fetchone()
        (size,) = connection.execute("PRAGMA page_size").fetchone()
    with open(path, "r+b") as file:
        file.seek((page - 1) * size)
        file.write(bytes(size))
    store = await SqliteStore.open(path)
    records = await SqliteRecords.open(path)
    with pytest.raises(StoreDamaged, match=r"plait journal verify"):
        await records.find("deployment", "default")
    with pytest.raises(StoreDamaged):
        await records.change([put("k1")], NOW_MS)
    await finished(store, "x1")
    assert await store.check() != []
    await records.close()
    await store.close()


async def test_a_closed_one_takes_no_changes(open_records: OpenRecords) -> None:
    records = await open_records()
    await records.close()
    with pytest.raises(StoreUnavailable, match="is closed"):
        await records.change([put("a")], NOW_MS)


async def test_an_address_of_no_store_is_refused() -> None:
    with pytest.raises(UnknownStore, match="ftp"):
        await open_by_place("ftp://host/x")
