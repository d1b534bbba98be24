"""Records in memory keep the contract."""

from __future__ import annotations

import pytest

from plait.ports.records import Records
from plait.stores.memory import MemoryRecords
from plait.testing.records_suite import OpenRecords, RecordsSuite


class TestMemoryRecords(RecordsSuite):
    @pytest.fixture
    def open_records(self) -> OpenRecords:
        records = MemoryRecords()

        async def open_records() -> Records:
            return records

        return open_records
