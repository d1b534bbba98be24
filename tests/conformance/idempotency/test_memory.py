"""The memory store keeps the contract."""

from __future__ import annotations

import pytest

from plait.resilience import MemoryIdempotencyStore
from plait.resilience.idempotency import State
from tests.conformance.idempotency.suite import IdempotencySuite, Passing
from tests.unit.resilience.clocks import HandClock


class TestMemoryIdempotencyStore(IdempotencySuite):
    @pytest.fixture
    def clock(self) -> HandClock:
        return HandClock()

    @pytest.fixture
    def store(self, clock: HandClock) -> MemoryIdempotencyStore:
        return MemoryIdempotencyStore(clock=clock)

    @pytest.fixture
    def passing(self, clock: HandClock) -> Passing:
        return clock.sleep


async def test_what_has_expired_takes_no_memory() -> None:
    clock = HandClock()
    store = MemoryIdempotencyStore(clock=clock)
    for number in range(5_000):
        clock.advance(1)
        await store.begin(f"{number}", "me", "r", 100)
        await store.finish(f"{number}", "me", State.COMPLETED, b"", 100)
    assert len(store) <= 1_000
