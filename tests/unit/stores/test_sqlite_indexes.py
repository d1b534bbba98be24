"""Damaged pages of indexes in a real file: told, and rebuilt where that loses nothing."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from plait.operations import Checked, verify_all
from plait.ports.journal import Search
from plait.stores.sqlite import SqliteStore
from tests.unit.stores.histories import finished, hand

BY_ID = "sqlite_autoindex_executions_1"


def page_of(path: Path, name: str) -> tuple[int, int]:
    """Return where the first page of a table or index begins, and its length, in bytes."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        query = "SELECT rootpage FROM sqlite_schema WHERE name = ?"
        (page,) = connection.execute(query, (name,)).fetchone()
        (size,) = connection.execute("PRAGMA page_size").fetchone()
    return (page - 1) * size, size


async def ran(path: Path, *ids: str) -> None:
    store = await SqliteStore.open(path)
    await finished(store, *ids)
    await store.close()


async def with_lost_write(path: Path, name: str) -> None:
    """Make a file in which one page is as it was before x2 to x4: a lost write."""
    await ran(path, "x1")
    begin, size = page_of(path, name)
    before = path.read_bytes()[begin : begin + size]
    await ran(path, "x2", "x3", "x4")
    assert page_of(path, name) == (begin, size)
    overwrite(path, begin, before)


def overwrite(path: Path, begin: int, data: bytes) -> None:
    with open(path, "r+b") as file:
        file.seek(begin)
        file.write(data)


async def verified(path: Path, *, repairs: bool = False) -> list[Checked]:
    """Return what verifying finds wrong."""
    store = await SqliteStore.open(path)
    found = [one async for one in verify_all(hand(store), repairs=repairs)]
    await store.close()
    return [one for one in found if one.code is not None]


async def ids_in(path: Path) -> set[str]:
    store = await SqliteStore.open(path)
    found = await store.find(Search())
    await store.close()
    return {one.new.execution_id for one in found}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "plait.db"


@pytest.mark.parametrize("index", [BY_ID, "executions_by_tenant", "standings_by_status"])
async def test_an_index_that_lacks_rows_is_told_and_made_anew(
    path: Path, index: str
) -> None:
    await with_lost_write(path, index)
    told = await verified(path)
    lacks = [one for one in told if index in (one.reason or "")]
    assert {one.code for one in lacks} == {"store.damaged"}
    assert all("`plait journal verify --repair`" in (one.reason or "") for one in lacks)
    (rebuilt,) = await verified(path, repairs=True)
    assert (rebuilt.code, rebuilt.is_mended) == ("store.inconsistent", True)
    assert rebuilt.reason == f"the index {index} was not what its table says"
    assert await verified(path) == []
    assert await ids_in(path) == {"x1", "x2", "x3", "x4"}


async def test_indexes_that_tell_of_rows_which_their_table_lost_stay(path: Path) -> None:
    await with_lost_write(path, "executions")
    before = await verified(path)
    assert before != []
    after = await verified(path, repairs=True)
    assert not any(one.is_mended for one in after)
    with closing(sqlite3.connect(path)) as connection:
        rows = connection.execute(f"SELECT id FROM executions INDEXED BY {BY_ID}")
        assert [row[0] for row in rows] == ["x1", "x2", "x3", "x4"]


async def test_a_page_that_cannot_be_read_is_told_and_stays(path: Path) -> None:
    await ran(path, "x1", "x2")
    begin, size = page_of(path, "executions_by_tenant")
    overwrite(path, begin, bytes(size))
    damaged = path.read_bytes()
    (told,) = await verified(path, repairs=True)
    assert (told.code, told.is_mended) == ("store.damaged", False)
    page_of(path, "executions")
    assert path.read_bytes() == damaged
