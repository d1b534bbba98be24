"""A listener and a client on real sockets, for tests about bytes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from plait.gateway.http1 import Handle, HttpLimits
from plait.gateway.listener import Listener
from plait.gateway.message import Reply, Request
from plait.model.record import record

WAIT_S = 10


@record
class Answer:
    """A reply as it came over the wire."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body, read as JSON."""
        return json.loads(self.body)

    @property
    def error_code(self) -> str:
        """The code of an error reply."""
        return str(json.loads(self.body)["error"]["code"])


class Client:
    """One connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    def send(self, data: bytes) -> None:
        """Send bytes as they are."""
        self.writer.write(data)

    async def answer(self, method: str = "GET") -> Answer:
        """Read one reply."""
        async with asyncio.timeout(WAIT_S):
            head = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            first, *lines = head.rstrip("\r\n").split("\r\n")
            pairs = (line.split(": ", 1) for line in lines)
            headers = {name.lower(): value for name, value in pairs}
            length = 0 if method == "HEAD" else int(headers.get("content-length", 0))
            body = await self.reader.readexactly(length)
        return Answer(int(first.split(" ")[1]), headers, body)

    async def ask(self, data: bytes, method: str = "GET") -> Answer:
        """Send bytes and read one reply."""
        self.send(data)
        return await self.answer(method)

    async def until(self, end: bytes) -> bytes:
        """Return what comes up to `end`."""
        data = b""
        async with asyncio.timeout(WAIT_S):
            while not data.endswith(end):
                data += await self.reader.readuntil(b"\n")
        return data

    async def closed(self) -> bytes:
        """Return what still comes until the other side closes."""
        async with asyncio.timeout(WAIT_S):
            return await self.reader.read()

    async def close(self) -> None:
        """Leave."""
        self.writer.close()
        await asyncio.gather(self.writer.wait_closed(), return_exceptions=True)


@asynccontextmanager
async def listening(
    handle: Handle, limits: HttpLimits | None = None, **options: Any
) -> AsyncIterator[tuple[Listener, tuple[str, int]]]:
    """A listener on a free port."""
    listener = Listener(handle, limits=limits, **options)
    address = await listener.listen("127.0.0.1", 0)
    at_once = asyncio.Event()
    try:
        yield listener, address
    finally:
        at_once.set()
        await listener.drain(WAIT_S, at_once)


@asynccontextmanager
async def connected(
    handle: Handle, limits: HttpLimits | None = None, **options: Any
) -> AsyncIterator[Client]:
    """A client of a listener of its own."""
    async with (
        listening(handle, limits, **options) as (_, address),
        client_of(*address) as client,
    ):
        yield client


@asynccontextmanager
async def client_of(host: str, port: int) -> AsyncIterator[Client]:
    """A connection to what listens there."""
    client = Client(*await asyncio.open_connection(host, port))
    try:
        yield client
    finally:
        await client.close()


async def echo(request: Request) -> Reply:
    """Answer with what was asked."""
    told: dict[str, Any] = {
        "method": request.method,
        "path": request.path,
        "query": request.query,
        "headers": {k.decode(): v.decode("latin-1") for k, v in request.headers.items()},
        "body": request.body.decode("latin-1"),
    }
    return Reply(200, [(b"content-type", b"application/json")], json.dumps(told).encode())
