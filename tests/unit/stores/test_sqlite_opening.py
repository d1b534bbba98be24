"""Opening the database: several who begin its log at once wait for each other."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from plait.stores.sqlite import database
from plait.stores.sqlite.faults import StoreLocked


@pytest.fixture
def rival(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    """Another, who writes to the same file, which has no write-ahead log yet."""
    path = tmp_path / "plait.db"
    for connection in database.opened(path):
        connection.close()
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("PRAGMA journal_mode = DELETE")
        other.execute("BEGIN IMMEDIATE")
        yield other


def test_who_begins_the_log_waits_for_another_who_writes(
    rival: sqlite3.Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite's own waiting does not help here: it has begun to read the file."""
    monkeypatch.setattr(database, "sleep", lambda _: rival.rollback())
    for connection in database.opened(tmp_path / "plait.db"):
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        connection.close()
    assert not rival.in_transaction


def test_who_waits_in_vain_is_told_that_it_is_locked(
    rival: sqlite3.Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "BUSY_TIMEOUT_MS", 20)
    with pytest.raises(StoreLocked):
        database.opened(tmp_path / "plait.db")
    assert rival.in_transaction
