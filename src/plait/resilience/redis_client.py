"""A client of Redis for those who would rather go on without it than wait."""

from __future__ import annotations

from typing import Final

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

_CONNECTIONS_MAX: Final = 32


def impatient_client(url: str, answer_s: float) -> Redis:
    """Return a client that tries nothing twice; connections are made when it is asked.

    Args:
        url: `redis://…`.
        answer_s: How long an answer may take, or a free connection.
    """
    pool: BlockingConnectionPool = BlockingConnectionPool.from_url(
        url,
        max_connections=_CONNECTIONS_MAX,
        timeout=answer_s,
        socket_timeout=answer_s,
        socket_connect_timeout=answer_s,
        retry=Retry(NoBackoff(), 0),
    )
    return Redis(connection_pool=pool)


async def let_go(client: Redis) -> None:
    """Close a client and its connections."""
    await client.aclose()
    await client.connection_pool.disconnect()
