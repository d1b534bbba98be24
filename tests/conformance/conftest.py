"""The servers that tests of stores share, empty for each: none of them takes one away."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

import asyncpg
import pytest
from redis.asyncio import Redis

from plait.drivers.journal import Store
from plait.stores.postgres import PostgresStore
from plait.stores.redis import RedisStore
from plait.testing.store_suite import (
    OpenStore,
)
from tests.conformance.journal.servers import (
    PrivateServer,
    postgres,
    postgres_address,
    postgres_url,
    redis,
    redis_url,
)


@pytest.fixture(scope="session")
def shared_postgres() -> Iterator[PrivateServer]:
    """PostgreSQL without fsync, for speed."""
    with postgres(fsync="off") as server:
        yield server


@pytest.fixture
async def database(shared_postgres: PrivateServer) -> AsyncIterator[Any]:
    """An empty database; yields a connection to it."""
    connection = await asyncpg.connect(postgres_address(shared_postgres))
    await connection.execute("DROP SCHEMA IF EXISTS plait CASCADE")
    yield connection
    await connection.close()


@pytest.fixture
async def postgres_stores(
    database: Any, shared_postgres: PrivateServer
) -> AsyncIterator[OpenStore]:
    """Stores in that database, closed at the end."""
    del database
    opened: list[Store] = []

    async def open_store() -> Store:
        opened.append(await PostgresStore.open(postgres_url(shared_postgres)))
        return opened[-1]

    yield open_store
    for store in opened:
        await store.close()


@pytest.fixture(scope="session")
def shared_redis() -> Iterator[PrivateServer]:
    """A durable Redis."""
    with redis() as server:
        yield server


@pytest.fixture
async def client(shared_redis: PrivateServer) -> AsyncIterator[Any]:
    """A client of an empty Redis."""
    client: Any = Redis(port=shared_redis.port)
    await client.flushall()
    yield client
    await client.aclose()


@pytest.fixture
async def redis_stores(
    client: Any, shared_redis: PrivateServer
) -> AsyncIterator[OpenStore]:
    """Stores on that server, closed at the end."""
    del client
    opened: list[Store] = []

    async def open_store() -> Store:
        opened.append(await RedisStore.open(redis_url(shared_redis)))
        return opened[-1]

    yield open_store
    for store in opened:
        await store.close()
