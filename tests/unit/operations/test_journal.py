"""Verifying and compacting, on real histories in a real store."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import cast

import orjson
import pytest

from plait.assembly.archives import ArchiveRefused, opened_archive
from plait.assembly.stores import paths_of
from plait.drivers.journal import HistoryDamaged, Start, Store, entry_of
from plait.kernel.codec import load_turn
from plait.operations import (
    Checked,
    NoUpkeep,
    Retention,
    remove,
    upkeep_of,
    verify_all,
)
from plait.operations.checking import Checker
from plait.ports.journal import TERMINAL, Search, UnknownExecution
from plait.stores.memory import MemoryStore
from plait.stores.sqlite import SqliteStore
from tests.simulation.asking import plan_of
from tests.unit.stores.histories import damages, finished, hand, running, tamper

FOREVER = 10**15
IDS = ("x1", "x2", "x3")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "plait.db"


@pytest.fixture
async def store(path: Path) -> AsyncIterator[SqliteStore]:
    """Three executions have ended in it."""
    opened = await SqliteStore.open(path)
    await finished(opened, *IDS, tags=("vip",))
    yield opened
    await opened.close()


# -- verify ----------------------------------------------------------------------------


async def test_what_was_written_is_whole(store: SqliteStore) -> None:
    checked = [one async for one in verify_all(hand(store))]
    assert checked == [Checked(execution_id) for execution_id in IDS]


async def test_what_is_removed_meanwhile_is_no_damage(store: SqliteStore) -> None:
    going = verify_all(hand(store))
    assert await anext(going) == Checked("x1")
    found = await store.find(Search(execution_ids=("x2", "x1")))
    assert await store.remove(found) == ["x2", "x1"]
    assert [one async for one in going] == [Checked("x3")]
    # One that somebody names is told.
    (named,) = [one async for one in verify_all(hand(store), ["x2"])]
    assert named.code == UnknownExecution.code


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE standings SET workflow = 'ship' WHERE execution = 2",
        "DELETE FROM standings WHERE execution = 2",
        "DELETE FROM executions WHERE number = 2",
        "DELETE FROM tags WHERE execution = 2",
        "UPDATE tags SET tag = 'VIP' WHERE execution = 2",
    ],
)
async def test_tables_that_do_not_agree_are_told(
    store: SqliteStore, path: Path, sql: str
) -> None:
    tamper(path, sql)
    of_it = ("x2", "store.inconsistent")
    assert {(None, "store.damaged"), of_it} & {*await damages(store)}


async def test_a_store_of_many_is_verified_too() -> None:
    memory = MemoryStore()
    await finished(memory, *(f"x{number}" for number in range(150)))
    checked = [one async for one in verify_all(hand(memory))]
    assert len({one.execution_id for one in checked}) == 150
    assert {one.code for one in checked} == {None}


ALTERED = (
    "UPDATE entries SET body = cast(replace(body, 'done', 'gone') AS BLOB) WHERE number = 2"
)
LAST = "(SELECT max(number) FROM entries WHERE execution = 2)"


@pytest.mark.parametrize(
    ("sql", "code"),
    [
        (f"{ALTERED} AND execution = 2", "journal.damaged"),
        ("DELETE FROM entries WHERE execution = 2 AND number = 1", "journal.damaged"),
        (f"DELETE FROM entries WHERE execution = 2 AND number = {LAST}", "journal.damaged"),
        ("DELETE FROM entries WHERE execution = 2", "journal.damaged"),
        (
            "INSERT INTO entries SELECT execution, number + 9, body, digest, blob"
            " FROM entries WHERE execution = 2 AND number = 1",
            "journal.damaged",
        ),
        ("UPDATE standings SET head = x'00' WHERE execution = 2", "journal.damaged"),
        ("UPDATE standings SET length = 1 WHERE execution = 2", "journal.damaged"),
        ("UPDATE standings SET status = 'failed' WHERE execution = 2", "journal.damaged"),
        ("UPDATE executions SET id = 'other' WHERE number = 2", "journal.damaged"),
        *(
            (f"UPDATE {table} SET {column} WHERE {number} = 2", "journal.damaged")
            for table, number, column in (
                ("executions", "number", "plan_hash = 'sha256:0'"),
                ("executions", "number", "workflow = 'ship'"),
                ("executions", "number", "input = '{}'"),
                ("executions", "number", "key = 'other'"),
                ("executions", "number", "tags = '[]'"),
                ("executions", "number", "parent = 'x1'"),
                ("executions", "number", "created_at_ms = created_at_ms + 1"),
                ("standings", "execution", "priority = 9"),
                ("standings", "execution", "lane = 'shop'"),
                ("standings", "execution", "lane_max = 1"),
                ("standings", "execution", "at_ms = at_ms - 1"),
                ("standings", "execution", "at_ms = at_ms + 1"),
                ("standings", "execution", "wake_at_ms = 0"),
            )
        ),
    ],
)
async def test_damage_in_one_is_told_and_hides_no_other(
    store: SqliteStore, path: Path, sql: str, code: str
) -> None:
    tamper(path, sql)
    tamper(path, "UPDATE standings SET length = 9 WHERE execution = 3")
    (other,) = (await store.find(Search(limit=2)))[1:]
    expected = [(other.new.execution_id, code), ("x3", "journal.damaged")]
    found = [one for one in await damages(store) if one[0] is not None]
    assert sorted(found) == sorted(expected)


async def test_a_cut_off_history_is_found_though_its_row_was_cut_with_it(
    store: SqliteStore, path: Path
) -> None:
    tamper(path, f"DELETE FROM entries WHERE execution = 2 AND number = {LAST}")
    tamper(
        path,
        "UPDATE standings SET length = length - 1, head ="
        f" (SELECT digest FROM entries WHERE execution = 2 AND number = {LAST})"
        " WHERE execution = 2",
    )
    assert await damages(store) == [("x2", "journal.damaged")]


@pytest.mark.parametrize(
    ("column", "is_noticed"),
    [
        ("wake_at_ms = NULL", True),
        ("wake_at_ms = wake_at_ms + 86400000", True),
        ("at_ms = at_ms - 1", True),
        ("wake_at_ms = 0", False),  # somebody has a message for it
    ],
)
async def test_an_altered_moment_of_what_waits_is_told(
    store: SqliteStore, path: Path, column: str, is_noticed: bool
) -> None:
    plan = plan_of({"name": "nap", "steps": [{"id": "nap", "type": "wait", "for": "3d"}]})
    async with running(store) as driver:
        await driver.start(plan, Start("open", None))
    assert await damages(store) == []
    tamper(path, f"UPDATE standings SET {column} WHERE status = 'running'")
    assert await damages(store) == [("open", "journal.damaged")] * is_noticed


async def test_a_history_of_before_rows_were_covered_is_whole(store: SqliteStore) -> None:
    history = await store.read("x1")
    entries, head = [], b""
    for one in history.entries:
        entries.append(entry_of(load_turn(one.body), head))
        head = entries[-1].digest
    old = replace(history, summary=replace(history.summary, head=head), entries=entries)
    await Checker(hand(store)).check(old)
    longer = replace(old.summary, length=9)
    with pytest.raises(HistoryDamaged):
        await Checker(hand(store)).check(replace(old, summary=longer))


async def test_a_plan_that_was_altered_is_told(store: SqliteStore, path: Path) -> None:
    tamper(path, "UPDATE plans SET body = cast(replace(body, 'shop', 'ship') AS BLOB)")
    assert await damages(store) == [(one, "plan.unreadable") for one in IDS]


async def test_only_what_is_named_is_looked_at(store: SqliteStore, path: Path) -> None:
    tamper(path, "UPDATE standings SET length = 9 WHERE execution = 3")
    checked = [one async for one in verify_all(hand(store), ["x1", "nobody"])]
    assert [(one.execution_id, one.code) for one in checked] == [
        ("x1", None),
        ("nobody", "execution.unknown"),
    ]


async def test_a_damaged_page_hides_no_other_execution(path: Path) -> None:
    ids = [f"x{number:04}" for number in range(300)]
    store = await SqliteStore.open(path)
    await finished(store, *ids)
    await store.close()
    page = page_of(path, "entries")
    with path.open("r+b") as file:
        file.seek((page - 1) * 4096)
        file.write(os.urandom(4096))
    store = await SqliteStore.open(path)
    found = await damages(store)
    await store.close()
    broken = [one for one, _ in found if one is not None]
    assert 0 < len(broken) < 50
    assert {code for _, code in found} == {"store.damaged"}
    assert (None, "store.damaged") in found


def page_of(path: Path, table: str) -> int:
    """Return the number of a leaf page in the middle of a table."""
    with closing(sqlite3.connect(path)) as connection:
        rows = connection.execute(
            "SELECT pageno FROM dbstat WHERE name = ? AND pagetype = 'leaf' ORDER BY path",
            (table,),
        ).fetchall()
    number: int = rows[len(rows) // 2][0]
    return number


# -- compact ---------------------------------------------------------------------------


async def test_what_ended_before_is_archived_and_removed(
    store: SqliteStore, tmp_path: Path
) -> None:
    archive = tmp_path / "old.jsonl"
    cut_ms = (await store.read("x3")).summary.standing.at_ms
    with opened_archive(archive) as file:
        removed = await remove(store, Retention(cut_ms + 1, TERMINAL), file)
    lines = [orjson.loads(line) for line in archive.read_bytes().splitlines()]
    assert removed.count == len(lines) == 3
    assert {line["execution"]["execution_id"] for line in lines} == set(IDS)
    assert await store.find(Search()) == []
    with pytest.raises(UnknownExecution):
        await store.read("x1")


async def test_what_ended_later_or_otherwise_or_runs_stays(store: SqliteStore) -> None:
    plan = plan_of({"name": "nap", "steps": [{"id": "nap", "type": "wait", "for": "3d"}]})
    async with running(store) as driver:
        await driver.start(plan, Start("open", None))
    assert (await remove(store, Retention(0, TERMINAL), None)).count == 0
    assert (await remove(store, Retention(FOREVER, ("failed",)), None)).count == 0
    assert (await remove(store, Retention(FOREVER, TERMINAL), None)).count == 3
    assert [one.new.execution_id for one in await store.find(Search())] == ["open"]


async def test_what_cannot_be_archived_stays_and_is_told(
    store: SqliteStore, path: Path, tmp_path: Path
) -> None:
    tamper(path, "UPDATE standings SET head = x'00' WHERE execution = 2")
    with opened_archive(tmp_path / "old.jsonl") as file:
        removed = await remove(store, Retention(FOREVER, TERMINAL), file)
    assert removed.count == 2
    assert [(one.execution_id, one.code) for one in removed.kept] == [
        ("x2", "journal.damaged")
    ]
    assert [one.new.execution_id for one in await store.find(Search())] == ["x2"]


async def test_where_the_archive_cannot_be_written_nothing_is_removed(
    store: SqliteStore,
) -> None:
    with (
        opened_archive(Path("/dev/full")) as file,
        pytest.raises(OSError, match="No space"),
    ):
        await remove(store, Retention(FOREVER, TERMINAL), file)
    assert len(await store.find(Search())) == 3


async def test_a_line_that_a_crash_cut_off_spoils_no_other(tmp_path: Path) -> None:
    archive = tmp_path / "old.jsonl"
    archive.write_bytes(b'{"a": 1}\n{"b"')
    with opened_archive(archive) as file:
        file.write(b'{"c": 3}\n')
        file.sync()
    assert archive.read_bytes() == b'{"a": 1}\n{"b"\n{"c": 3}\n'


@pytest.mark.parametrize(
    "name",
    [
        "plait.db",
        "plait.db-wal",
        "plait.db-shm",
        "plait.db-journal",
        "plait.db.blobs/old.jsonl",
        "linked",
        "symbolic",
        "copy",
        "notes",
    ],
)
async def test_what_belongs_to_the_store_or_is_no_archive_is_not_added_to(
    store: SqliteStore, path: Path, tmp_path: Path, name: str
) -> None:
    os.link(path, tmp_path / "linked")
    (tmp_path / "symbolic").symlink_to(f"{path}-wal")
    (tmp_path / "copy").write_bytes(path.read_bytes())
    (tmp_path / "notes").write_text("[]\n")
    (tmp_path / "plait.db.blobs").mkdir(exist_ok=True)
    file = tmp_path / name
    before = file.read_bytes() if file.exists() else None
    with (
        pytest.raises(ArchiveRefused, match="nothing was removed"),
        opened_archive(file, paths_of(f"sqlite:{path}")) as archive,
    ):
        await remove(store, Retention(FOREVER, TERMINAL), archive)
    assert (file.read_bytes() if file.exists() else None) == before
    assert len(await store.find(Search())) == 3


async def test_a_store_without_upkeep_says_so() -> None:
    class Plain:
        """Somebody else's store."""

    with pytest.raises(NoUpkeep, match="cannot compact this store"):
        upkeep_of(cast("Store", Plain()), "compact")
