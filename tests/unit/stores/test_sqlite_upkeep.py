"""SQLite's upkeep: removing in small pieces, giving space back, backups under load."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from plait.ports.journal import (
    TERMINAL,
    Append,
    Entry,
    NewExecution,
    Search,
    Standing,
    Summary,
)
from plait.ports.upkeep import BackupRefused
from plait.stores.sqlite import SqliteStore
from plait.stores.sqlite.database import WAL_BYTES_MAX

RUNNING = Standing("running", 1, 0)
FOREVER = 10**15


def entries(count: int, body_bytes: int = 300) -> list[Entry]:
    return [Entry(b"x" * body_bytes, bytes([n % 256])) for n in range(count)]


def new(execution_id: str, **fields: Any) -> NewExecution:
    return NewExecution(execution_id, "shop", "sha256:1", 1, "{}", **fields)


async def begin(store: SqliteStore, execution_id: str, **fields: Any) -> Summary:
    started = new(execution_id, **fields)
    return (await store.create(started, entries(1), RUNNING, "w")).summary


async def end(
    store: SqliteStore, execution_id: str, at_ms: int, count: int = 1, **fields: Any
) -> Summary:
    """Put an execution that ended into the store."""
    summary = await begin(store, execution_id, **fields)
    standing = Standing("completed", at_ms, None)
    await store.append(
        Append(execution_id, entries(count), standing, 1, summary.epoch, is_released=True)
    )
    return (await store.read(execution_id)).summary


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "plait.db"


@pytest.fixture
async def store(path: Path) -> AsyncIterator[SqliteStore]:
    opened = await SqliteStore.open(path)
    yield opened
    await opened.close()


def count(path: Path, table: str) -> int:
    with closing(sqlite3.connect(path)) as connection:
        found: int = connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
    return found


def size(path: Path) -> int:
    """Return how many bytes the database has when its log is in it."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return path.stat().st_size


# -- what is removed -------------------------------------------------------------------


async def test_what_ended_first_comes_first_page_by_page(store: SqliteStore) -> None:
    for name, at_ms in (("b", 7), ("a", 7), ("later", 9), ("first", 5)):
        await end(store, name, at_ms)
    await begin(store, "open")
    found, last = [], None
    while page := await store.ended(9, TERMINAL, 2, last):
        found += [one.new.execution_id for one in page]
        last = page[-1]
    assert found == ["first", "a", "b"]


async def test_what_somebody_holds_or_a_parent_may_ask_for_is_left_out(
    store: SqliteStore,
) -> None:
    await begin(store, "mother")
    await end(store, "child", 5, parent="mother")
    await end(store, "held", 5)
    await store.take("w", 1, "held")
    await end(store, "free", 5)
    found = await store.ended(FOREVER, TERMINAL, 10)
    assert [one.new.execution_id for one in found] == ["free"]


async def test_what_has_changed_since_it_was_looked_at_is_not_removed(
    store: SqliteStore,
) -> None:
    old, taken = await end(store, "old", 5), await end(store, "taken", 5)
    resumed = await end(store, "resumed", 5)
    await store.take("w", 1, "taken")
    again = await store.take("w", 1, "resumed")
    more = Append("resumed", entries(1), resumed.standing, 2, again.epoch, is_released=True)
    await store.append(more)
    assert await store.remove([old, taken, resumed]) == ["old"]
    assert {one.new.execution_id for one in await store.find(Search())} == {
        "taken",
        "resumed",
    }


async def test_a_key_is_free_again_when_its_execution_is_gone(store: SqliteStore) -> None:
    await store.remove([await end(store, "x1", 5, key="k")])
    created = await store.create(new("x2", key="k"), entries(1), RUNNING, "w")
    assert created.is_new


async def test_the_entries_of_what_is_gone_are_never_those_of_a_new_one(
    store: SqliteStore, path: Path
) -> None:
    await store.remove([await end(store, "x1", 5, count=700)])
    await begin(store, "x2")
    assert len((await store.read("x2")).entries) == 1
    assert count(path, "entries") == 702
    await store.tidy()
    assert count(path, "entries") == 1
    assert count(path, "leftovers") == 0


async def test_upkeep_that_a_crash_cut_off_is_finished_by_the_next(path: Path) -> None:
    first = await SqliteStore.open(path)
    await first.remove([await end(first, "x1", 5, count=500)])
    await first.close()
    second = await SqliteStore.open(path)
    await second.tidy()
    await second.close()
    assert count(path, "entries") == 0


@pytest.mark.slow
async def test_space_is_given_back_to_the_file_system(
    store: SqliteStore, path: Path
) -> None:
    await asyncio.gather(*(end(store, f"x{one}", 5, count=100) for one in range(40)))
    large = size(path)
    await store.remove(await store.ended(FOREVER, TERMINAL, 100))
    freed = await store.tidy()
    assert freed > 0
    assert size(path) < large / 4


# -- backup ----------------------------------------------------------------------------


@pytest.mark.slow
async def test_a_backup_under_load_is_whole_and_as_of_one_moment(
    store: SqliteStore, path: Path, tmp_path: Path
) -> None:
    """The writer goes on; what was acknowledged before is in it, in order."""
    await asyncio.gather(*(begin(store, f"before-{number}") for number in range(2_000)))
    is_over = asyncio.Event()

    async def write() -> int:
        number = 0
        while not is_over.is_set():
            await begin(store, f"while-{number}")
            number += 1
        return number

    writing = asyncio.ensure_future(write())
    target = tmp_path / "backup.db"
    await store.backup(target)
    is_over.set()
    written = await writing
    copy = await SqliteStore.open(target)
    found = await copy.find(Search(limit=100_000))
    names = [one.new.execution_id for one in reversed(found)]
    meanwhile = len(names) - 2_000
    assert 0 <= meanwhile <= written
    assert names[2_000:] == [f"while-{number}" for number in range(meanwhile)]
    assert len((await copy.read("before-1999")).entries) == 1
    assert await copy.check() == []
    await copy.close()
    assert sorted(one.name for one in tmp_path.iterdir() if "part" in one.name) == []


async def test_a_backup_overwrites_nothing(store: SqliteStore, tmp_path: Path) -> None:
    target = tmp_path / "backup.db"
    target.write_text("mine")
    with pytest.raises(BackupRefused, match="there already") as caught:
        await store.backup(target)
    assert caught.value.code == "backup.refused"
    assert target.read_text() == "mine"
    with pytest.raises(BackupRefused, match="no such folder"):
        await store.backup(tmp_path / "nowhere" / "backup.db")


@pytest.mark.parametrize("name", ["", ".", "/", "..", "x" * 250, "x" * 300, "file/x"])
async def test_what_can_be_no_file_is_refused_and_leaves_nothing(
    store: SqliteStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.chdir(tmp_path)
    kept = sorted(tmp_path.iterdir())
    with pytest.raises(BackupRefused):
        await store.backup(Path(name))
    assert sorted(tmp_path.iterdir()) == kept


# -- the log ---------------------------------------------------------------------------


# Some 5 ms of reading, all of it as of one moment.
LONG_QUERY = (
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 15000)"
    " SELECT count(*), (SELECT count(*) FROM entries) FROM n"
)


class AlwaysSomebodyReads:
    """Two readers: while one lets go and begins anew the other is in the middle of it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._is_over = False
        self._threads = [threading.Thread(target=self._read) for _ in range(2)]

    def __enter__(self) -> None:
        for thread in self._threads:
            thread.start()

    def __exit__(self, *_: object) -> None:
        self._is_over = True
        for thread in self._threads:
            thread.join()

    def _read(self) -> None:
        with closing(sqlite3.connect(self._path, isolation_level=None)) as connection:
            while not self._is_over:
                connection.execute(LONG_QUERY).fetchone()


@pytest.mark.slow
async def test_the_log_stays_short_though_there_is_always_a_reader(
    store: SqliteStore, path: Path
) -> None:
    summary = await begin(store, "x1")
    large = [Entry(b"x" * 200_000, b"1")]
    longest = 0
    with AlwaysSomebodyReads(path):
        for length in range(1, 601):
            await store.append(Append("x1", large, RUNNING, length, summary.epoch))
            longest = max(longest, Path(f"{path}-wal").stat().st_size)
    # 123 MB without that. A busy machine's readers may be too long for the first waits.
    assert longest < 6 * WAL_BYTES_MAX
