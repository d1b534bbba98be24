"""Streamed replies: a POST whose reply is given piece by piece, as it arrives.

For what answers slowly and at length, as language models do. Hosts go through the egress
rules like those of steps. One connection per request: beside the seconds that such an
answer takes, connecting is nothing.

Not here: `http` steps (plait.connectors.http.connector), time limits (whoever asks).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any, Final

import httptools

from plait.connectors.egress import Address, Egress, InvalidRequest
from plait.connectors.http.dialer import TlsContexts
from plait.connectors.http.errors import Closed, ConnectFailed, ProtocolBroken, TooLarge
from plait.connectors.http.options import TlsOptions
from plait.connectors.http.url import Url, read_url
from plait.ports.language_model import Posted

_READ_BYTES: Final = 65_536
_HEAD_BYTES_MAX: Final = 65_536
_CONNECT_TIMEOUT_S: Final = 10.0


class StreamedPosts:
    """Sends POST requests (plait.ports.language_model.Posts).

    Args:
        egress: Turns hosts into addresses.
        is_trusted: Whether the operator wrote the URLs, so that no rule applies.
        body_bytes_max: The largest reply.
    """

    def __init__(
        self, egress: Egress, *, is_trusted: bool, body_bytes_max: int = 10_000_000
    ) -> None:
        self._egress = egress
        self._is_trusted = is_trusted
        self._bytes_max = body_bytes_max
        self._contexts = TlsContexts()

    @asynccontextmanager
    async def post(
        self, url: str, headers: Mapping[str, str], body: bytes
    ) -> AsyncIterator[Posted]:
        """Send a request; leaving the context closes the connection.

        Raises:
            InvalidRequest: The URL, or a header, cannot be sent.
            UnknownHost: The host's name leads nowhere.
            ForbiddenAddress: The egress rules refuse the host.
            ConnectFailed: No address accepts a connection.
            Closed: The connection closed before the reply's head was whole.
            ProtocolBroken: The reply is no HTTP.
        """
        there = read_url(url)
        reader, writer = await self._connected(there)
        reply = _Reply(reader, there.host.name, self._bytes_max)
        try:
            try:
                writer.write(_head(there, headers, len(body)) + body)
                await writer.drain()
                await reply.read_head()
            except ConnectionError:
                raise Closed(host=there.host.name, received="before its reply") from None
            yield Posted(reply.status, reply.headers, reply.pieces())
        finally:
            writer.transport.abort()
            with suppress(OSError):
                await writer.wait_closed()

    async def _connected(
        self, there: Url
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        route = await self._egress.route(
            there.host, there.port, is_trusted=self._is_trusted
        )
        reason = "no address"
        for address in route:
            try:
                async with asyncio.timeout(_CONNECT_TIMEOUT_S):
                    return await self._dialed(there, address)
            except OSError as error:
                reason = error.strerror or str(error) or "it did not answer in time"
        raise ConnectFailed(host=there.host.name, port=there.port, reason=reason.lower())

    async def _dialed(
        self, there: Url, address: Address
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if there.scheme != "https":
            return await asyncio.open_connection(*address)
        context = self._contexts.get(TlsOptions())
        return await asyncio.open_connection(
            *address, ssl=context, server_hostname=there.host.name
        )


def _head(there: Url, headers: Mapping[str, str], length: int) -> bytes:
    lines = {
        "host": there.authority,
        "content-length": str(length),
        "connection": "close",
        **{name.lower(): value for name, value in headers.items()},
    }
    for name, value in lines.items():
        if any(char in "\r\n\0" for char in name + value):
            raise InvalidRequest(f"the header {name[:40]!r} holds a line break")
    text = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return f"POST {there.target} HTTP/1.1\r\n{text}\r\n".encode("latin-1", "replace")


class _Reply:
    """Reads one reply; what httptools calls while it parses."""

    def __init__(self, reader: asyncio.StreamReader, host: str, bytes_max: int) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        self._reader = reader
        self._parser: Any = httptools.HttpResponseParser(self)
        self._host = host
        self._bytes_max = self._left = bytes_max
        self._waiting: list[bytes] = []
        self._has_head = self._is_over = False

    async def read_head(self) -> None:
        """Read until all headers are there."""
        size = 0
        while not self._has_head:
            data = await self._reader.read(_READ_BYTES)
            size += len(data)
            if not data or size > _HEAD_BYTES_MAX:
                raise Closed(host=self._host, received="before its reply")
            self._feed(data)

    async def pieces(self) -> AsyncIterator[bytes]:
        """Yield the body; end when it is whole."""
        while True:
            while self._waiting:
                piece = self._waiting.pop(0)
                self._left -= len(piece)
                if self._left < 0:
                    reason = f"more than {self._bytes_max} bytes"
                    raise TooLarge(
                        host=self._host, reason=reason, bytes_max=self._bytes_max
                    )
                yield piece
            if self._is_over:
                return
            try:
                data = await self._reader.read(_READ_BYTES)
            except ConnectionError:
                data = b""
            if not data:
                if self._ends_with_connection():
                    return
                raise Closed(host=self._host, received="in the middle of its reply")
            self._feed(data)

    def _feed(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            reason = "its reply is malformed"
            raise ProtocolBroken(host=self._host, reason=reason) from None

    def _ends_with_connection(self) -> bool:
        return not {"content-length", "transfer-encoding"} & self.headers.keys()

    # -- called by httptools -----------------------------------------------------------

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header."""
        self.headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        """Note the status. One of the hundreds is followed by another reply."""
        self.status = self._parser.get_status_code()
        self._has_head = self.status >= 200

    def on_body(self, body: bytes) -> None:
        """Keep a piece of the body."""
        self._waiting.append(body)

    def on_message_complete(self) -> None:
        """The body is whole."""
        self._is_over = self._has_head
