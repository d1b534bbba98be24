"""HTTP/1.1, one connection: bytes in, requests to the gateway, replies out in order.

Parsed by httptools (llhttp, Node's parser) in its strict mode. Why the gateway reads HTTP
itself: docs/decisions.

Rule 1. Whatever is not plainly one request is refused and the connection closed: two
        lengths, a length and chunks, another transfer coding, a missing Host.
Rule 2. Nothing is kept beyond its limit: head, body, requests waiting in line.
Rule 3. The client going away cancels what is being done for it.

Not here: accepting connections, time limits, shutdown (plait.gateway.listener).
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Final, Protocol, TypeAlias, cast

import httptools

from plait.gateway.message import Reply, Request, error_reply
from plait.gateway.refusal import (
    BodyTooLarge,
    HeadersTooLarge,
    Malformed,
    Overloaded,
    Refused,
    RequestTimedOut,
)
from plait.gateway.wire import render_reply
from plait.model.record import record

logger = logging.getLogger("plait.gateway")

Handle: TypeAlias = Callable[[Request], Awaitable[Reply]]

# Requests that came before their turn; past this the client's socket is not read.
_WAITING_MAX: Final = 16
# A reply that refuses half a body is read by the client only if we take the rest in.
_LINGER_S: Final = 2.0
# One byte per chunk costs six; more than eight is no body but an attack.
_RAW_BODY_FACTOR: Final = 8
_NEVER: Final = math.inf
_ONCE: Final = frozenset(
    (b"host", b"content-length", b"transfer-encoding", b"content-type", b"content-encoding")
)


@record
class HttpLimits:
    """What a connection may cost.

    Attributes:
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


class Host(Protocol):
    """What a connection needs of its listener."""

    limits: HttpLimits
    loop: asyncio.AbstractEventLoop
    handle: Handle
    is_draining: bool
    held_bytes: int

    def opened(self, connection: Connection) -> None:
        """A connection begins."""
        ...

    def lost(self, connection: Connection) -> None:
        """A connection is no more."""
        ...

    def date(self) -> bytes:
        """Return the value of the `Date` header."""
        ...


class Connection(asyncio.Protocol):
    """One client's connection.

    Attributes:
        due_s: When it has waited too long for whatever it waits for.
    """

    __slots__ = (
        "_body", "_head_bytes", "_headers", "_held_bytes", "_host", "_in_head", "_is_deaf",
        "_is_old", "_is_paused", "_is_reading", "_is_stuffed", "_limits", "_parser",
        "_raw_bytes", "_refusal", "_task", "_transport", "_url", "_waiting", "due_s",
    )  # fmt: skip

    def __init__(self, host: Host) -> None:
        self._host = host
        self._limits = host.limits
        self._transport: asyncio.Transport
        self._parser = httptools.HttpRequestParser(self)
        self._waiting: deque[tuple[Request | Reply, bool]] = deque()
        self._task: asyncio.Task[None] | None = None
        self._is_deaf = False  # what still comes in is thrown away
        self._is_stuffed = False  # the client does not take in what was written
        self._is_paused = False  # too much is waiting in line
        self._is_old = False  # HTTP/1.0: one request a connection
        self._refusal: Refused | None = None
        self._held_bytes = 0
        self._reset()

    def _reset(self) -> None:
        self._url = b""
        self._headers: dict[bytes, bytes] = {}
        self._body: list[bytes] = []
        self._head_bytes = self._raw_bytes = 0
        self._in_head = True
        self._is_reading = False

    # -- from the event loop ---------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        # uvloop's transports do all that asyncio's do, but are no subclass.
        self._transport = cast("asyncio.Transport", transport)
        self._wait_ms(self._limits.head_timeout_ms)
        self._host.opened(self)

    def connection_lost(self, _exc: Exception | None) -> None:
        """The client is gone, whatever the reason: nobody needs the reply any more."""
        self._is_deaf = True
        self.due_s = _NEVER
        self._waiting.clear()
        if self._task is not None:
            self._task.cancel()
        self._release()
        self._host.lost(self)

    def data_received(self, data: bytes) -> None:
        """Take in what the client sent."""
        if self._is_deaf:
            return
        self._raw_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            # What follows would be another protocol; the request itself is answered.
            self._is_deaf = True
        except httptools.HttpParserError as error:
            self._refuse(self._refusal or Malformed(f"this is not HTTP/1.1: {error}"))
        else:
            self._check_raw()

    def pause_writing(self) -> None:
        """The client is slower than its replies."""
        self._is_stuffed = True
        self._wait_ms(self._limits.write_timeout_ms)

    def resume_writing(self) -> None:
        """The client has caught up."""
        self._is_stuffed = False
        if self._task is None and not self._transport.is_closing():
            self._proceed()

    # -- from the parser -------------------------------------------------------------

    def on_message_begin(self) -> None:
        """A request's first byte."""
        self._reset()
        self._is_reading = True
        if self._task is None:
            self._wait_ms(self._limits.head_timeout_ms)

    def on_url(self, url: bytes) -> None:
        """The request target, or a part of it."""
        self._url += url
        self._count_head(len(url))

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header, or, after a chunked body, one trailer; trailers are not looked at."""
        self._count_head(len(name) + len(value) + 4)
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
        headers = self._headers
        # The request line around its target, and the empty line at the end.
        self._count_head(len(self._parser.get_method()) + len("  HTTP/1.1\r\n\r\n"))
        version = self._parser.get_http_version()
        self._is_old = version == "1.0"
        if version not in ("1.1", "1.0"):
            self._give_up(Malformed(f"HTTP/{version} is not spoken here"))
        if b"host" not in headers and not self._is_old:
            self._give_up(Malformed("header 'host' is missing"))
        if b"content-length" in headers or b"transfer-encoding" in headers:
            self._expect_body(headers)

    def _expect_body(self, headers: dict[bytes, bytes]) -> None:
        bytes_max = self._limits.body_bytes_max
        coding = headers.get(b"transfer-encoding")
        if coding is not None:
            if coding.lower() != b"chunked" or b"content-length" in headers or self._is_old:
                self._give_up(Malformed("this transfer-encoding is not read here"))
        elif int(headers[b"content-length"]) > bytes_max:
            self._give_up(BodyTooLarge.above(bytes_max))
        if self._task is None and not self._waiting:
            self._wait_ms(self._limits.body_timeout_ms)
            if headers.get(b"expect", b"").lower() == b"100-continue":
                self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, data: bytes) -> None:
        """A part of the body."""
        host, limits = self._host, self._limits
        self._body.append(data)
        self._held_bytes += len(data)
        host.held_bytes += len(data)
        if self._held_bytes > limits.body_bytes_max:
            self._give_up(BodyTooLarge.above(limits.body_bytes_max))
        if host.held_bytes > limits.held_bytes_max:
            text = "too many request bodies are under way"
            self._give_up(Overloaded(text, headers=((b"retry-after", b"1"),)))

    def on_message_complete(self) -> None:
        """A request is whole."""
        self._is_reading = False
        self._raw_bytes = 0
        path, _, query = self._url.decode("latin-1").partition("?")
        method = self._parser.get_method().decode("latin-1")
        if not path.startswith("/"):
            path = _path_of(method, path)
        request = Request(method, path, query, self._headers, b"".join(self._body))
        keep_alive = self._parser.should_keep_alive() and not self._is_old
        self._waiting.append((request, keep_alive))
        if self._task is None:
            self._proceed()
        elif len(self._waiting) >= _WAITING_MAX and not self._is_paused:
            self._is_paused = True
            self._transport.pause_reading()

    def _count_head(self, byte_count: int) -> None:
        self._head_bytes += byte_count
        if self._head_bytes > self._limits.head_bytes_max:
            self._give_up(_head_too_large(self._limits))

    def _check_raw(self) -> None:
        """Refuse what the parser keeps to itself: a header or trailer without an end."""
        if not self._is_reading:
            return
        limits = self._limits
        if self._in_head:
            if self._raw_bytes > limits.head_bytes_max:
                self._refuse(_head_too_large(limits))
        elif self._raw_bytes > limits.head_bytes_max + (
            _RAW_BODY_FACTOR * limits.body_bytes_max
        ):
            self._refuse(BodyTooLarge.above(limits.body_bytes_max))

    def _give_up(self, refusal: Refused) -> None:
        """Leave the parser, which stops at an exception; `data_received` goes on."""
        self._refusal = refusal
        raise refusal

    # -- replies ---------------------------------------------------------------------

    def _refuse(self, refusal: Refused) -> None:
        """Answer with `refusal` when it is its turn, then close."""
        self._is_deaf = True
        self._is_reading = False
        self._waiting.append((refusal.as_reply(), False))
        if self._task is None:
            self._proceed()

    def _proceed(self) -> None:
        """Begin with the next request in line, or wait for one."""
        if self._is_stuffed:
            return
        if not self._waiting:
            limits = self._limits
            # The next request may have begun while the last one was answered.
            timeout_ms = (
                limits.body_timeout_ms if self._is_reading else limits.idle_timeout_ms
            )
            self._wait_ms(timeout_ms)
            return
        item, keep_alive = self._waiting.popleft()
        if isinstance(item, Reply):
            self._send(item, "", is_last=True)
            self._linger()
            return
        self.due_s = _NEVER
        self._task = self._host.loop.create_task(self._answer(item, keep_alive))

    async def _answer(self, request: Request, keep_alive: bool) -> None:
        try:
            reply = await self._host.handle(request)
        except Exception:
            logger.exception("a request could not be answered")
            reply = error_reply(500, code="internal", message="something went wrong inside")
        self._task = None
        self._release()
        if self._transport.is_closing():
            return
        is_last = not keep_alive or self._host.is_draining
        is_last = is_last or (self._is_deaf and not self._waiting)
        self._send(reply, request.method, is_last=is_last)
        if is_last:
            self._wait_ms(self._limits.write_timeout_ms)
            self._is_deaf = True
            self._transport.close()
        else:
            if self._is_paused:
                self._is_paused = False
                self._transport.resume_reading()
            self._proceed()

    def _send(self, reply: Reply, method: str, *, is_last: bool) -> None:
        host = self._host
        data = render_reply(
            reply, date=host.date(), is_last=is_last, has_body=method != "HEAD"
        )
        self._transport.write(data)

    def _linger(self) -> None:
        """Say that no more comes, and take in what the client is still sending."""
        self.due_s = self._host.loop.time() + _LINGER_S
        if self._transport.can_write_eof():
            self._transport.write_eof()

    # -- time ------------------------------------------------------------------------

    def _wait_ms(self, timeout_ms: int) -> None:
        self.due_s = self._host.loop.time() + timeout_ms / 1000

    def time_out(self) -> None:
        """The wait was too long (see `due_s`)."""
        if self._is_stuffed or self._is_deaf:
            self._transport.abort()
        elif self._is_reading:
            self._refuse(RequestTimedOut("the request did not arrive whole in time"))
        else:
            self._transport.close()

    def begin_drain(self, idle_until_s: float) -> None:
        """Close soon if idle; otherwise the reply under way will be the last."""
        if self._task is None and not self._is_reading and not self._is_deaf:
            self.due_s = min(self.due_s, idle_until_s)

    def abort(self) -> bool:
        """Close now; return whether a request was cut off."""
        is_cut = self._task is not None
        self._transport.abort()
        return is_cut

    def _release(self) -> None:
        self._host.held_bytes -= self._held_bytes
        self._held_bytes = 0


def _path_of(method: str, target: str) -> str:
    """Return the path of a request target that is not a plain path.

    >>> _path_of("GET", "http://localhost:8080/health"), _path_of("OPTIONS", "*")
    ('/health', '*')
    """
    if method == "OPTIONS" and target == "*":
        return target
    scheme, separator, rest = target.partition("://")
    if separator and scheme.lower() in ("http", "https"):
        return "/" + rest.partition("/")[2]
    return target


def _head_too_large(limits: HttpLimits) -> HeadersTooLarge:
    return HeadersTooLarge(
        f"request line and headers are larger than {limits.head_bytes_max} bytes",
        {"bytes_max": limits.head_bytes_max},
    )
