"""Stores of each kind for the proofs, on private servers that are stopped afterwards."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, TypeAlias

import asyncpg
from redis import Redis

from tests.conformance.journal.servers import postgres, redis

KINDS: Final = ("sqlite", "postgresql", "redis")
Fresh: TypeAlias = Callable[[Path], str]


@contextmanager
def stores_of(kind: str) -> Iterator[Fresh]:
    """Yield what makes an empty store: given a folder of its own, it returns the place.

    A server has one store: each empty one takes the place of the one before.

    Raises:
        unittest.SkipTest: The server is not installed.
    """
    if kind == "sqlite":
        yield lambda folder: str(folder / "plait.db")
    elif kind == "postgresql":
        with postgres() as server:
            url = f"postgresql://postgres@127.0.0.1:{server.port}/postgres"
            yield lambda folder: asyncio.run(_without_schema(url))
    else:
        with redis() as server:
            yield lambda folder: _flushed(server.port)


async def _without_schema(url: str) -> str:
    connection = await asyncpg.connect(url)
    await connection.execute("DROP SCHEMA IF EXISTS plait CASCADE")
    await connection.close()
    return url


def _flushed(port: int) -> str:
    with Redis(port=port) as client:
        client.flushall()
    return f"redis://127.0.0.1:{port}/0"
