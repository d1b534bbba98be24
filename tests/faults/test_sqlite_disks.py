"""The SQLite store on disks that are full, fail, or may not be written.

What was acknowledged is there, what was refused is not, reading goes on, and writing does
when the fault is over.
"""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from plait.drivers.journal import Start
from plait.operations import verify_all
from plait.ports.calls import Call, CallHandle, CallReply, Done
from plait.ports.journal import (
    Append,
    Entry,
    Message,
    NewExecution,
    Search,
    Standing,
    StoreFull,
    StoreTooNew,
    StoreUnavailable,
    UnknownExecution,
)
from plait.stores.faults import StoreDamaged, StoreReadOnly
from plait.stores.files import FileBlobs
from plait.stores.sqlite import SqliteStore, writer
from plait.stores.sqlite.database import rewrite_log
from plait.stores.sqlite.faults import NoDatabase, StoreLocked
from tests.faults.disks import SmallDisk, let_sync_fail, small_disk
from tests.simulation.asking import plan_of
from tests.unit.stores.histories import Answers, finished, hand, running
from tests.unit.stores.test_files import files_of_at_most

RUNNING = Standing("running", 1, 0)
LATER_MS = 10_000


def entry(text: bytes = b"x" * 5_000) -> Entry:
    return Entry(text, b"digest")


async def begin(store: SqliteStore, execution_id: str, **fields: Any) -> None:
    new = NewExecution(execution_id, "shop", "sha256:1", 1, "{}", **fields)
    await store.create(new, [entry()], RUNNING, "w")


class Gated(Answers):
    """Answers when it is told to; says when it was asked first."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = asyncio.Event()
        self.answer = asyncio.Event()

    def start(self, call: Call, done: Done) -> CallHandle:
        """Answer once `answer` is set."""
        self.made.append(call)
        self.asked.set()
        loop = asyncio.get_running_loop()
        self._answering = loop.create_task(self._answer(done))
        return loop.call_later(3_600, self._answering.cancel)

    async def _answer(self, done: Done) -> None:
        await self.answer.wait()
        done(CallReply("done", {}))


async def names(store: SqliteStore) -> set[str]:
    found = await store.find(Search(limit=100_000))
    for one in found:
        assert len((await store.read(one.new.execution_id)).entries) == 1
    return {one.new.execution_id for one in found}


async def write_until_refused(store: SqliteStore, name: str) -> tuple[set[str], Exception]:
    """Begin executions, several at a time; return those acknowledged, and the refusal."""
    acknowledged: set[str] = set()
    for number in range(10_000):
        ids = [f"{name}{number}-{one}" for one in range(4)]
        tries = [begin(store, execution_id) for execution_id in ids]
        outcomes = await asyncio.gather(*tries, return_exceptions=True)
        for execution_id, outcome in zip(ids, outcomes, strict=True):
            if outcome is None:
                acknowledged.add(execution_id)
        for outcome in outcomes:
            if isinstance(outcome, Exception):
                return acknowledged, outcome
    raise AssertionError("nothing was refused")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "plait.db"


@pytest.fixture
async def store(path: Path) -> AsyncIterator[SqliteStore]:
    opened = await SqliteStore.open(path)
    yield opened
    await opened.close()


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    with small_disk(tmp_path / "small") as mounted:
        yield mounted


# -- full ------------------------------------------------------------------------------


async def test_a_full_disk_refuses_reads_on_and_goes_on_when_there_is_room(
    disk: SmallDisk,
) -> None:
    path = disk.folder / "plait.db"
    store = await SqliteStore.open(path)
    await begin(store, "first")
    disk.fill()
    acknowledged, refusal = await write_until_refused(store, "a")
    acknowledged.add("first")
    assert isinstance(refusal, StoreFull)
    assert refusal.code == "store.full"
    assert await names(store) == acknowledged
    for _ in range(3):
        with pytest.raises(StoreFull):
            await begin(store, "still full")
    with pytest.raises(UnknownExecution):
        await store.read("still full")
    disk.make_room()
    await begin(store, "room again")
    acknowledged.add("room again")
    assert await names(store) == acknowledged
    await store.close()
    again = await SqliteStore.open(path)
    assert await names(again) == acknowledged
    assert await again.check() == []
    await again.close()


async def test_an_execution_that_meets_a_full_disk_goes_on_by_itself(
    disk: SmallDisk, caplog: pytest.LogCaptureFixture
) -> None:
    calls = Gated()
    store = await SqliteStore.open(disk.folder / "plait.db")
    plan = plan_of(
        {
            "name": "shop",
            "steps": [
                {"id": "a", "type": "ask", "request": {}},
                {"id": "b", "type": "ask", "request": {}, "depends_on": ["a"]},
            ],
        }
    )
    async with running(store, calls) as driver:
        await driver.start(plan, Start("x1", None))
        await calls.asked.wait()
        disk.fill()
        await write_until_refused(store, "filler")
        calls.answer.set()
        # It tries and cannot: what it heard is not lost, and nothing follows from it.
        while "no space left" not in caplog.text:
            await store.find(Search(limit=1))
        assert len((await store.read("x1")).entries) == 1
        assert [call.step for call in calls.made] == ["a"]
        disk.make_room()
        assert (await driver.ended("x1")).standing.status == "completed"
        assert [call.step for call in calls.made] == ["a", "b"]
    assert [one.code async for one in verify_all(hand(store), ["x1"])] == [None]
    await store.close()


async def test_a_full_disk_takes_no_backup_and_leaves_no_half_of_one(
    disk: SmallDisk, store: SqliteStore
) -> None:
    for number in range(20):
        await begin(store, f"x{number}")
    disk.fill()
    with pytest.raises(StoreFull):
        await store.backup(disk.folder / "backup.db")
    assert [one.name for one in disk.folder.iterdir()] == ["ballast"]


async def test_a_file_that_may_not_grow_refuses_and_goes_on_when_it_may(
    store: SqliteStore, path: Path
) -> None:
    await begin(store, "first")
    with files_of_at_most(Path(f"{path}-wal").stat().st_size + 50_000):
        acknowledged, refusal = await write_until_refused(store, "a")
        assert isinstance(refusal, StoreUnavailable)
        acknowledged.add("first")
        assert await names(store) == acknowledged
    await begin(store, "later")
    assert await names(store) == {*acknowledged, "later"}


# -- fsync -----------------------------------------------------------------------------


async def test_a_failed_fsync_acknowledges_nothing_and_is_not_taken_for_success_later(
    path: Path,
) -> None:
    store = await SqliteStore.open(path)
    await begin(store, "before")
    await store._writer.submit(lambda connection: let_sync_fail())
    for number in range(5):
        with pytest.raises(StoreUnavailable):
            await begin(store, f"refused{number}")
    assert await names(store) == {"before"}
    await store.close()
    again = await SqliteStore.open(path)
    known = await names(again)
    # Whether the refused ones were kept is unknown to whoever asked for them.
    assert "before" in known
    await begin(again, "after")
    assert await names(again) == {*known, "after"}
    assert await again.check() == []
    await again.close()


async def test_after_a_failed_commit_the_log_is_written_anew_before_it_is_added_to(
    store: SqliteStore, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rewritten: list[Path] = []

    def noted(one: Path) -> None:
        rewritten.append(one)
        rewrite_log(one)

    await begin(store, "first")
    monkeypatch.setattr(writer, "rewrite_log", noted)
    await begin(store, "second")
    assert rewritten == []
    with files_of_at_most(1_000), pytest.raises(StoreUnavailable):
        await begin(store, "refused")
    await begin(store, "third")
    assert rewritten == [path]
    assert await names(store) == {"first", "second", "third"}


def test_a_log_that_is_written_anew_is_the_same_and_lasts(path: Path) -> None:
    log = Path(f"{path}-wal")
    rewrite_log(path)
    log.write_bytes(b"abc" * 1_000_000)
    before = log.stat()
    rewrite_log(path)
    assert log.read_bytes() == b"abc" * 1_000_000
    assert log.stat().st_mtime_ns > before.st_mtime_ns
    failures: list[Exception] = []

    def fail() -> None:
        let_sync_fail()
        try:
            rewrite_log(path)
        except OSError as error:
            failures.append(error)

    thread = threading.Thread(target=fail)
    thread.start()
    thread.join()
    assert len(failures) == 1


def test_a_payload_whose_fsync_fails_is_not_there(tmp_path: Path) -> None:
    blobs = FileBlobs(tmp_path / "blobs", lambda error: StoreUnavailable(str(error)))
    failures: list[Exception] = []

    def fail() -> None:
        let_sync_fail()
        try:
            blobs.save(b"x" * 1_000)
        except StoreUnavailable as error:
            failures.append(error)

    thread = threading.Thread(target=fail)
    thread.start()
    thread.join()
    assert len(failures) == 1
    assert list(blobs.folder.iterdir()) == []


# -- files that cannot be used ---------------------------------------------------------


async def test_a_disk_that_may_not_be_written_is_told(disk: SmallDisk) -> None:
    path = disk.folder / "plait.db"
    store = await SqliteStore.open(path)
    await begin(store, "x1")
    await store.close()
    disk.lock()
    with pytest.raises(StoreReadOnly) as caught:
        await SqliteStore.open(path)
    assert caught.value.code == "store.read_only"
    with pytest.raises(StoreReadOnly):
        await SqliteStore.open(disk.folder / "inner" / "new.db")


async def test_a_file_that_another_has_locked_is_told_and_goes_on_when_it_is_free(
    store: SqliteStore, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "BUSY_TIMEOUT_MS", 10)
    await begin(store, "first")
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreLocked) as caught:
            await begin(store, "refused")
        assert caught.value.code == "store.locked"
        assert await names(store) == {"first"}
        other.execute("ROLLBACK")
    await begin(store, "second")
    assert await names(store) == {"first", "second"}


async def test_a_file_that_is_no_database_is_told_and_left_alone(path: Path) -> None:
    path.write_bytes(b"My diary. " * 500)
    with pytest.raises(NoDatabase) as caught:
        await SqliteStore.open(path)
    assert caught.value.code == "store.no_database"
    assert path.read_bytes() == b"My diary. " * 500


@pytest.mark.parametrize(
    "sql", ["CREATE TABLE diary (day TEXT)", "PRAGMA application_id = 7"]
)
async def test_a_database_of_another_program_is_refused_and_left_alone(
    path: Path, sql: str
) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(sql)
    before = path.read_bytes()
    with pytest.raises(NoDatabase, match="of another program") as caught:
        await SqliteStore.open(path)
    assert caught.value.code == "store.no_database"
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


async def test_a_store_of_ours_is_known_by_its_number_or_its_tables(path: Path) -> None:
    await (await SqliteStore.open(path)).close()
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA application_id").fetchone()[0]
        connection.execute("PRAGMA application_id = 0")
    await (await SqliteStore.open(path)).close()


async def test_a_file_that_is_moved_or_replaced_takes_nothing_until_it_is_back(
    path: Path, tmp_path: Path
) -> None:
    store = await SqliteStore.open(path)
    await begin(store, "x1")
    moved = path.rename(tmp_path / "elsewhere.db")
    for _ in range(2):
        with pytest.raises(StoreUnavailable, match="put that one back"):
            await begin(store, "x2")
        assert not path.exists()
    path.touch()
    with pytest.raises(StoreUnavailable, match="put that one back"):
        await store.beat("w", 1, 2)
    moved.rename(path)
    await begin(store, "x2")
    assert await store.ids() == ["x1", "x2"]
    await store.close()


async def test_a_schema_of_a_newer_version_is_refused_and_left_alone(path: Path) -> None:
    await (await SqliteStore.open(path)).close()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 99")
    before = path.read_bytes()
    with pytest.raises(StoreTooNew, match="schema 99") as caught:
        await SqliteStore.open(path)
    assert caught.value.code == "store.too_new"
    assert path.read_bytes() == before


# -- damage ----------------------------------------------------------------------------


async def test_a_damaged_page_stops_only_those_that_stand_on_it(path: Path) -> None:
    ids = [f"x{number:03}" for number in range(600)]
    store = await SqliteStore.open(path)
    await asyncio.gather(*(begin(store, one) for one in ids))
    await store.close()
    damage(path, "standings")
    store = await SqliteStore.open(path)
    # Rows that grow push others onto the pages beside theirs; these stay as they are, and
    # a page holds some 136 of them.
    appends = [Append(one, [], RUNNING, 1, 1) for one in ids]
    outcomes = await asyncio.gather(
        *(store.append(one) for one in appends), return_exceptions=True
    )
    damaged = [one for one in outcomes if isinstance(one, StoreDamaged)]
    assert 0 < len(damaged) < 200
    assert {one for one in outcomes if not isinstance(one, StoreDamaged)} == {None}
    assert damaged[0].code == "store.damaged"
    for execution_id, outcome in zip(ids, outcomes, strict=True):
        if outcome is None:
            assert len((await store.read(execution_id)).entries) == 1
    await store.close()


@pytest.mark.parametrize("table", ["standings", "executions", "standings_free"])
async def test_a_damaged_page_keeps_nobody_else_from_being_claimed(
    path: Path, table: str, caplog: pytest.LogCaptureFixture
) -> None:
    ids = [f"x{number:03}" for number in range(600)]
    store = await SqliteStore.open(path)
    await asyncio.gather(*(begin(store, one) for one in ids))
    await store.release("w", ids)
    await store.close()
    damage(path, table)
    store = await SqliteStore.open(path)
    claimed: list[str] = []
    while found := (await store.claim("w", LATER_MS, 200)).executions:
        claimed += [one.new.execution_id for one in found]
    assert len(claimed) == len(set(claimed))
    # A page of the index has some 300 of them, and what is beside it is in its hands too.
    assert (300 if table != "standings_free" else 200) < len(claimed) < 600
    for one in claimed:
        assert len((await store.read(one)).entries) == 1
    # Each that is damaged was told once, and nobody looks for it again and again.
    assert len([one for one in caplog.records if "is damaged" in one.message]) < 400
    again = await store.claim("w", LATER_MS, 200)
    assert (again.executions, again.next_wake_at_ms) == ([], None)
    await store.close()


@pytest.mark.parametrize("table", ["standings", "executions"])
async def test_a_damaged_page_keeps_no_worker_from_what_a_dead_one_held(
    path: Path, table: str
) -> None:
    ids = [f"x{number:03}" for number in range(600)]
    store = await SqliteStore.open(path)
    await asyncio.gather(*(begin(store, one) for one in ids))
    for one in ids[::7]:
        await store.post(Message("m", one, b"hear"))
    await store.close()
    damage(path, table)
    store = await SqliteStore.open(path)
    for _ in range(3):
        assert await store.beat("heir", LATER_MS, LATER_MS + 1_000) == []
    claimed: list[str] = []
    while found := (await store.claim("heir", LATER_MS, 200)).executions:
        claimed += [one.new.execution_id for one in found]
    assert 300 < len(claimed) < 600
    told = await store.beat("heir", LATER_MS, LATER_MS + 1_000)
    assert {one.execution_id for one in told} == {*ids[::7]} & {*claimed}
    await store.close()


async def test_a_value_that_no_database_keeps_fails_alone(store: SqliteStore) -> None:
    good = [begin(store, f"x{number}") for number in range(50)]
    bad = begin(store, "bad", priority=2**70)
    outcomes = await asyncio.gather(*good, bad, return_exceptions=True)
    assert outcomes[:-1] == [None] * 50
    assert isinstance(outcomes[-1], OverflowError)
    assert len(await names(store)) == 50


def damage(path: Path, table: str) -> None:
    """Overwrite a leaf page in the middle of a table."""
    with closing(sqlite3.connect(path)) as connection:
        rows = connection.execute(
            "SELECT pageno FROM dbstat WHERE name = ? AND pagetype = 'leaf' ORDER BY path",
            (table,),
        ).fetchall()
    with path.open("r+b") as file:
        file.seek((rows[len(rows) // 2][0] - 1) * 4_096)
        file.write(b"\xff" * 4_096)


async def test_whatever_byte_changes_no_other_history_is_told_than_was_written(
    path: Path, tmp_path: Path
) -> None:
    """Every execution reads as it was written, or is told to be damaged."""
    store = await SqliteStore.open(path)
    await finished(store, *(f"x{number}" for number in range(30)))
    written = {one: (await store.read(one)).entries for one in await store.ids()}
    await store.close()
    whole = path.read_bytes()
    told = 0
    for seed in range(150):
        place = (seed * 7_919_993) % len(whole)
        copy = tmp_path / f"{seed}.db"
        copy.write_bytes(whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :])
        told += await altered_but_told(copy, written)
    assert told > 20


async def altered_but_told(copy: Path, written: dict[str, list[Entry]]) -> bool:
    """Return whether anything is told to be damaged; fail when it should be and is not."""
    try:
        store = await SqliteStore.open(copy)
    except (NoDatabase, StoreDamaged, StoreTooNew, StoreUnavailable):
        return True
    try:
        checked = [one async for one in verify_all(hand(store))]
        bad = {one.execution_id for one in checked if one.code is not None}
        if None not in bad:
            assert {one.execution_id for one in checked} >= set(written) - bad
        for execution_id in {one.execution_id for one in checked} - bad - {None}:
            assert execution_id is not None
            entries = (await store.read(execution_id)).entries
            assert entries == written.get(execution_id), execution_id
        return bool(bad)
    except (StoreDamaged, StoreUnavailable):
        return True
    finally:
        await store.close()
