"""What the Redis store keeps a second time follows from its rows, list by list."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from plait.testing.lanes_suite import end, row
from plait.testing.store_suite import (
    NOW_MS,
    OpenStore,
)
from tests.conformance.journal.derived import LANE, DerivedStore, DerivedSuite, Spoil


@pytest.fixture
def stores(redis_stores: OpenStore) -> OpenStore:
    return redis_stores


class TestDerived(DerivedSuite):
    @pytest.fixture
    def spoil(self, client: Any) -> Spoil:
        changes = {
            "untag": ["ZREM t:vip x1"],
            "tag": ["ZADD t:spam 1 x1"],
            "strand": [
                "HSET x:x2 lane_state 2",
                f"SREM lane:{LANE} x2",
                f"ZADD queue:{LANE} 2 x2",
                "ZREM free:0:shop x2",
            ],
            "overfill": [
                "HSET x:x2 lane_state 0",
                f"SADD lane:{LANE} x2",
                f"ZREM queue:{LANE} x2",
                f"ZADD free:0:shop {NOW_MS + 3_600_000} x2",
            ],
            "ghost": [f"ZADD queue:{LANE} 1 x1"],
            "unplan": ["DEL free:0:shop"],
        }

        async def spoil(name: str) -> None:
            for command in changes[name]:
                verb, key, *rest = command.split()
                await client.execute_command(verb, f"{{plait}}:{key}", *rest)

        return spoil

    @pytest.mark.parametrize(
        ("command", "name"),
        [
            ("DEL all", "x1"),
            ("SET all boo", "x1"),
            ("DEL keys", "x1"),
            ("ZREM free:0:shop x3", "x3"),
            ("ZADD free:0:shop 5 x3", "x3"),
            ("ZADD free:9:shop 5 x3", "x3"),
            ("DEL priorities", "x3"),
            ("DEL groups:0", "x3"),
            ("DEL waiting", "x1"),
            ("SADD waiting x3", "x3"),
            ("DEL held:ann", "x1"),
            ("SADD held:bob x3", "x3"),
            ("DEL holders", "x1"),
            ("ZREM p:x1 x3", "x3"),
            ("ZADD e:no.good 1 x3", "x3"),
            ("ZADD ended 1 x3", "x3"),
            ("DEL workflows", "x1"),
            ('DEL lane:shop:"ann"', "x1"),
            ('SADD lane:shop:"ann" x2', "x2"),
            ('ZADD queue:shop:"ann" 7 x2', "x2"),
            ('DEL queue:shop:"ann"', "x2"),
            ("SADD waiting nobody", "nobody"),
        ],
    )
    async def test_each_list_is_made_anew_from_the_rows(
        self, store: DerivedStore, client: Any, command: str, name: str
    ) -> None:
        before = await contents(client)
        verb, key, *rest = command.split()
        await client.execute_command(verb, f"{{plait}}:{key}", *rest)
        told = [one for one in await store.differences() if one.lane is None]
        assert name in {one.execution_id for one in told}
        assert all(key.partition(":")[0] in one.reason for one in told)
        mended = [one for one in await store.differences(mends=True) if one.lane is None]
        assert all(replace(one, is_mended=False) in told for one in mended)
        assert all(one.is_mended for one in mended)
        assert await store.differences() == []
        assert await contents(client) == before

    async def test_a_key_of_another_execution_is_told_and_left(
        self, store: DerivedStore, client: Any
    ) -> None:
        await client.hset("{plait}:keys", "4:shopk2", "x1")
        for mends in (False, True):
            (told,) = await store.differences(mends=mends)
            assert (told.execution_id, told.is_mended) == ("x2", False)
        assert await client.hget("{plait}:keys", "4:shopk2") == b"x1"

    async def test_what_has_lost_its_row_keeps_its_key_and_is_told_still(
        self, store: DerivedStore, client: Any
    ) -> None:
        await end(store, await row(store, "x1"))
        await client.delete("{plait}:x:x1")
        await store.differences(mends=True)
        assert await store.check() == ["x1: its row is gone"]
        assert await client.hget("{plait}:keys", "4:shopk1") == b"x1"


async def contents(client: Any) -> dict[bytes, Any]:
    """Return all that is not of workers' lives or of counters."""
    found: dict[bytes, Any] = {}
    for key in await client.keys("*"):
        match await client.type(key):
            case b"zset":
                found[key] = await client.zrange(key, 0, -1, withscores=True)
            case b"set":
                found[key] = await client.smembers(key)
            case b"hash":
                found[key] = await client.hgetall(key)
            case _:
                continue
    return found
