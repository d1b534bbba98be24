"""An HTTP server for tests that does exactly what its script says, down to the byte.

    async with Upstream(reply(json={"id": "42"})) as upstream:
        outcome = await call(upstream.url("/users/42"))
    assert upstream.requests[0].target == "/users/42"

Rule 1. Real sockets: what a script sends is what arrives, valid HTTP or not.
Rule 2. Tests wait for what happened (`until_…`), never for a while.

Not here: ready-made scripts (plait.testing.upstream_scripts).
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
from collections.abc import Awaitable, Callable
from contextlib import suppress
from types import TracebackType
from typing import Final, Self, TypeAlias

from plait.model.record import record

_READ_BYTES_MAX: Final = 65_536
_HEAD_BYTES_MAX: Final = 1024 * 1024
# Past the usual 100, connections that come at once wait a second for their second try.
_BACKLOG: Final = 1024


@record
class Request:
    """One request as it arrived.

    Attributes:
        target: Path and query, as sent.
        headers: Names in lower case; of a repeated header the last value.
        head: Request line and headers, every byte.
    """

    method: str
    target: str
    headers: dict[str, str]
    head: bytes
    body: bytes


class Peer:
    """One connection that a client opened.

    Attributes:
        number: 1 for the first connection to this server.
        request_count: How many requests came on it.
    """

    def __init__(
        self, number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.number = number
        self.request_count = 0
        self.is_closed = False
        self._reader = reader
        self._writer = writer

    @property
    def protocol(self) -> str | None:
        """What TLS agreed on (ALPN): `http/1.1`; None without."""
        tls = self._writer.get_extra_info("ssl_object")
        return None if tls is None else str(tls.selected_alpn_protocol())

    async def send(self, data: bytes) -> None:
        """Send `data` and wait until the network took it.

        Raises:
            ConnectionError: the client has closed the connection.
        """
        if self._writer.is_closing():
            raise ConnectionResetError
        self._writer.write(data)
        await self._writer.drain()

    async def gone(self) -> None:
        """Return when the client has closed the connection."""
        while await self._reader.read(_READ_BYTES_MAX):
            pass

    def close(self) -> None:
        """Close the connection in the orderly way."""
        self.is_closed = True
        self._writer.close()

    def reset(self) -> None:
        """Close the connection with a reset: the client's reads and writes fail."""
        self.is_closed = True
        raw = self._writer.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._writer.transport.abort()

    async def read_request(self) -> Request:
        """Return the next request.

        Raises:
            EOFError: the client closed the connection instead.
        """
        head = await self._reader.readuntil(b"\r\n\r\n")
        self.request_count += 1
        first, *lines = head.decode("latin-1").rstrip("\r\n").split("\r\n")
        method, target, _ = first.split(" ", 2)
        parted = (line.partition(":") for line in lines)
        headers = {name.lower(): value.strip() for name, _, value in parted}
        body = await self._reader.readexactly(int(headers.get("content-length", "0")))
        return Request(method, target, headers, head, body)


Script: TypeAlias = Callable[[Peer, Request], Awaitable[None]]
Greeting: TypeAlias = Callable[[Peer], Awaitable[None]]


class Upstream:
    """A server on a free port of this machine.

    Args:
        script: Answers each request; scripts of `on` come first.
        greeting: Runs before the first request is read.
        tls: Makes it an HTTPS server.

    Attributes:
        requests: What came, in order.
        connection_count: How many connections were opened.
        open_count: How many of them are still open.
    """

    def __init__(
        self,
        script: Script | None = None,
        *,
        greeting: Greeting | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.requests: list[Request] = []
        self.connection_count = 0
        self.open_count = 0
        self.port = 0
        self._script = script
        self._greeting = greeting
        self._tls = tls
        self._routes: dict[str, Script] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._transports: set[asyncio.WriteTransport] = set()
        self._changed = asyncio.Condition()

    def on(self, path: str, script: Script) -> Self:
        """Answer requests for `path` (without query) with `script`."""
        self._routes[path] = script
        return self

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(
            self._accept,
            "127.0.0.1",
            0,
            ssl=self._tls,
            limit=_HEAD_BYTES_MAX,
            backlog=_BACKLOG,
        )
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for transport in self._transports:
            transport.abort()
        await self._server.wait_closed()

    @property
    def address(self) -> str:
        """`127.0.0.1:port`, for a resolve map."""
        return f"127.0.0.1:{self.port}"

    def url(self, path: str = "/") -> str:
        """Return the URL of `path` here."""
        scheme = "http" if self._tls is None else "https"
        return f"{scheme}://127.0.0.1:{self.port}{path}"

    async def until_requests(self, count: int) -> None:
        """Return when `count` requests have come."""
        await self._until(lambda: len(self.requests) >= count)

    async def until_connections(self, count: int) -> None:
        """Return when `count` connections were opened."""
        await self._until(lambda: self.connection_count >= count)

    async def until_open(self, count: int) -> None:
        """Return when exactly `count` connections are open."""
        await self._until(lambda: self.open_count == count)

    async def _until(self, is_true: Callable[[], bool]) -> None:
        async with self._changed:
            await self._changed.wait_for(is_true)

    async def _notify(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connection_count += 1
        self.open_count += 1
        self._transports.add(writer.transport)
        peer = Peer(self.connection_count, reader, writer)
        task = asyncio.get_running_loop().create_task(self._work(peer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _work(self, peer: Peer) -> None:
        await self._notify()
        # The client may leave at any time; that is what tests are about.
        with suppress(ConnectionError, EOFError, ssl.SSLError):
            await self._serve(peer)
        if not peer.is_closed:
            peer.close()
        self.open_count -= 1
        await self._notify()

    async def _serve(self, peer: Peer) -> None:
        if self._greeting is not None:
            await self._greeting(peer)
        while not peer.is_closed:
            request = await peer.read_request()
            self.requests.append(request)
            await self._notify()
            script = self._routes.get(request.target.partition("?")[0]) or self._script
            assert script is not None, f"no script for {request.target}"
            await script(peer, request)
