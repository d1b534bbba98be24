"""ASGI: the same gateway under another server (uvicorn, Granian, Hypercorn), and in tests.

    app = AsgiApp(build)        # build as for plait.gateway.serving

For what `plait serve` does not speak itself: TLS, HTTP/2. The server must hand over
`raw_path`; without it an encoded slash in a path cannot be told from a plain one.

Rule. Thin: reads a request whole, within the same limits, and cancels it when the client
      leaves.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, TypeAlias
from urllib.parse import quote

from plait.gateway.app import Gateway
from plait.gateway.http1 import HttpLimits
from plait.gateway.message import Reply, Request
from plait.gateway.refusal import BodyTooLarge, Refused
from plait.model.errors import PlaitError

Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]


class ClientLeft(Exception):
    """The client went away before its request was whole."""


class AsgiApp:
    """An ASGI application.

    Args:
        build: Makes the gateway; called at the server's startup, in its event loop.
    """

    def __init__(
        self, build: Callable[[], Gateway], *, limits: HttpLimits | None = None
    ) -> None:
        self._build = build
        self._limits = limits or HttpLimits()
        self.gateway: Gateway | None = None

    async def __call__(
        self, scope: MutableMapping[str, Any], receive: Receive, send: Send
    ) -> None:
        """Answer one request, or live through the server's start and end."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif scope["type"] == "http":
            await self._answer(scope, receive, send)
        else:
            await send({"type": "websocket.close", "code": 1000})

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        try:
            await self._begin().prepare()
        except PlaitError as error:
            text = f"{error.code}: {error}"
            await send({"type": "lifespan.startup.failed", "message": text})
            return
        await send({"type": "lifespan.startup.complete"})
        await receive()
        if self.gateway is not None:
            self.gateway.begin_drain()
            await self.gateway.close()
        await send({"type": "lifespan.shutdown.complete"})

    def _begin(self) -> Gateway:
        if self.gateway is None:
            self.gateway = self._build()
            self.gateway.begin()
        return self.gateway

    async def _answer(
        self, scope: MutableMapping[str, Any], receive: Receive, send: Send
    ) -> None:
        gateway = self.gateway or self._begin()
        try:
            request = await self._read(scope, receive)
        except Refused as refused:
            told = {name.lower(): value for name, value in scope["headers"]}
            await _send_reply(send, gateway.refuse(refused, told), "")
            return
        except ClientLeft:
            return
        answering = asyncio.ensure_future(self._whole(gateway, request, send))
        leaving = asyncio.ensure_future(_left(receive))
        try:
            await asyncio.wait((answering, leaving), return_when=asyncio.FIRST_COMPLETED)
            if answering.done():
                answering.result()
        finally:
            answering.cancel()
            leaving.cancel()

    @staticmethod
    async def _whole(gateway: Gateway, request: Request, send: Send) -> None:
        await _send_reply(send, await gateway.handle(request), request.method)

    async def _read(self, scope: MutableMapping[str, Any], receive: Receive) -> Request:
        headers: dict[bytes, bytes] = {}
        for name, value in scope["headers"]:
            name = name.lower()
            headers[name] = headers[name] + b", " + value if name in headers else value
        raw_path = scope.get("raw_path") or quote(scope["path"]).encode()
        body = await self._body(headers, receive)
        path = raw_path.partition(b"?")[0].decode("latin-1")
        query = scope["query_string"].decode("latin-1")
        peer = (scope.get("client") or ("",))[0]
        version = scope.get("http_version", "1.1")
        return Request(scope["method"], path, query, headers, body, peer, version=version)

    async def _body(self, headers: dict[bytes, bytes], receive: Receive) -> bytes:
        bytes_max = self._limits.body_bytes_max
        told = headers.get(b"content-length", b"0")
        if told.isdigit() and int(told) > bytes_max:
            raise BodyTooLarge.above(bytes_max)
        parts: list[bytes] = []
        size_bytes, has_more = 0, True
        while has_more:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise ClientLeft
            part = message.get("body", b"")
            parts.append(part)
            size_bytes += len(part)
            if size_bytes > bytes_max:
                raise BodyTooLarge.above(bytes_max)
            has_more = message.get("more_body", False)
        return b"".join(parts)


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _send_reply(send: Send, reply: Reply, method: str) -> None:
    headers = reply.headers
    if reply.status not in (204, 304) and reply.stream is None:
        headers = [*headers, (b"content-length", b"%d" % len(reply.body))]
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    if reply.stream is not None and method != "HEAD":
        async for part in reply.stream:
            message = {"type": "http.response.body", "body": part, "more_body": True}
            await send(message)
    body = b"" if method == "HEAD" else reply.body
    await send({"type": "http.response.body", "body": body})
