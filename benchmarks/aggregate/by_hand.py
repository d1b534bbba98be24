"""The endpoint as a good engineer writes it with FastAPI, whichever the HTTP client.

Nothing that costs time is left in: replies are decoded and encoded by orjson, and the
reply does not pass through response models.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Coroutine
from contextlib import AbstractAsyncContextManager
from typing import Annotated, Any

import orjson
from fastapi import FastAPI, Path, Response

USERS, ORDERS, OFFERS = (
    f"http://127.0.0.1:{port}"
    for port in os.environ.get("UPSTREAM_PORTS", "1,2,3").split(",")
)

Fetch = Callable[[str], Coroutine[Any, Any, Any]]
Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[None]]
UserId = Annotated[str, Path(pattern="^[0-9]{1,12}$")]


class UpstreamFailed(Exception):
    """A call gave no usable answer: wrong status, no connection, too late."""


def build_app(fetch: Fetch, lifespan: Lifespan) -> FastAPI:
    """Return the application; `fetch` GETs a URL's JSON or raises UpstreamFailed."""
    app = FastAPI(lifespan=lifespan)

    @app.get("/profiles/{user_id}")
    async def profile(user_id: UserId) -> Response:
        orders_task = asyncio.create_task(fetch(f"{ORDERS}/api/orders?user_id={user_id}"))
        try:
            user = await fetch(f"{USERS}/api/users/{user_id}")
            offers = await fetch_offers(user) if user["vip"] else None
            orders = await orders_task
        except UpstreamFailed as error:
            orders_task.cancel()
            return reply({"error": {"code": "upstream", "message": str(error)}}, 502)
        return reply({"user": user, "orders": orders["orders"], "offers": offers})

    async def fetch_offers(user: dict[str, Any]) -> Any:
        try:
            return await fetch(f"{OFFERS}/api/offers/{user['id']}")
        except UpstreamFailed:
            return None

    return app


def reply(body: dict[str, Any], status: int = 200) -> Response:
    """Return `body` as a JSON reply."""
    return Response(orjson.dumps(body), status, media_type="application/json")
