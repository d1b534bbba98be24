"""HTTP/1.1, one connection: requests to the gateway, replies out in the same order.

Why the gateway reads HTTP itself, instead of standing behind a server: docs/decisions/0009.

Rule 1. The client going away cancels what is being done for it. One that only says that
        it sends no more (as `nc -N` does) gets its reply. On the wire both look the same,
        until something is written: interim replies, which every client of HTTP/1.1 passes
        over, find out within about a second who has gone; in a stream, what it says itself
        that may stand there (`Reply.beat`). HTTP/1.0 has none; there, who
        sends no more has gone.
Rule 2. After anything that is not plainly a request the connection is closed: where the
        next one would begin is anyone's guess.
Rule 3. There is always a moment (`due_s`) at which waiting ends, except while the gateway
        works on a reply, which has its own.
Rule 4. What goes wrong in here is logged and ends the connection; nobody is left waiting.

Not here: reading requests (plait.gateway.incoming), accepting connections and looking at
the clock (plait.gateway.listener).
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Final, Protocol, TypeAlias, cast

from plait.gateway.incoming import Held, HttpLimits, RequestReader
from plait.gateway.message import Reply, Request
from plait.gateway.refusal import Refused, RequestTimedOut, Unforeseen
from plait.gateway.wire import render_reply

__all__ = ["Connection", "Handle", "Host", "HttpLimits", "Refuse", "Screen"]

logger = logging.getLogger("plait.gateway")

Handle: TypeAlias = Callable[[Request], Awaitable[Reply]]
Screen: TypeAlias = Callable[[Request], Refused | None]
Refuse: TypeAlias = Callable[[Refused, Mapping[bytes, bytes]], Reply]

# Requests that came before their turn; past this the client's socket is not read.
_WAITING_MAX: Final = 16
# A reply that refuses half a body is read by the client only if we take the rest in.
_LINGER_MS: Final = 2_000
_UNFORESEEN: Final = "something went wrong inside"
_NEVER: Final = math.inf
# Most replies are there before this; each further probe waits twice as long as the last.
_PROBE_S: Final = 0.25
_CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"


class Host(Protocol):
    """What a connection needs of its listener.

    Attributes:
        handle: Answers a request.
        screen: Returns what speaks against a request whose body has not come yet.
        refuse: Makes the reply to what cannot be answered, given the headers that came.
        admit: Returns what speaks against reading a body that comes; None: nothing does.
    """

    limits: HttpLimits
    loop: asyncio.AbstractEventLoop
    handle: Handle
    screen: Screen
    refuse: Refuse
    admit: Screen | None
    held: Held
    is_draining: bool

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
        "_beat", "_caught_up", "_held_bytes", "_host", "_is_deaf", "_is_new", "_is_paused",
        "_is_stuffed", "_limits", "_probing", "_reader", "_task", "_transport",
        "_waiting", "due_s",
    )  # fmt: skip

    def __init__(self, host: Host) -> None:
        self._host = host
        self._limits = host.limits
        self._transport: asyncio.Transport
        self._reader = RequestReader(self, host.limits, host.held)
        self._waiting: deque[tuple[Request | Reply, bool]] = deque()
        self._task: asyncio.Task[None] | None = None
        self._probing: asyncio.TimerHandle | None = None
        self._beat = _CONTINUE  # what means nothing to the client
        self._held_bytes = 0
        self._is_deaf = False  # what still comes in is thrown away
        self._caught_up: asyncio.Event | None = None  # only of a stream
        self._is_stuffed = False  # the client does not take in what was written
        self._is_paused = False  # too much is waiting in line
        self._is_new = True  # its first request has not begun

    # -- from the event loop ---------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        # uvloop's transports do all that asyncio's do, but are no subclass.
        self._transport = cast("asyncio.Transport", transport)
        peer = transport.get_extra_info("peername")
        self._reader.peer = peer[0] if isinstance(peer, tuple) else ""
        self._wait_ms(self._limits.head_timeout_ms)
        self._host.opened(self)

    def connection_lost(self, _exc: Exception | None) -> None:
        """The client is gone, whatever the reason: nobody needs the reply any more."""
        self._host.lost(self)
        self._is_deaf = True
        self.due_s = _NEVER
        if self._task is not None:
            self._task.cancel()
        if self._probing is not None:
            self._probing.cancel()
        self._waiting.clear()
        self._reader.abandon()
        self._release(self._held_bytes)

    def eof_received(self) -> bool:
        """The client sends no more. Return whether it may still be waiting for replies."""
        if self._reader.is_old or (self._task is None and not self._waiting):
            return False
        self._is_deaf = True
        self._reader.abandon()
        self._probe_after(_PROBE_S)
        return True

    def data_received(self, data: bytes) -> None:
        """Take in what the client sent."""
        if self._is_deaf:
            return
        try:
            if not self._reader.feed(data):
                self._is_deaf = True
        except Refused as refusal:
            self._refuse(refusal)
        except Exception:
            logger.exception("a request could not be read")
            self._refuse(Unforeseen(_UNFORESEEN))

    def pause_writing(self) -> None:
        """The client is slower than its replies."""
        self._is_stuffed = True
        if self._caught_up is not None:
            self._caught_up.clear()
        self._wait_ms(self._limits.write_timeout_ms)

    def resume_writing(self) -> None:
        """The client has caught up."""
        self._is_stuffed = False
        if self._caught_up is not None:
            self._caught_up.set()
            self.due_s = _NEVER
        if self._task is None and not self._transport.is_closing():
            self._proceed()

    # -- from the reader -------------------------------------------------------------

    def begun(self) -> None:
        """A request's first byte has come."""
        # The first one's time runs from the connection's beginning: whoever keeps the first
        # byte back gains nothing.
        if self._task is None and not self._is_new:
            self._wait_ms(self._limits.head_timeout_ms)
        self._is_new = False

    def body_follows(self) -> Refused | None:
        """A body follows; return what speaks against reading it, if it is its turn."""
        if self._task is not None or self._waiting:
            return None
        self._wait_ms(self._limits.body_timeout_ms)
        admit = self._host.admit
        if admit is not None and not self._reader.is_awaited:
            return admit(self._reader.head())
        return self._invite_body()

    def _invite_body(self) -> Refused | None:
        """Tell a client that waits for a word to go on, or return why it should not."""
        if not self._reader.is_awaited:
            return None
        refusal = self._host.screen(self._reader.head())
        if refusal is None:
            self._transport.write(_CONTINUE)
        return refusal

    def complete(self, request: Request, *, keep_alive: bool) -> None:
        """Put a request in line, and begin with it if it is the first."""
        self._held_bytes += len(request.body)
        self._waiting.append((request, keep_alive))
        if self._task is None:
            self._proceed()
        elif len(self._waiting) >= _WAITING_MAX and not self._is_paused:
            self._is_paused = True
            self._transport.pause_reading()

    # -- replies ---------------------------------------------------------------------

    def _refuse(self, refusal: Refused) -> None:
        """Answer with `refusal` when it is its turn, then close."""
        self._is_deaf = True
        self._reader.abandon()
        reply = self._host.refuse(refusal, self._reader.headers)
        self._waiting.append((reply, False))
        if self._task is None:
            self._proceed()

    def _proceed(self) -> None:
        """Begin with the next in line, or wait for one."""
        if self._is_stuffed:
            return
        if not self._waiting:
            limits = self._limits
            # The next request may have begun while the last one was answered.
            is_begun = self._reader.is_reading
            self._wait_ms(limits.body_timeout_ms if is_begun else limits.idle_timeout_ms)
            refusal = self._invite_body()
            if refusal is not None:
                self._refuse(refusal)
            return
        item, keep_alive = self._waiting.popleft()
        if isinstance(item, Reply):
            self._send(item, "", is_last=True)
            self._linger()
            return
        self.due_s = _NEVER
        # The one write to a request, before anybody else has it. The loop's own clock
        # stands still while it works off what came at once.
        item.due_s = time.monotonic()  # type: ignore[misc]
        self._task = self._host.loop.create_task(self._answer(item, keep_alive))

    async def _answer(self, request: Request, keep_alive: bool) -> None:
        try:
            reply = await self._host.handle(request)
        except Exception:
            logger.exception("a request could not be answered")
            reply = self._host.refuse(Unforeseen(_UNFORESEEN), request.headers)
        except asyncio.CancelledError:
            # Its own task was cancelled: the client is gone. Or it gave up by itself.
            self._transport.abort()
            raise
        try:
            if reply.stream is not None:
                await self._stream(request, reply, reply.stream)
            else:
                self._reply(request, reply, keep_alive=keep_alive)
        except Exception:
            logger.exception("a reply could not be sent")
            self._transport.abort()

    async def _stream(
        self, request: Request, reply: Reply, parts: AsyncIterator[bytes]
    ) -> None:
        """Send a reply part by part; nothing is answered after it."""
        self._is_deaf = True
        self._caught_up = caught_up = asyncio.Event()
        caught_up.set()
        self._beat = reply.beat
        self._send(reply, request.method, is_last=True)
        if request.method != "HEAD":
            async for part in parts:
                self._transport.write(part)
                await caught_up.wait()
        self._task = None
        self._release(len(request.body))
        self._wait_ms(self._limits.write_timeout_ms)
        self._transport.close()

    def _reply(self, request: Request, reply: Reply, *, keep_alive: bool) -> None:
        self._task = None
        self._release(len(request.body))
        if self._transport.is_closing():
            return
        is_end = (self._host.is_draining or self._is_deaf) and not self._waiting
        is_last = is_end or not keep_alive
        self._send(reply, request.method, is_last=is_last)
        if is_last:
            self._wait_ms(self._limits.write_timeout_ms)
            self._is_deaf = True
            self._transport.close()
            return
        if self._is_paused:
            self._is_paused = False
            self._transport.resume_reading()
        self._proceed()

    def _send(self, reply: Reply, method: str, *, is_last: bool) -> None:
        data = render_reply(
            reply, date=self._host.date(), is_last=is_last, has_body=method != "HEAD"
        )
        self._transport.write(data)

    def _linger(self) -> None:
        """Say that no more comes, and take in what the client is still sending."""
        self._wait_ms(_LINGER_MS)
        if self._transport.can_write_eof():
            self._transport.write_eof()

    def _release(self, byte_count: int) -> None:
        byte_count = min(byte_count, self._held_bytes)
        self._held_bytes -= byte_count
        self._host.held.byte_count -= byte_count

    # -- time ------------------------------------------------------------------------

    def _probe_after(self, delay_s: float) -> None:
        self._probing = self._host.loop.call_later(delay_s, self._probe, 2 * delay_s)

    def _probe(self, next_delay_s: float) -> None:
        """Write something that means nothing: if the client has gone, that fails."""
        if self._beat and self._task is not None and not self._transport.is_closing():
            self._transport.write(self._beat)
            self._probe_after(next_delay_s)

    def _wait_ms(self, timeout_ms: int) -> None:
        self.due_s = self._host.loop.time() + timeout_ms / 1000

    def time_out(self) -> None:
        """The wait was too long (see `due_s`)."""
        if self._is_stuffed or self._is_deaf:
            self._transport.abort()
        elif self._reader.is_reading:
            self._refuse(RequestTimedOut("the request did not arrive whole in time"))
        else:
            self._transport.close()

    def begin_drain(self, idle_until_s: float) -> None:
        """Close soon if idle; otherwise the reply under way will be the last."""
        if self._task is None and not self._reader.is_reading and not self._is_deaf:
            self.due_s = min(self.due_s, idle_until_s)

    @property
    def is_answering(self) -> bool:
        """Whether a request is under way."""
        return self._task is not None

    def abort(self) -> None:
        """Close now."""
        self._transport.abort()
