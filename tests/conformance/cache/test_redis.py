"""The Redis store keeps the contract, and a server that is away stops no call."""

from __future__ import annotations

from typing import Any

import pytest
from redis.asyncio import Redis

from plait.resilience import Cache
from plait.resilience.cache.redis import RedisStore
from tests.conformance.cache.suite import Passing, StoreSuite


class TestRedisStore(StoreSuite):
    @pytest.fixture
    def store(self, client: Any) -> RedisStore:
        return RedisStore(client)

    @pytest.fixture
    def passing(self, client: Any) -> Passing:
        async def shorten(seconds: float) -> None:
            """Take from every key's time to live what would have passed."""
            for name in await client.keys():
                await client.pexpire(name, await client.pttl(name) - int(seconds * 1_000))

        return shorten


async def test_clear_leaves_other_keys_alone(client: Any) -> None:
    mine, like_it = RedisStore(client, prefix="a[b]*:"), RedisStore(client, prefix="ab:")
    await mine.put("a", 1, 60)
    await like_it.put("a", 2, 60)
    await client.set("account", "1")
    await mine.clear()
    assert await mine.get("a") is None
    assert await like_it.get("a") is not None
    assert await client.get("account") == b"1"


async def test_the_server_sees_no_arguments_and_forgets_by_itself(client: Any) -> None:
    await RedisStore(client).put("token-of-ann", 1, 60)
    (name,) = await client.keys()
    assert b"token" not in name
    assert 0 < await client.pttl(name) <= 60_000


async def test_a_value_too_large_takes_the_earlier_one_with_it(client: Any) -> None:
    store = RedisStore(client, value_bytes_max=20)
    await store.put("a", "short", 60)
    assert not await store.put("a", "x" * 30, 60)
    assert await store.get("a") is None


async def test_a_server_that_is_away_stops_no_call() -> None:
    # Nothing listens on port 1.
    client = Redis(port=1)
    cache = Cache(60, store=RedisStore(client))

    async def price() -> int:
        return 7

    assert await cache.call(price) == 7
    assert cache.snapshot().store_failures == 2
    await client.aclose()


def test_a_client_that_decodes_is_refused() -> None:
    with pytest.raises(ValueError, match="decodes responses"):
        RedisStore(Redis(decode_responses=True))
    with pytest.raises(ValueError, match="prefix is empty"):
        RedisStore(Redis(), prefix="")
