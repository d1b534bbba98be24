"""Restate's sample: the load. The server and the service run beside, as they would."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
import uvloop

from benchmarks.durable.load import Wish, drive, tell, wish


async def run(wanted: Wish) -> dict[str, Any]:
    """Return the figures of one sample; the database's URL is that of the ingress."""
    connector = aiohttp.TCPConnector(limit=wanted.in_flight)
    async with aiohttp.ClientSession(wanted.database, connector=connector) as session:

        async def one(number: int) -> None:
            path = f"/bench/{wanted.workflow}"
            async with session.post(path, json=number) as reply:
                assert reply.status == 200, await reply.text()
                await reply.read()

        return await drive(wanted, one)


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        tell(runner.run(run(wish())))
