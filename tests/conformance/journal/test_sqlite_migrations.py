"""Stores of every released schema are brought up, and go on.

`tests/histories/sqlite/NNNN.sql` is a store as the version with schema NNNN left it: an
execution that completed under a key, another, one that failed, and one that waits, its
worker killed; from 0007 on also records. A migration comes with such a file for the schema
that it leads to.
"""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Final

import pytest

from plait.drivers.journal import JournalDriver
from plait.kernel import Kernel
from plait.operations import verify_all
from plait.ports.journal import (
    TERMINAL,
    Message,
    NewExecution,
    Search,
    Standing,
    StoreUnavailable,
)
from plait.ports.records import Change
from plait.stores.sqlite import SqliteRecords, SqliteStore
from plait.stores.sqlite.database import migrations
from tests.unit.stores.histories import Answers, hand
from tests.unit.stores.test_files import files_of_at_most

HISTORIES: Final = Path(__file__).parents[2] / "histories" / "sqlite"
SCHEMAS: Final = sorted(HISTORIES.glob("*.sql"))
IN_A_WEEK_S: Final = 7 * 86_400

every_schema = pytest.mark.parametrize("released", SCHEMAS, ids=lambda path: path.stem)


def made_of(released: Path, path: Path) -> Path:
    """Make a store as that version left it."""
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(released.read_text())
        connection.execute("PRAGMA journal_mode = WAL")
    return path


def schema(path: Path) -> list[tuple[str, ...]]:
    with closing(sqlite3.connect(path)) as connection:
        rows = connection.execute("SELECT type, name, sql FROM sqlite_schema ORDER BY name")
        version = connection.execute("PRAGMA user_version").fetchone()
        return [*rows, ("version", *map(str, version))]


def test_there_is_a_store_of_every_schema() -> None:
    assert [int(path.stem) for path in SCHEMAS] == list(range(1, len(migrations()) + 1))


@every_schema
async def test_a_migrated_store_is_as_a_new_one_is_made(
    released: Path, tmp_path: Path
) -> None:
    old = made_of(released, tmp_path / "old.db")
    await (await SqliteStore.open(old)).close()
    await (await SqliteStore.open(tmp_path / "new.db")).close()
    assert schema(old) == schema(tmp_path / "new.db")


@every_schema
async def test_what_an_old_store_holds_is_whole_and_goes_on(
    released: Path, tmp_path: Path
) -> None:
    store = await SqliteStore.open(made_of(released, tmp_path / "old.db"))
    found = {one.new.execution_id: one for one in await store.find(Search())}
    statuses = sorted(one.standing.status for one in found.values())
    assert statuses == ["completed", "completed", "failed", "running"]
    assert [one.code async for one in verify_all(hand(store))] == [None] * 4
    (waiting,) = [one for one in found.values() if one.standing.status == "running"]
    later_s = waiting.standing.at_ms / 1000 + IN_A_WEEK_S
    driver = JournalDriver(
        store, Answers(), Kernel, worker_id="w", wall_clock_s=lambda: later_s
    )
    await driver.open()
    ended = await driver.ended(waiting.new.execution_id)
    assert ended.standing.status == "completed"
    await driver.close()
    new = NewExecution("x", "sums", "sha256:1", 1, "{}", key="first")
    created = await store.create(new, [], Standing("running", 1, None), "w")
    assert not created.is_new
    await store.remove(await store.ended(10**15, TERMINAL, 10))
    assert await store.tidy() == 0
    assert await store.find(Search()) == []
    await store.close()


@pytest.mark.parametrize("released", SCHEMAS[6:], ids=lambda path: path.stem)
async def test_records_of_an_old_store_are_there(released: Path, tmp_path: Path) -> None:
    records = await SqliteRecords.open(made_of(released, tmp_path / "old.db"))
    found = [*await records.find("deployment", None), *await records.find("key", None)]
    assert [(one.tenant, one.key) for one in found] == [
        ("default", "shop"),
        ("north", "k1"),
    ]
    (version,) = await records.change([Change("key", "north", "k2", b"{}")], 1)
    assert version == 5
    await records.close()


@pytest.mark.parametrize("released", SCHEMAS[:-1], ids=lambda path: path.stem)
async def test_messages_of_an_old_store_wait_still(released: Path, tmp_path: Path) -> None:
    old = made_of(released, tmp_path / "old.db")
    with closing(sqlite3.connect(old)) as connection:
        connection.executemany(
            "INSERT INTO messages (execution, id, body, is_heard) VALUES (4, ?, ?, ?)",
            [("m1", b"waits", 0), ("m2", b"heard", 1), ("m3", b"aside", 2)],
        )
        connection.commit()
    store = await SqliteStore.open(old)
    (waiting,) = await store.find(Search(statuses=("running",)))
    own_id = waiting.new.execution_id
    history = await store.read(own_id)
    assert history.waiting == (Message("m1", own_id, b"waits"),)
    assert history.aside == (Message("m3", own_id, b"aside"),)
    # What was heard is known still, and a new one comes after those that wait.
    for message_id in ("m2", "a1"):
        await store.post(Message(message_id, own_id, b"again"))
    waiting_ids = [one.message_id for one in (await store.read(own_id)).waiting]
    assert waiting_ids == ["m1", "a1"]
    await store.close()


@every_schema
async def test_many_may_open_an_old_store_at_once(released: Path, tmp_path: Path) -> None:
    old = made_of(released, tmp_path / "old.db")
    stores = await asyncio.gather(*(SqliteStore.open(old) for _ in range(5)))
    assert [len(await one.find(Search())) for one in stores] == [4] * 5
    for one in stores:
        await one.close()


@pytest.mark.parametrize("released", SCHEMAS[:-1], ids=lambda path: path.stem)
async def test_a_migration_that_cannot_be_written_leaves_the_store_as_it_was(
    released: Path, tmp_path: Path
) -> None:
    old = made_of(released, tmp_path / "old.db")
    before = schema(old)
    with files_of_at_most(1_000), pytest.raises(StoreUnavailable):
        await SqliteStore.open(old)
    assert schema(old) == before
    store = await SqliteStore.open(old)
    assert len(await store.find(Search())) == 4
    await store.close()
