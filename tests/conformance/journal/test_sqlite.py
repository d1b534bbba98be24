"""The SQLite store keeps the contract of journal and leases."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from plait.drivers.journal import Store
from plait.stores.sqlite import SqliteStore
from plait.testing.journal_suite import JournalSuite
from plait.testing.store_suite import (
    ANN,
    AT_ONCE,
    LATER_MS,
    NOW_MS,
    OpenStore,
    entry,
    new,
)
from tests.conformance.journal.damage import Damage, DamageSuite
from tests.conformance.journal.derived import DerivedSuite, Spoil
from tests.unit.stores.histories import tamper


@pytest.fixture
async def stores(tmp_path: Path) -> AsyncIterator[OpenStore]:
    opened: list[Store] = []

    async def open_store() -> Store:
        opened.append(await SqliteStore.open(tmp_path / "plait.db"))
        return opened[-1]

    yield open_store
    for store in opened:
        await store.close()


class TestSqliteStore(JournalSuite):
    pass


async def test_what_a_worker_that_never_was_holds_is_given_to_others(
    stores: OpenStore, tmp_path: Path
) -> None:
    store = await stores()
    await store.join(ANN)
    await store.create(new("x1"), [entry()], AT_ONCE, ANN)
    tamper(tmp_path / "plait.db", "UPDATE standings SET owner = 'ghost'")
    await store.beat(ANN, NOW_MS, LATER_MS)
    (claimed,) = (await store.claim(ANN, NOW_MS, 10)).executions
    assert claimed.new.execution_id == "x1"


class TestDamage(DamageSuite):
    @pytest.fixture(
        params=[
            "UPDATE executions SET tags = 'garbage' WHERE id = ?",
            "UPDATE executions SET tags = '7' WHERE id = ?",
            "DELETE FROM executions WHERE id = ?",
            "UPDATE executions SET workflow = CAST(x'ff' AS TEXT) WHERE id = ?",
        ]
    )
    def damage(self, request: pytest.FixtureRequest, tmp_path: Path) -> Damage:
        async def damage(execution_id: str) -> None:
            tamper(tmp_path / "plait.db", request.param, execution_id)

        return damage


class TestDerived(DerivedSuite):
    @pytest.fixture
    def spoil(self, tmp_path: Path) -> Spoil:
        def number(name: str) -> str:
            return f"(SELECT number FROM executions WHERE id = '{name}')"

        def stands(name: str, change: str) -> str:
            where = f"WHERE execution = {number(name)}"
            return f"UPDATE standings SET {change} {where}"

        changes = {
            "untag": "DELETE FROM tags WHERE tag = 'vip'",
            "tag": f"INSERT INTO tags VALUES ('spam', {number('x1')})",
            "strand": stands("x2", "lane_state = 2, wake_at_ms = NULL"),
            "overfill": stands("x2", "lane_state = 0"),
            "ghost": stands("x1", "lane_state = 2"),
            "unplan": stands("x3", "workflow = 'y'"),
        }

        async def spoil(name: str) -> None:
            tamper(tmp_path / "plait.db", changes[name])

        return spoil
