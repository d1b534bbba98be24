"""Requests out of a connection's bytes, within limits.

Parsed by httptools (llhttp, Node's parser) in its strict mode.

Rule 1. Whatever is not plainly one request is refused: two lengths, a length and chunks,
        another transfer coding, a Host that is missing or is none.
Rule 2. Nothing is kept beyond its limit: a head, a body, the bodies of all connections.

Not here: the connection, its replies and its time limits (plait.gateway.http1).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
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

# What the authority of a URL may be made of, without user names; empty for none.
_HOST: Final = re.compile(rb"[A-Za-z0-9._~!$&'()*+,;=%:\[\]-]*")


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

    def body_follows(self) -> Refused | None:
        """A head is whole and has a body; return what speaks against reading that."""
        ...

    def complete(self, request: Request, *, keep_alive: bool) -> None:
        """A request is whole; its body counts as held."""
        ...


class RequestReader:
    """Reads requests.

    Attributes:
        is_reading: True from a request's first byte to its last.
        is_awaited: The client sends the body only when it is told to go on
            (`Expect: 100-continue`), and none of it has come.
        is_old: The last request is HTTP/1.0: one a connection, and no interim replies.
        body_byte_count: Of the body that is being read.
        peer: Where the requests come from.
    """

    __slots__ = (
        "_body", "_head_bytes", "_headers", "_held", "_in_head", "_is_retelling", "_limits",
        "_parser", "_raw_bytes", "_refusal", "_sink", "_url", "body_byte_count",
        "is_awaited", "is_old", "is_reading", "peer",
    )  # fmt: skip

    def __init__(self, sink: Sink, limits: HttpLimits, held: Held) -> None:
        self._sink = sink
        self._limits = limits
        self._held = held
        self._parser = httptools.HttpRequestParser(self)
        self._refusal: Refused | None = None
        self._raw_bytes = 0
        self.peer = ""
        self.is_old = self.is_reading = self._is_retelling = False
        self._reset()

    def _reset(self) -> None:
        self._url = b""
        self._headers: dict[bytes, bytes] = {}
        self._body: list[bytes] = []
        self._head_bytes = self.body_byte_count = 0
        self._in_head = True
        self.is_awaited = False

    def feed(self, data: bytes) -> bool:
        """Read on; return False when no further request can follow.

        Raises:
            Refused: The bytes are no request, or more than they may be.
            Exception: Whatever went wrong in the sink.
        """
        self._raw_bytes += len(data)
        try:
            if not self._parse(data):
                return False
        except httptools.HttpParserCallbackError as error:
            raise self._refusal or error.__context__ or error from None
        except httptools.HttpParserError as error:
            raise Malformed(f"this is not HTTP/1.1: {error}") from None
        if self.is_reading:
            self._check_raw()
        return True

    def _parse(self, data: bytes) -> bool:
        """Parse on; return False when what follows is another protocol (CONNECT)."""
        while True:
            try:
                self._parser.feed_data(data)
            except httptools.HttpParserUpgrade as found:
                if not self._is_upgrade():
                    return False
                data = data[found.args[0] :]
                self._ignore_upgrade()
            else:
                return True

    def _is_upgrade(self) -> bool:
        parser = self._parser
        return parser.should_upgrade() and parser.get_method() != b"CONNECT"

    def _ignore_upgrade(self) -> None:
        """Go on with the body of a request that asks for another protocol.

        Nobody has to grant that (RFC 9110, 7.8), but the parser stops at the end of such a
        head. A new one is told all that matters for what follows, and no more.
        """
        told = [self._parser.get_method(), b" / HTTP/"]
        told += [self._parser.get_http_version().encode(), b"\r\n"]
        for name in (b"content-length", b"transfer-encoding"):
            if name in self._headers:
                told += [name, b": ", self._headers[name], b"\r\n"]
        wishes = self._headers.get(b"connection", b"").lower().split(b",")
        if b"close" in (wish.strip() for wish in wishes):
            told.append(b"connection: close\r\n")
        self._parser = httptools.HttpRequestParser(self)
        self._is_retelling = True
        self._parser.feed_data(b"".join([*told, b"\r\n"]))

    def abandon(self) -> None:
        """Forget the request that is being read."""
        self._held.byte_count -= self.body_byte_count
        self._body = []
        self.body_byte_count = 0
        self.is_awaited = False

    @property
    def headers(self) -> Mapping[bytes, bytes]:
        """What has come of the headers of the request that is being read."""
        return self._headers if self.is_reading else {}

    def head(self, body: bytes = b"") -> Request:
        """Return the request whose head is whole, with `body`."""
        path, _, query = self._url.decode("latin-1").partition("?")
        method = self._parser.get_method().decode("latin-1")
        if not path.startswith("/"):
            path = path_of(method, path)
        version = "1.0" if self.is_old else "1.1"
        return Request(method, path, query, self._headers, body, self.peer, version=version)

    # -- from the parser -------------------------------------------------------------

    def on_message_begin(self) -> None:
        """A request's first byte."""
        if self._is_retelling:
            return
        self._reset()
        self._raw_bytes = 0
        self.is_reading = True
        self._sink.begun()

    def on_url(self, url: bytes) -> None:
        """The request target, or a part of it."""
        if self._is_retelling:
            return
        self._url += url
        self._count_head(len(url))

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header, or, after a chunked body, one trailer; trailers are not looked at."""
        if self._is_retelling:
            return
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
        if self._is_retelling:
            self._is_retelling = False
            return
        self._in_head = False
        headers, parser = self._headers, self._parser
        # The request line around its target, and the empty line at the end.
        self._count_head(len(parser.get_method()) + len("  HTTP/1.1\r\n\r\n"))
        version = parser.get_http_version()
        self.is_old = version == "1.0"
        if version not in ("1.1", "1.0"):
            self._give_up(Malformed(f"HTTP/{version} is not spoken here"))
        self._check_host(headers)
        if b"content-length" in headers or b"transfer-encoding" in headers:
            self._check_body(headers)
            expect = headers.get(b"expect", b"").lower()
            self.is_awaited = expect == b"100-continue" and not self.is_old
            refusal = self._sink.body_follows()
            if refusal is not None:
                self._give_up(refusal)

    def _check_host(self, headers: dict[bytes, bytes]) -> None:
        if b"host" not in headers and not self.is_old:
            self._give_up(Malformed("header 'host' is missing"))
        if not self._url.startswith(b"/"):
            authority = authority_of(self._url)
            if authority is not None:
                headers[b"host"] = authority
        if not _HOST.fullmatch(headers.get(b"host", b"")):
            self._give_up(Malformed("header 'host' is no host"))

    def _check_body(self, headers: dict[bytes, bytes]) -> None:
        bytes_max = self._limits.body_bytes_max
        coding = headers.get(b"transfer-encoding")
        if coding is not None:
            if coding.lower() != b"chunked" or b"content-length" in headers or self.is_old:
                self._give_up(Malformed("this transfer-encoding is not read here"))
        elif int(headers[b"content-length"]) > bytes_max:
            self._give_up(BodyTooLarge.above(bytes_max))

    def on_body(self, data: bytes) -> None:
        """A part of the body."""
        self.is_awaited = False
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
        """A request is whole; or the head of one that the parser would leave it at."""
        if self._is_upgrade():
            return
        self.is_reading = self.is_awaited = False
        self.body_byte_count = 0
        keep_alive = self._parser.should_keep_alive() and not self.is_old
        body = b"".join(self._body)
        # A connection may be idle for long, and there are many: they keep no bodies.
        self._body = []
        self._sink.complete(self.head(body), keep_alive=keep_alive)

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


def authority_of(target: bytes) -> bytes | None:
    """Return the host and port of a whole URL, which count in place of the Host header.

    >>> authority_of(b"http://shop:8080/health?a=b"), authority_of(b"*")
    (b'shop:8080', None)
    """
    scheme, separator, rest = target.partition(b"://")
    if not separator or scheme.lower() not in (b"http", b"https"):
        return None
    return rest.partition(b"/")[0].partition(b"?")[0]
