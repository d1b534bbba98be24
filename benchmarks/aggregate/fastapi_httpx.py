"""The peer FastAPI + httpx: one shared client whose pool is never the limit."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import orjson
from fastapi import FastAPI

from benchmarks.aggregate.by_hand import UpstreamFailed, build_app
from benchmarks.aggregate.data import CALL_TIMEOUT_MS

clients: list[httpx.AsyncClient] = []


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Open the client with the application, and close it with it."""
    del app
    limits = httpx.Limits(
        max_connections=1000, max_keepalive_connections=1000, keepalive_expiry=60
    )
    # httpx limits each read and write on its own; the whole call is limited in `fetch`.
    async with httpx.AsyncClient(limits=limits, timeout=None) as client:
        clients.append(client)
        yield


async def fetch(url: str) -> Any:
    """GET the JSON at `url`."""
    try:
        async with asyncio.timeout(CALL_TIMEOUT_MS / 1000):
            response = await clients[0].get(url)
        if response.status_code != 200:
            raise UpstreamFailed(f"{url} answered {response.status_code}")
        return orjson.loads(response.content)
    except (httpx.HTTPError, TimeoutError, ValueError) as error:
        raise UpstreamFailed(f"{url}: {error}") from error


app = build_app(fetch, lifespan)
