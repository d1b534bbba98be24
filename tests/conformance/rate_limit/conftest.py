"""A Redis of a test's own, for tests that take it away."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from redis.asyncio import Redis

from tests.conformance.journal.servers import PrivateServer, redis


@pytest.fixture
def own_server() -> Iterator[PrivateServer]:
    """A server to be taken away."""
    with redis(appendonly="no") as server:
        yield server


@pytest.fixture
async def own_client(own_server: PrivateServer) -> AsyncIterator[Any]:
    client: Any = Redis(port=own_server.port)
    yield client
    await client.aclose()
