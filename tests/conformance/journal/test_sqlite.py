"""The SQLite store keeps the contract of journal and leases."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from plait.drivers.journal import Store
from plait.stores.sqlite import SqliteStore
from plait.testing.journal_suite import JournalSuite, OpenStore


class TestSqliteStore(JournalSuite):
    @pytest.fixture
    async def stores(self, tmp_path: Path) -> AsyncIterator[OpenStore]:
        opened: list[Store] = []

        async def open_store() -> Store:
            opened.append(await SqliteStore.open(tmp_path / "plait.db"))
            return opened[-1]

        yield open_store
        for store in opened:
            await store.close()
