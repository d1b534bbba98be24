"""Restate's sample, the part that Granian serves: a service with a handler per workflow.

The steps are written as Restate's documentation of its Python SDK writes them.
"""

from __future__ import annotations

import gc
import os
from typing import Final

import aiohttp
import restate

UPSTREAM: Final = f"http://127.0.0.1:{os.environ['UPSTREAM_PORT']}"

_sessions: list[aiohttp.ClientSession] = []
bench = restate.Service("bench")


async def get(number: int) -> int:
    """Call the upstream."""
    if not _sessions:  # it belongs to the loop, which runs only now
        _sessions.append(aiohttp.ClientSession(UPSTREAM))
    async with _sessions[0].get(f"/{number}") as reply:
        found: int = (await reply.json())["n"]
        return found


async def nothing(number: int) -> int:
    """Do nothing."""
    return number


@bench.handler()
async def w3(ctx: restate.Context, number: int) -> int:
    """Three calls, each with the result of the one before."""
    a = await ctx.run_typed("a", get, number=number)
    b = await ctx.run_typed("b", get, number=a)
    c: int = await ctx.run_typed("c", get, number=b)
    return c


@bench.handler()
async def w3n(ctx: restate.Context, number: int) -> int:
    """Three steps that do nothing."""
    a = await ctx.run_typed("a", nothing, number=number)
    b = await ctx.run_typed("b", nothing, number=a)
    c: int = await ctx.run_typed("c", nothing, number=b)
    return c


app = restate.app([bench])
# As benchmarks.durable.load does for every other peer.
gc.collect()
gc.freeze()
