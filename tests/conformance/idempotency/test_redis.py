"""The Redis store keeps the contract; a server that is away makes no call unguarded."""

from __future__ import annotations

from typing import Any

import pytest
from redis.asyncio import Redis
from redis.exceptions import ConnectionError as RedisConnectionError

from plait.resilience.idempotency.redis import RedisIdempotencyStore
from tests.conformance.idempotency.suite import Charge, IdempotencySuite, Passing, guard


class TestRedisIdempotencyStore(IdempotencySuite):
    @pytest.fixture
    def store(self, client: Any) -> RedisIdempotencyStore:
        return RedisIdempotencyStore(client)

    @pytest.fixture
    def passing(self, client: Any) -> Passing:
        async def shorten(seconds: float) -> None:
            """Take from every key's time to live what would have passed."""
            for name in await client.keys():
                await client.pexpire(name, await client.pttl(name) - int(seconds * 1_000))

        return shorten


async def test_a_server_that_is_away_refuses_calls_or_lets_them_through() -> None:
    # Nothing listens on port 1.
    client, charge = Redis(port=1), Charge()
    charge.gate.set()
    store = RedisIdempotencyStore(client)
    with pytest.raises(RedisConnectionError):
        await guard(store).call(charge, "A-1")
    assert charge.calls == 0
    assert (await guard(store, fail_open=True).call(charge, "A-1"))["number"] == 1
    await client.aclose()


def test_a_client_that_decodes_is_refused() -> None:
    with pytest.raises(ValueError, match="decodes responses"):
        RedisIdempotencyStore(Redis(decode_responses=True))
