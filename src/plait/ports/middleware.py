"""Middleware: what another package puts around every request to a gateway.

A package brings one by an entry point of the group `plait.middleware`; the gateway uses
those that `gateway.middleware` names, the first the outermost.

>>> import asyncio
>>> from plait.ports.message import json_reply
>>> class Stamp:
...     async def handle(self, request, then):
...         reply = await then(request)
...         reply.headers.append((b"x-served-by", b"blue"))
...         return reply
...     async def close(self):
...         "Nothing is open."
>>> MIDDLEWARE = Middleware(port=1, make=lambda context: Stamp())
>>> async def answer(request):
...     return json_reply(200, "hi")
>>> stamp = MIDDLEWARE.make(PluginContext())
>>> asyncio.run(stamp.handle(Request("GET", "/", "", {}), answer)).headers[-1]
(b'x-served-by', b'blue')

What is refused from its head alone (too large, no key where one is needed, too many
requests) does not come by here. Contract: plait.testing.middleware_suite.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol, TypeAlias

from plait.model.record import record
from plait.ports.message import Reply, Request
from plait.ports.plugins import PluginContext

Then: TypeAlias = Callable[[Request], Awaitable[Reply]]
"""What answers a request further in. It raises nothing but CancelledError."""


class Layer(Protocol):
    """Stands around requests. Many are under way in it at once."""

    async def handle(self, request: Request, then: Then) -> Reply:
        """Return the reply to a request: that of `then`, changed or not, or one of its own.

        It calls `then` once, or not at all, with the request as it is or with a changed
        one (`dataclasses.replace`, so that what it does not know of stays). The
        headers of a reply may be added to; its `stream` is passed on, never read to its
        end. What it raises is answered 500 and logged; CancelledError, when the client has
        left, it lets through.
        """
        ...

    async def close(self) -> None:
        """Let go of everything; no request is under way any more."""
        ...


@record
class Middleware:
    """What an entry point names.

    Attributes:
        port: The version of this port that it was written for: 1.
        make: Makes the layer of a gateway; its options are `[middleware.NAME]`.
    """

    port: int
    make: Callable[[PluginContext], Layer]
