"""The contract of plait.ports.middleware.Layer, as tests that every package runs.

    class TestStamp(MiddlewareSuite):
        middleware = MIDDLEWARE

What it does to requests that are its business is for tests of your own.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any, ClassVar

import pytest

from plait.ports.message import Reply, Request, json_reply
from plait.ports.middleware import Layer, Middleware
from plait.ports.plugins import MIDDLEWARE, PORTS, PluginContext


class MiddlewareSuite:
    """Subclass it, and say what the middleware is.

    Attributes:
        options: With which it leaves `request` alone.
        request: A request that it lets through.
    """

    middleware: ClassVar[Middleware]
    options: ClassVar[dict[str, Any]] = {}
    request: ClassVar[Request] = Request("GET", "/orders/7", "", {b"host": b"h"})

    def made(self) -> Layer:
        """Return a layer; override it to make another."""
        return self.middleware.make(PluginContext({**self.options}))

    def test_it_is_for_the_port_that_is_here(self) -> None:
        assert isinstance(self.middleware, Middleware)
        assert self.middleware.port == PORTS[MIDDLEWARE]

    def test_what_its_options_do_not_know_is_refused(self) -> None:
        with pytest.raises(ValueError, match="zzz"):
            self.middleware.make(PluginContext({**self.options, "zzz": 1}))

    async def test_a_request_is_answered_once_by_what_is_further_in(self) -> None:
        heard: list[Request] = []

        async def then(request: Request) -> Reply:
            heard.append(request)
            return json_reply(201, "made")

        layer = self.made()
        reply = await layer.handle(self.request, then)
        await layer.close()
        assert (reply.status, reply.body) == (201, b'"made"')
        assert [one.path for one in heard] == [self.request.path]

    async def test_each_of_many_requests_gets_its_own_reply(self) -> None:
        all_in, count = asyncio.Event(), 0

        async def then(request: Request) -> Reply:
            nonlocal count
            count += 1
            if count == 100:
                all_in.set()
            await all_in.wait()
            return json_reply(200, request.query)

        layer = self.made()
        asked = [self._asking(str(number)) for number in range(100)]
        async with asyncio.timeout(10):
            replies = await asyncio.gather(*(layer.handle(one, then) for one in asked))
        await layer.close()
        assert [one.body for one in replies] == [b'"%d"' % n for n in range(100)]

    async def test_a_stream_is_passed_on_and_not_read(self) -> None:
        read: list[bytes] = []

        async def parts() -> AsyncIterator[bytes]:
            for part in (b"a", b"b"):
                read.append(part)
                yield part

        async def then(request: Request) -> Reply:
            del request
            return Reply(200, [], stream=parts())

        layer = self.made()
        reply = await layer.handle(self.request, then)
        assert read == [], "whoever follows it would wait for its end"
        assert reply.stream is not None
        assert [part async for part in reply.stream] == [b"a", b"b"]
        await layer.close()

    async def test_who_leaves_cancels_what_is_further_in(self) -> None:
        began, heard = asyncio.Event(), asyncio.Event()

        async def then(request: Request) -> Reply:
            del request
            began.set()
            try:
                await asyncio.Event().wait()
            finally:
                heard.set()
            raise AssertionError

        layer = self.made()
        task = asyncio.ensure_future(layer.handle(self.request, then))
        async with asyncio.timeout(10):
            await began.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        assert heard.is_set()
        await layer.close()

    def _asking(self, query: str) -> Request:
        return replace(self.request, query=query)
