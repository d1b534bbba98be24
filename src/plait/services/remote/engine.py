"""The engine in another process."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing

import orjson

from plait.model.caller import Caller
from plait.model.json import JsonObject
from plait.ports.platform import Order, Told
from plait.services.remote.link import Link
from plait.services.v1.engine_pb2 import ExecuteReply, ExecuteRequest
from plait.services.wire import Asked, dumped, loaded_object, told_of


class RemoteEngine:
    """Runs workflows elsewhere (plait.ports.platform, `Engine`).

    Args:
        request_timeout_ms: How long the engine gives an express execution: its own answer
            is waited for, beside the link's time. 0: nobody knows.
    """

    def __init__(self, link: Link, request_timeout_ms: int = 0) -> None:
        self._link = link
        self._request_timeout_ms = request_timeout_ms

    async def execute(self, caller: Caller, order: Order) -> JsonObject:
        """Run a workflow; return `{execution_id, status, output, error, …}`."""
        reply: ExecuteReply = await self._link.call(
            "execute",
            request_of(order),
            Asked(caller, order.trace),
            is_safe=order.key is not None,
            wait_ms=max(order.wait_ms, self._request_timeout_ms),
        )
        return loaded_object(reply.json)

    async def execute_stream(
        self, caller: Caller, order: Order
    ) -> AsyncGenerator[Told, None]:
        """Run a workflow; yield what happens in it, and `result` at last."""
        asked = Asked(caller, order.trace)
        events = self._link.stream("execute_stream", request_of(order), asked)
        async with aclosing(events):
            async for event in events:
                yield told_of(event)


def request_of(order: Order) -> ExecuteRequest:
    """Return an order as a message."""
    request = ExecuteRequest(
        input=dumped(order.input),
        mode=order.mode or "",
        wait_ms=order.wait_ms,
        key=order.key,
    )
    if order.workflow is not None:
        request.workflow = order.workflow
    if order.definition is not None:
        request.definition = orjson.dumps(order.definition)
    return request
