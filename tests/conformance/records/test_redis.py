"""Records in Redis keep the contract, also through outages."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from plait.assembly.stores import open_records as open_by_place
from plait.ports.journal import StoreFull, StoreUnavailable
from plait.ports.records import Records
from plait.stores.faults import StoreDamaged
from plait.stores.redis import RedisRecords
from plait.testing.records_suite import (
    NOW_MS,
    LastingRecordsSuite,
    OpenRecords,
    keys_of,
    put,
)
from tests.conformance.journal.servers import PrivateServer, redis, redis_url


@pytest.fixture
async def open_records(
    client: Any, shared_redis: PrivateServer
) -> AsyncIterator[OpenRecords]:
    del client
    opened: list[Records] = []

    async def open_records() -> Records:
        opened.append(await open_by_place(redis_url(shared_redis)))
        return opened[-1]

    yield open_records
    for records in opened:
        await records.close()


class TestRedisRecords(LastingRecordsSuite):
    pass


async def test_a_server_without_memory_changes_nothing_and_is_read_still(
    open_records: OpenRecords, client: Any
) -> None:
    records = await open_records()
    await records.change([put("a")], NOW_MS)
    used = (await client.info("memory"))["used_memory"]
    await client.config_set("maxmemory", used)
    try:
        with pytest.raises(StoreFull):
            await records.change([put("b", bytes(1_000_000)), put("c")], NOW_MS)
        assert await keys_of(records) == ["a"]
        assert await records.revision() == 1
    finally:
        await client.config_set("maxmemory", 0)
    await records.change([put("b")], NOW_MS)
    assert await keys_of(records) == ["a", "b"]


async def test_what_was_acknowledged_survives_a_crash_of_the_server() -> None:
    with redis() as server:
        records = await RedisRecords.open(redis_url(server))
        for number in range(5):
            await records.change([put(f"k{number}")], NOW_MS)
        server.kill()
        with pytest.raises(StoreUnavailable):
            await records.change([put("k9")], NOW_MS)
        server.start()
        assert await keys_of(records) == [f"k{number}" for number in range(5)]
        await records.close()


@pytest.mark.parametrize("value", [b"garbage", b"1|x|{}"])
async def test_what_is_no_record_any_more_is_told(
    open_records: OpenRecords, client: Any, value: bytes
) -> None:
    records = await open_records()
    await records.change([put("a"), put("b")], NOW_MS)
    await client.hset("{plait}:r:10:deploymentdefault", "a", value)
    with pytest.raises(StoreDamaged, match="the record 'deployment' b'a'"):
        await records.get("deployment", "default", "a")
    with pytest.raises(StoreDamaged):
        await records.find("deployment", "default")
    assert await records.get("deployment", "default", "b") is not None
    await records.change([put("a")], NOW_MS)
    assert await keys_of(records) == ["a", "b"]


async def test_a_key_that_holds_something_else_is_told_before_anything_is_written(
    open_records: OpenRecords, client: Any
) -> None:
    records = await open_records()
    await client.set("{plait}:rk:7:sessiondefault", "something else")
    with pytest.raises(StoreDamaged):
        await records.change([put("a"), put("b", kind="session")], NOW_MS)
    assert (await keys_of(records), await records.revision()) == ([], 0)
    with pytest.raises(StoreDamaged):
        await records.find("session", "default")
