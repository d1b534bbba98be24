"""The memory store keeps the contract."""

from __future__ import annotations

import pytest

from plait.resilience import MemoryStore
from tests.conformance.cache.suite import Passing, StoreSuite
from tests.unit.resilience.clocks import HandClock


class TestMemoryStore(StoreSuite):
    @pytest.fixture
    def clock(self) -> HandClock:
        return HandClock()

    @pytest.fixture
    def store(self, clock: HandClock) -> MemoryStore:
        return MemoryStore(clock=clock)

    @pytest.fixture
    def passing(self, clock: HandClock) -> Passing:
        return clock.sleep
