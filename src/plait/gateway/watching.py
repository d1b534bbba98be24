"""Watching: telling of every request that was answered, where somebody wants to know.

Where nobody does (`watch` is None) no layer stands between.
"""

from __future__ import annotations

import time

from plait.gateway.layers import CLIENT_LEFT, Exchange, Handler
from plait.gateway.message import Reply
from plait.model.caller import DEFAULT_TENANT
from plait.ports.observer import Answered, Watch


def with_watch(
    handler: Handler, route: str, watch: Watch | None, tenant: str | None = None
) -> Handler:
    """Tell `watch` of each request.

    Args:
        tenant: Whose the route is; None: whoever asks.
    """
    if watch is None:
        return handler

    async def handle(exchange: Exchange) -> Reply:
        began_s, began = time.time(), time.perf_counter()
        status = CLIENT_LEFT
        try:
            reply = await handler(exchange)
            status = reply.status
            return reply
        finally:
            took_s = time.perf_counter() - began
            watch(_answered(exchange, route, tenant, status, began_s, took_s))

    return handle


def _answered(
    exchange: Exchange,
    route: str,
    tenant: str | None,
    status: int,
    began_s: float,
    took_s: float,
) -> Answered:
    request, identity, caller = exchange.request, exchange.identity, exchange.caller
    given = request.headers.get(b"traceparent")
    if tenant is None:
        tenant = DEFAULT_TENANT if caller is None else caller.tenant
    return Answered(
        request.method,
        route,
        status,
        began_s,
        took_s,
        identity.request_id,
        identity.trace,
        None if given is None else given.decode("latin-1"),
        identity.execution_id,
        tenant,
    )
