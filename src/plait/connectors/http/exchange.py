"""One call, from its request to its outcome: redirects, deadline and cancelling included.

Rule 1. `done` is called once, and never after `cancel`. It is the last thing done in any
turn: it may start further calls, which then find the connection free.
Rule 2. Nothing that was sent appears in a failure.

States: in line or dialling (no connection yet) → waiting (sent, nothing heard) →
receiving → over. A redirect or a repeat goes back to the beginning; the deadline does
not.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from typing import Final, Protocol

from plait.connectors.egress import (
    ConnectorError,
    ForbiddenAddress,
    InvalidRequest,
    UnknownHost,
)
from plait.connectors.http.body import Body, BodyLimits, open_body, too_large
from plait.connectors.http.connection import Connection
from plait.connectors.http.content import Unreadable, read_content
from plait.connectors.http.deadlines import Bucket, Deadlines
from plait.connectors.http.errors import TimedOut, TooLarge, Undecodable
from plait.connectors.http.head import CONTENT_LENGTH, LOCATION, Head
from plait.connectors.http.options import Options
from plait.connectors.http.pool import Pool
from plait.connectors.http.request import IDEMPOTENT, Outgoing
from plait.connectors.http.status import status_failure
from plait.connectors.http.url import public_url, read_url
from plait.model.errors import Advice
from plait.model.failure import Failure
from plait.model.json import JsonObject
from plait.ports.calls import Call, CallReply, Done, Outcome

# An error's text is shown to 2 KB; more than this is not even read.
_UNWANTED_BYTES_MAX: Final = 64 * 1024
# Reading smaller bodies takes less than the deadline's own precision.
_SLOW_BYTES_MIN: Final = 256 * 1024
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_ABOUT_THE_URL: Final = (ForbiddenAddress, InvalidRequest, UnknownHost)


class Desk(Protocol):
    """What an exchange needs from the client."""

    def follow(self, exchange: Exchange, status: int, location: bytes) -> None:
        """Aim `exchange` at `location`; raises ConnectorError if it may not go there."""
        ...


class Exchange:
    """A call under way; also its handle.

    Attributes:
        url: The current URL, which redirects change.
        outgoing: The checked request, which redirects change.
        message: Its bytes.
        takes_body: False for HEAD, whose reply has none.
        may_repeat: The other side can recognise, or does not mind, a repetition.
        redirected_by: The host whose redirect led to the current URL, if one did.
        was_sent: An earlier connection or hop may have heard of this call.
        needs_fresh: Only a connection that was not used before will do.
    """

    __slots__ = (
        "_bucket",
        "_desk",
        "_done",
        "call",
        "connection",
        "dial",
        "is_over",
        "limits",
        "may_repeat",
        "message",
        "needs_fresh",
        "options",
        "outgoing",
        "pool",
        "redirect_count",
        "redirected_by",
        "takes_body",
        "url",
        "was_sent",
    )

    url: str
    pool: Pool
    outgoing: Outgoing
    message: bytes
    takes_body: bool
    may_repeat: bool
    needs_fresh: bool
    _bucket: Bucket[Exchange]

    def __init__(
        self, desk: Desk, call: Call, done: Done, options: Options, limits: BodyLimits
    ) -> None:
        self._desk = desk
        self._done = done
        self.call = call
        self.options = options
        self.limits = limits
        self.connection: Connection | None = None
        self.dial: asyncio.Task[Connection] | None = None
        self.is_over = False
        self.redirect_count = 0
        self.redirected_by: str | None = None
        self.was_sent = False

    def aim(self, url: str, pool: Pool, outgoing: Outgoing, message: bytes) -> None:
        """Set what to send, and where."""
        self.url = url
        self.pool = pool
        self.outgoing = outgoing
        self.message = message
        method = outgoing.method
        self.takes_body = method != "HEAD"
        # The step's own word counts before the method: a search by POST is a `read`, and
        # a PUT that moves money may be `unsafe`.
        call, effect = self.call, self.call.effect
        self.may_repeat = effect == "read" or (
            effect == "keyed" and (method in IDEMPOTENT or call.idempotency_key is not None)
        )
        self.needs_fresh = not self.may_repeat

    def begin(self, deadlines: Deadlines[Exchange]) -> None:
        """Start the clock and send."""
        self._bucket = deadlines.add(self, self.call.timeout_ms)
        self.pool.acquire(self)

    @property
    def host(self) -> str:
        """The host as errors name it."""
        return self.pool.origin.host.name

    @property
    def timeout_ms(self) -> int:
        """The time limit of the whole call."""
        return self.call.timeout_ms

    def open_body(self, head: Head) -> Body:
        """Return the collector for the body after `head`.

        Raises:
            TooLarge: its announced length is over the limit.
            Undecodable: its content coding is unknown.
        """
        coding = head.coding
        limits = self.limits
        if not self._is_wanted(head.status):
            size_max = min(limits.bytes_max, _UNWANTED_BYTES_MAX)
            return open_body(self.host, coding, BodyLimits(size_max, limits.ratio_max))
        length = head.first(CONTENT_LENGTH)
        length_max = limits.bytes_max if coding is None else limits.packed_bytes_max
        if length is not None and self.takes_body and int(length) > length_max:
            raise too_large(self.host, limits)
        return open_body(self.host, coding, limits)

    def _is_wanted(self, status: int) -> bool:
        expected = self.options.expected
        return 200 <= status < 300 if expected is None else status in expected

    def answered_whole(self, head: Head, body: memoryview) -> None:
        """The reply came in one piece; `body` is packed as `head` says."""
        if head.coding is not None or len(body) > self.limits.bytes_max:
            self._answered_packed(head, bytes(body))
        else:
            self._conclude(head, body)

    def _answered_packed(self, head: Head, data: bytes) -> None:
        body: Body | None = None
        try:
            body = self.open_body(head)
            body.feed(data)
        except ConnectorError as error:
            self.broke(error, head, body)
        else:
            self.answered(head, body)

    def answered(self, head: Head, body: Body) -> None:
        """The reply is collected."""
        try:
            data = body.take()
        except ConnectorError as error:
            self.broke(error, head, body)
        else:
            self._conclude(head, data)

    def _conclude(self, head: Head, body: bytes | memoryview) -> None:
        if self._is_wanted(head.status):
            self._finish(self._reply(head, body))
        else:
            self._unwanted(head, bytes(body), is_cut=False)

    def _reply(self, head: Head, body: bytes | memoryview) -> Outcome:
        began_s = time.monotonic() if len(body) > _SLOW_BYTES_MIN else None
        try:
            response = read_content(body, head.media, self.options.decode)
        except Unreadable as error:
            return Undecodable(host=self.host, reason=str(error)).as_failure(sent=True)
        if began_s is not None and self._bucket.left_s() < 0:
            return self._timed_out("receive").as_failure(sent=True)
        wanted = self.call.headers_wanted
        facts: JsonObject = {
            "status_code": head.status,
            "headers": head.texts(wanted) if wanted else {},
        }
        return CallReply(response=response, facts=facts)

    def _unwanted(self, head: Head, body: bytes, *, is_cut: bool) -> None:
        """Follow a redirect, or fail with the reply's status."""
        status, location = head.status, head.first(LOCATION)
        is_redirect = status in _REDIRECTS and location is not None
        if is_redirect and self.redirect_count < self.options.redirect_count_max:
            assert location is not None
            self._follow(status, location)
            return
        url = public_url(read_url(self.url))
        method = self.outgoing.method
        self._finish(status_failure(method, url, head, body, is_cut=is_cut))

    def _follow(self, status: int, location: bytes) -> None:
        self.redirect_count += 1
        self.redirected_by = self.host
        self._start_over()
        try:
            self._desk.follow(self, status, location)
        except ConnectorError as error:
            self._finish(self._failure_of(error))
        else:
            self.pool.acquire(self)

    def broke(self, error: ConnectorError, head: Head | None, body: Body | None) -> None:
        """There will be no whole reply. What status it had still counts, if unwanted."""
        is_about_body = isinstance(error, TooLarge | Undecodable)
        if head is not None and is_about_body and not self._is_wanted(head.status):
            so_far = b"" if body is None else body.so_far()
            self._unwanted(head, so_far, is_cut=True)
            return
        self._finish(self._failure_of(error))

    def _failure_of(self, error: ConnectorError) -> Failure:
        failure = error.as_failure(sent=self._is_sent())
        if self.redirected_by is None or not isinstance(error, _ABOUT_THE_URL):
            return failure
        # The caller never saw this URL; who sent it is at fault.
        text = f"the redirect of {self.redirected_by}: {failure.message}"
        return replace(failure, message=text, advice=Advice.REPORT)

    def repeat(self) -> None:
        """The kept connection was closed before it answered; take a fresh one."""
        self._start_over()
        self.needs_fresh = True
        self.pool.acquire(self)

    def _start_over(self) -> None:
        self.was_sent = True
        self.connection = self.dial = None

    def _is_sent(self) -> bool:
        return self.was_sent or self.connection is not None

    def expire(self) -> None:
        """The time is up."""
        if self.is_over:
            return
        connection = self.connection
        if connection is None:
            phase = "connect"
        else:
            phase = "receive" if connection.has_heard else "wait"
        failure = self._timed_out(phase).as_failure(sent=self._is_sent())
        self._let_go()
        self._finish(failure)

    def _timed_out(self, phase: str) -> TimedOut:
        return TimedOut(host=self.host, waited_ms=self.call.timeout_ms, phase=phase)

    def cancel(self) -> None:
        """Stop the call; `done` hears nothing."""
        if self.is_over:
            return
        self.is_over = True
        self._bucket.pop(self, None)
        self._let_go()

    def _let_go(self) -> None:
        """Free the connection, or give up opening one."""
        if self.connection is not None:
            self.connection.drop()
        elif self.dial is not None:
            self.dial.cancel()

    def _finish(self, outcome: Outcome) -> None:
        if self.is_over:
            return
        self.is_over = True
        self._bucket.pop(self, None)
        self._done(outcome)
