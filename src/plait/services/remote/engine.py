"""The engine in another process.

Rule. Its answer is waited for as long as the engine may take for it, beside the link's own
      time: else a workflow would be given up before its own `timeout` tells how it ended.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing, suppress

import orjson

from plait.model.caller import Caller
from plait.model.duration import parse_duration_ms
from plait.model.json import JsonObject
from plait.plan import Plan
from plait.ports.platform import Order, Told
from plait.services.remote.link import Link
from plait.services.v1.engine_pb2 import ExecuteReply, ExecuteRequest
from plait.services.wire import Asked, dumped, loaded_object, told_of


class RemoteEngine:
    """Runs workflows elsewhere (plait.ports.platform, `Engine`).

    Args:
        request_timeout_ms: How long the engine gives an express execution whose workflow
            has no `timeout` of its own. 0: nobody knows.
        find: Returns the plan of a tenant's workflow by its name; None: it is not known
            here. None: none is.
    """

    def __init__(
        self,
        link: Link,
        request_timeout_ms: int = 0,
        find: Callable[[str, str], Plan | None] | None = None,
    ) -> None:
        self._link = link
        self._request_timeout_ms = request_timeout_ms
        self._find = find

    async def execute(self, caller: Caller, order: Order) -> JsonObject:
        """Run a workflow; return `{execution_id, status, output, error, …}`."""
        reply: ExecuteReply = await self._link.call(
            "execute",
            request_of(order),
            Asked(caller, order.trace),
            is_safe=order.key is not None,
            wait_ms=self._lasts_ms(caller, order),
        )
        return loaded_object(reply.json)

    def _lasts_ms(self, caller: Caller, order: Order) -> int:
        """Return how long the engine may take: a durable execution is waited for only."""
        mode, timeout_ms = self._own_terms(caller, order)
        if order.key is not None or (order.mode or mode) == "durable":
            return order.wait_ms
        return timeout_ms or max(order.wait_ms, self._request_timeout_ms)

    def _own_terms(self, caller: Caller, order: Order) -> tuple[str, int | None]:
        """Return the mode and the timeout of the workflow itself, as far as known here.

        What is not known may be express: that is waited for longer.
        """
        if order.definition is not None:
            return _terms_of(order.definition)
        plan = None
        if self._find is not None and order.workflow is not None:
            plan = self._find(caller.tenant, order.workflow)
        return ("express", None) if plan is None else (plan.mode, plan.timeout_ms)

    async def execute_stream(
        self, caller: Caller, order: Order
    ) -> AsyncGenerator[Told, None]:
        """Run a workflow; yield what happens in it, and `result` at last."""
        asked = Asked(caller, order.trace)
        events = self._link.stream("execute_stream", request_of(order), asked)
        async with aclosing(events):
            async for event in events:
                yield told_of(event)


def _terms_of(definition: JsonObject) -> tuple[str, int | None]:
    """Return mode and timeout of a document; what is no such, the engine refuses."""
    mode, timeout = definition.get("mode", "durable"), definition.get("timeout")
    timeout_ms = None
    if isinstance(timeout, str):
        with suppress(ValueError):
            timeout_ms = parse_duration_ms(timeout)
    return ("durable" if mode == "durable" else "express"), timeout_ms


def request_of(order: Order) -> ExecuteRequest:
    """Return an order as a message."""
    request = ExecuteRequest(
        input=dumped(order.input),
        mode=order.mode or "",
        wait_ms=order.wait_ms,
        key=order.key,
        is_unawaited=order.is_unawaited,
    )
    if order.workflow is not None:
        request.workflow = order.workflow
    if order.definition is not None:
        request.definition = orjson.dumps(order.definition)
    return request
