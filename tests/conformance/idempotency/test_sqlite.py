"""The SQLite store keeps the contract, and knows what a process before it did."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from plait.resilience import SqliteIdempotencyStore
from plait.resilience.idempotency import State
from tests.conformance.idempotency.suite import IdempotencySuite, Passing
from tests.unit.resilience.clocks import HandClock


class TestSqliteIdempotencyStore(IdempotencySuite):
    @pytest.fixture
    def clock(self) -> HandClock:
        return HandClock()

    @pytest.fixture
    async def store(
        self, clock: HandClock, tmp_path: Path
    ) -> AsyncIterator[SqliteIdempotencyStore]:
        store = SqliteIdempotencyStore(tmp_path / "keys.db", wall_clock=clock.now)
        yield store
        await store.aclose()

    @pytest.fixture
    def passing(self, clock: HandClock) -> Passing:
        return clock.sleep


async def test_what_was_begun_and_ended_is_known_after_a_restart(tmp_path: Path) -> None:
    before = SqliteIdempotencyStore(tmp_path / "keys.db")
    await before.begin("done", "one", "r", 60)
    await before.finish("done", "one", State.COMPLETED, b"7", 60)
    await before.begin("cut off", "one", "r", 60)
    await before.aclose()
    after = SqliteIdempotencyStore(tmp_path / "keys.db")
    assert (await after.begin("done", "two", "r", 60)).data == b"7"
    assert (await after.begin("cut off", "two", "r", 60)).state is State.PENDING
    await after.aclose()
