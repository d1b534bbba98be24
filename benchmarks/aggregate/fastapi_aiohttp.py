"""The peer FastAPI + aiohttp: one shared session whose pool is never the limit."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import orjson
from fastapi import FastAPI

from benchmarks.aggregate.by_hand import UpstreamFailed, build_app
from benchmarks.aggregate.data import CALL_TIMEOUT_MS

sessions: list[aiohttp.ClientSession] = []


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Open the session with the application, and close it with it."""
    del app
    connector = aiohttp.TCPConnector(limit=1000, keepalive_timeout=60)
    timeout = aiohttp.ClientTimeout(total=CALL_TIMEOUT_MS / 1000)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
        sessions.append(session)
        yield


async def fetch(url: str) -> Any:
    """GET the JSON at `url`."""
    try:
        async with sessions[0].get(url) as response:
            if response.status != 200:
                raise UpstreamFailed(f"{url} answered {response.status}")
            return orjson.loads(await response.read())
    except (aiohttp.ClientError, TimeoutError, ValueError) as error:
        raise UpstreamFailed(f"{url}: {error}") from error


app = build_app(fetch, lifespan)
