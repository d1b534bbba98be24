"""Requests out of a connection's bytes, within limits.

Parsed by httptools (llhttp, Node's parser) in its strict mode.

Rule 1. Whatever is not plainly one request is refused: two lengths, a length and chunks,
        another transfer coding, a missing Host.
Rule 2. Nothing is kept beyond its limit: a head, a body, the bodies of all connections.

Not here: the connection, its replies and its time limits (plait.gateway.http1).
"""

from __future__ import annotations

from typing import Final, Protocol

import httptools

from plait.gateway.message import Request
from plait.gateway.refusal import (
    BodyTooLarge,
    HeadersTooLarge,
    Malformed,
    Overloaded,
    Refused,
)
from plait.model.record import record

# One byte per chunk costs six; more than eight is no body but an attack.
_RAW_BODY_FACTOR: Final = 8
_ONCE: Final = frozenset(
    (b"host", b"content-length", b"transfer-encoding", b"content-type", b"content-encoding")
)


@record
class HttpLimits:
    """What a connection may cost.

    Attributes:
        head_bytes_max: Request line and headers.
        head_timeout_ms: From a request's first byte (or the connection's beginning) until
            its headers are whole.
        body_timeout_ms: From there until its body is.
        idle_timeout_ms: Between requests.
        write_timeout_ms: For the client to take in a reply.
        held_bytes_max: Request bodies of all connections together.
    """

    head_bytes_max: int = 32 * 1024
    body_bytes_max: int = 1_000_000
    head_timeout_ms: int = 10_000
    body_timeout_ms: int = 30_000
    idle_timeout_ms: int = 75_000
    write_timeout_ms: int = 30_000
    held_bytes_max: int = 64 * 1024 * 1024


class Held:
    """How many bytes of request bodies are in memory, of all connections."""

    def __init__(self) -> None:
        self.byte_count = 0


class Sink(Protocol):
    """Whoever takes what a reader reads."""

    def begun(self) -> None:
        """A request's first byte has come."""
        ...

    def body_follows(self, *, is_waiting: bool) -> None:
        """A head is whole and has a body; the client may wait to be told to go on."""
        ...

    def complete(self, request: Request, *, keep_alive: bool) -> None:
        """A request is whole; its body counts as held."""
        ...


class RequestReader:
    """Reads requests.

    Attributes:
        is_reading: True from a request's first byte to its last.
        body_byte_count: Of the body that is being read.
    """

    __slots__ = (
        "_body", "_head_bytes", "_headers", "_held", "_in_head", "_is_old", "_limits",
        "_parser", "_raw_bytes", "_refusal", "_sink", "_url", "body_byte_count",
        "is_reading",
    )  # fmt: skip

    def __init__(self, sink: Sink, limits: HttpLimits, held: Held) -> None:
        self._sink = sink
        self._limits = limits
        self._held = held
        self._parser = httptools.HttpRequestParser(self)
        self._refusal: Refused | None = None
        self._is_old = False  # HTTP/1.0: one request a connection
        self._raw_bytes = 0
        self.is_reading = False
        self._reset()

    def _reset(self) -> None:
        self._url = b""
        self._headers: dict[bytes, bytes] = {}
        self._body: list[bytes] = []
        self._head_bytes = self.body_byte_count = 0
        self._in_head = True

    def feed(self, data: bytes) -> bool:
        """Read on; return False when no further request can follow.

        Raises:
            Refused: The bytes are no request, or more than they may be.
        """
        self._raw_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            # What follows would be another protocol; the request itself is answered.
            return False
        except httptools.HttpParserError as error:
            refusal = self._refusal or Malformed(f"this is not HTTP/1.1: {error}")
            raise refusal from None
        if self.is_reading:
            self._check_raw()
        return True

    def abandon(self) -> None:
        """Forget the request that is being read."""
        self._held.byte_count -= self.body_byte_count
        self.body_byte_count = 0

    # -- from the parser -------------------------------------------------------------

    def on_message_begin(self) -> None:
        """A request's first byte."""
        self._reset()
        self._raw_bytes = 0
        self.is_reading = True
        self._sink.begun()

    def on_url(self, url: bytes) -> None:
        """The request target, or a part of it."""
        self._url += url
        self._count_head(len(url))

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header, or, after a chunked body, one trailer; trailers are not looked at."""
        self._count_head(len(name) + len(": ") + len(value) + len("\r\n"))
        if not self._in_head:
            return
        name, headers = name.lower(), self._headers
        if name not in headers:
            headers[name] = value
        elif name in _ONCE:
            self._give_up(Malformed(f"header '{name.decode('latin-1')}' stands twice"))
        else:
            headers[name] += (b"; " if name == b"cookie" else b", ") + value

    def on_headers_complete(self) -> None:
        """The head is whole: is there anything against the rest?"""
        self._in_head = False
        headers, parser = self._headers, self._parser
        # The request line around its target, and the empty line at the end.
        self._count_head(len(parser.get_method()) + len("  HTTP/1.1\r\n\r\n"))
        version = parser.get_http_version()
        self._is_old = version == "1.0"
        if version not in ("1.1", "1.0"):
            self._give_up(Malformed(f"HTTP/{version} is not spoken here"))
        if b"host" not in headers and not self._is_old:
            self._give_up(Malformed("header 'host' is missing"))
        if b"content-length" in headers or b"transfer-encoding" in headers:
            self._check_body(headers)
            expect = headers.get(b"expect", b"").lower()
            self._sink.body_follows(is_waiting=expect == b"100-continue")

    def _check_body(self, headers: dict[bytes, bytes]) -> None:
        bytes_max = self._limits.body_bytes_max
        coding = headers.get(b"transfer-encoding")
        if coding is not None:
            if coding.lower() != b"chunked" or b"content-length" in headers or self._is_old:
                self._give_up(Malformed("this transfer-encoding is not read here"))
        elif int(headers[b"content-length"]) > bytes_max:
            self._give_up(BodyTooLarge.above(bytes_max))

    def on_body(self, data: bytes) -> None:
        """A part of the body."""
        limits, held = self._limits, self._held
        self._body.append(data)
        self.body_byte_count += len(data)
        held.byte_count += len(data)
        if self.body_byte_count > limits.body_bytes_max:
            self._give_up(BodyTooLarge.above(limits.body_bytes_max))
        if held.byte_count > limits.held_bytes_max:
            text = "too many request bodies are under way"
            self._give_up(Overloaded(text, headers=((b"retry-after", b"1"),)))

    def on_message_complete(self) -> None:
        """A request is whole."""
        self.is_reading = False
        path, _, query = self._url.decode("latin-1").partition("?")
        method = self._parser.get_method().decode("latin-1")
        if not path.startswith("/"):
            path = path_of(method, path)
        body = b"".join(self._body)
        self.body_byte_count = 0
        keep_alive = self._parser.should_keep_alive() and not self._is_old
        request = Request(method, path, query, self._headers, body)
        self._sink.complete(request, keep_alive=keep_alive)

    def _count_head(self, byte_count: int) -> None:
        self._head_bytes += byte_count
        if self._head_bytes > self._limits.head_bytes_max:
            self._give_up(self._head_too_large())

    def _check_raw(self) -> None:
        """Refuse what the parser keeps to itself: a header or trailer without an end."""
        limits = self._limits
        if self._in_head and self._raw_bytes > limits.head_bytes_max:
            raise self._head_too_large()
        body_bytes_max = _RAW_BODY_FACTOR * limits.body_bytes_max
        if self._raw_bytes > limits.head_bytes_max + body_bytes_max:
            raise BodyTooLarge.above(limits.body_bytes_max)

    def _head_too_large(self) -> HeadersTooLarge:
        bytes_max = self._limits.head_bytes_max
        text = f"request line and headers are larger than {bytes_max} bytes"
        return HeadersTooLarge(text, {"bytes_max": bytes_max})

    def _give_up(self, refusal: Refused) -> None:
        """Leave the parser, which stops at an exception; `feed` goes on from there."""
        self._refusal = refusal
        raise refusal


def path_of(method: str, target: str) -> str:
    """Return the path of a request target that is not a plain path.

    >>> path_of("GET", "http://localhost:8080/health"), path_of("OPTIONS", "*")
    ('/health', '*')
    """
    if method == "OPTIONS" and target == "*":
        return target
    scheme, separator, rest = target.partition("://")
    if separator and scheme.lower() in ("http", "https"):
        return "/" + rest.partition("/")[2]
    return target
