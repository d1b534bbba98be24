"""The memory store keeps the contract of journal and leases."""

from __future__ import annotations

import pytest

from plait.drivers.journal import Store
from plait.stores.memory import MemoryStore
from plait.testing.journal_suite import JournalSuite
from plait.testing.store_suite import (
    OpenStore,
)


class TestMemoryStore(JournalSuite):
    @pytest.fixture
    def stores(self) -> OpenStore:
        store = MemoryStore()

        async def open_store() -> Store:
            return store

        return open_store
