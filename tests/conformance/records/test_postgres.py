"""Records in PostgreSQL keep the contract, also through outages."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest

from plait.assembly.stores import open_records as open_by_place
from plait.ports.journal import StoreUnavailable
from plait.ports.records import Records
from plait.stores.faults import StoreDamaged
from plait.stores.postgres import PostgresRecords
from plait.testing.records_suite import (
    NOW_MS,
    LastingRecordsSuite,
    OpenRecords,
    drop,
    keys_of,
    put,
)
from tests.conformance.journal.servers import (
    PrivateServer,
    postgres,
    postgres_address,
    postgres_url,
)


@pytest.fixture
async def open_records(
    database: Any, shared_postgres: PrivateServer
) -> AsyncIterator[OpenRecords]:
    del database
    opened: list[Records] = []

    async def open_records() -> Records:
        opened.append(await open_by_place(postgres_url(shared_postgres)))
        return opened[-1]

    yield open_records
    for records in opened:
        await records.close()


class TestPostgresRecords(LastingRecordsSuite):
    pass


async def test_a_change_whose_connection_is_cut_off_is_not_made(
    open_records: OpenRecords, database: Any
) -> None:
    records = await open_records()
    await records.change([put("a", b"before")], NOW_MS)
    async with database.transaction():
        # The second of the two changes waits for this row, the first has been written.
        await database.execute("SELECT FROM plait.records WHERE key = 'a' FOR UPDATE")
        changing = asyncio.create_task(records.change([put("b"), drop("a")], NOW_MS))
        waits = "SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
        while (pid := await database.fetchval(waits)) is None:
            await database.execute("SELECT pg_stat_clear_snapshot()")
        await database.execute("SELECT pg_terminate_backend($1)", pid)
        with pytest.raises(StoreUnavailable):
            await changing
    assert await keys_of(records) == ["a"]
    await records.change([put("b"), drop("a")], NOW_MS)
    assert await keys_of(records) == ["b"]


async def test_what_was_acknowledged_survives_a_crash_of_the_server() -> None:
    with postgres() as server:
        records = await PostgresRecords.open(postgres_url(server))
        for number in range(5):
            await records.change([put(f"k{number}")], NOW_MS)
        server.kill()
        with pytest.raises(StoreUnavailable):
            await records.change([put("k9")], NOW_MS)
        server.start()
        await records.close()
        again = await PostgresRecords.open(postgres_url(server))
        assert await keys_of(again) == [f"k{number}" for number in range(5)]
        await again.close()


async def test_a_name_that_is_no_text_any_more_is_told(
    open_records: OpenRecords, database: Any
) -> None:
    records = await open_records()
    await records.change([put("a")], NOW_MS)
    await database.execute("CREATE CAST (bytea AS text) WITHOUT FUNCTION")
    try:
        await database.execute(r"UPDATE plait.records SET key = ('\xff'::bytea)::text")
    finally:
        await database.execute("DROP CAST (bytea AS text)")
    with pytest.raises(StoreDamaged, match="is no text"):
        await records.find("deployment", "default")


async def test_many_open_an_empty_database_at_once(
    open_records: OpenRecords, shared_postgres: PrivateServer
) -> None:
    opened = await asyncio.gather(*(open_records() for _ in range(4)))
    await asyncio.gather(*(one.change([put("a")], NOW_MS) for one in opened))
    assert await opened[0].revision() == 4
    connection = await asyncpg.connect(postgres_address(shared_postgres))
    count = await connection.fetchval("SELECT count(*) FROM plait.record_revision")
    await connection.close()
    assert count == 1
