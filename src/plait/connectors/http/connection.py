"""One connection: writes a request, reads its reply, and knows whether it may be kept.

Rule 1. One request at a time, its reply read to the end, before the next.
Rule 2. A connection is kept only when both sides agree where the reply ended; after
anything else (close, error, extra bytes, a call that gave up) it is dropped.
Rule 3. All connections of a client read into one buffer: bytes are used up before the
loop calls anybody else, and a common reply is never copied.

Not here: which connection serves which call (pool), what a reply means (exchange).
"""

from __future__ import annotations

import asyncio
from typing import Final, Protocol, cast

from plait.connectors.egress import ConnectorError
from plait.connectors.http.body import Body
from plait.connectors.http.errors import Closed
from plait.connectors.http.head import Head
from plait.connectors.http.readers import (
    IN_CHUNKS,
    LengthReader,
    ParsedReader,
    Reader,
    only_chunk,
    read_head,
)
from plait.connectors.http.registry import RECEIVE_BYTES_MAX, ReceiveBuffer, Registry

# What a socket takes without waiting; larger requests may be answered half-sent.
_SENT_AT_ONCE_BYTES_MAX: Final = 16_384


class Asker(Protocol):
    """The call that a connection works for.

    Attributes:
        takes_body: False when the method is HEAD.
        may_repeat: Whether sending the request twice does no harm.
        connection: The connection that the request was sent on.
    """

    takes_body: bool
    may_repeat: bool
    connection: Connection | None

    @property
    def host(self) -> str:
        """The host, for error texts."""
        ...

    def open_body(self, head: Head) -> Body:
        """Return the collector for the body after `head`; may refuse it."""
        ...

    def answered_whole(self, head: Head, body: memoryview) -> None:
        """The reply is here, its body still packed and only valid during the call."""
        ...

    def answered(self, head: Head, body: Body) -> None:
        """The reply is here, collected."""
        ...

    def broke(self, error: ConnectorError, head: Head | None, body: Body | None) -> None:
        """The reply will not come whole; `head` and `body` are what came."""
        ...

    def repeat(self) -> None:
        """The kept connection was closed before it answered; try a fresh one."""
        ...


class Owner(Protocol):
    """The pool that a connection belongs to."""

    def release(self, connection: Connection) -> None:
        """`connection` can take another request."""
        ...

    def dropped(self, connection: Connection) -> None:
        """A connection that was adopted takes no more requests. Called once."""
        ...


class Connection(asyncio.BufferedProtocol):
    """One HTTP/1.1 connection, plain or TLS.

    Attributes:
        is_open: False once it takes no more requests.
        is_aged: Set by the pool's sweep; cleared when it is used.
    """

    def __init__(self, owner: Owner, buffer: ReceiveBuffer, registry: Registry) -> None:
        self.is_open = True
        self.is_aged = False
        self._owner = owner
        self._data = buffer.data
        self._view = buffer.view
        self._registry = registry
        self._transport: asyncio.Transport | None = None
        self._asker: Asker | None = None
        self._reader: Reader | None = None
        self._request_count = 0
        self._is_adopted = False
        self._is_simple = False
        self._early = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The connection is up (after the TLS handshake, if any)."""
        self._transport = cast("asyncio.Transport", transport)
        if not self.is_open:
            self._transport.abort()

    def adopt(self) -> bool:
        """The pool takes this connection in; return False if it is closed already.

        From here on it is registered. Before, whoever dials answers for it: a loop that
        gives up a connection just made need not say that it is lost (uvloop does not).
        """
        self._is_adopted = self.is_open
        if self.is_open:
            self._registry.add(self)
        return self.is_open

    def send(self, asker: Asker, message: bytes) -> None:
        """Send a request for `asker`, who then hears of the reply."""
        assert self._transport is not None
        assert self._asker is None
        self._asker = asker
        asker.connection = self
        self.is_aged = False
        self._request_count += 1
        self._is_simple = asker.takes_body and len(message) <= _SENT_AT_ONCE_BYTES_MAX
        try:
            self._transport.write(message)
        except RuntimeError:
            # uvloop, when the socket just failed: `connection_lost` is on its way and
            # deals with the asker. asyncio ignores such a write by itself.
            self._is_simple = False
        if self._early:
            asyncio.get_running_loop().call_soon(self._read_early)

    @property
    def has_heard(self) -> bool:
        """Whether something of the reply has come."""
        return self._reader is not None

    def get_buffer(self, sizehint: int) -> memoryview:
        """Where the loop shall put what it reads; it is always the same place.

        A view, because asyncio's TLS reads into slices of it, and a slice of a bytearray
        would be a copy.
        """
        del sizehint
        return self._view

    def buffer_updated(self, nbytes: int) -> None:
        """The loop has read `nbytes`."""
        asker = self._asker
        if asker is None:
            self._hear_unasked(nbytes)
            return
        view = self._view
        whole = read_head(view, self._data, nbytes) if self._is_simple else None
        if whole is None:
            self._read_on(asker, 0, nbytes)
        elif whole.end == nbytes:
            self._answer(asker, whole.head, view[whole.start : nbytes])
        elif whole.end != IN_CHUNKS:
            self._reader = LengthReader(asker.host, whole, asker.open_body)
            self._read_on(asker, whole.start, nbytes)
        elif chunk := only_chunk(self._data, whole.start, nbytes):
            self._answer(asker, whole.head, view[chunk[0] : chunk[1]])
        else:
            self._read_on(asker, 0, nbytes)

    def _answer(self, asker: Asker, head: Head, body: memoryview) -> None:
        self._asker = None
        self._owner.release(self)
        asker.answered_whole(head, body)

    def _hear_unasked(self, nbytes: int) -> None:
        """Bytes on an idle connection end it; a new one may be greeted by its server.

        Servers of other protocols speak first. What they say is kept until the request
        is out, and is then a malformed reply instead of a riddle.
        """
        if self._is_adopted or len(self._early) + nbytes > RECEIVE_BYTES_MAX:
            self.drop()
        else:
            self._early += self._view[:nbytes]

    def _read_early(self) -> None:
        early, self._early = self._early, b""
        if self._asker is not None:
            self._data[: len(early)] = early
            self.buffer_updated(len(early))

    def _read_on(self, asker: Asker, start: int, end: int) -> None:
        reader = self._reader
        self._is_simple = False
        if reader is None:
            reader = self._reader = ParsedReader(
                asker.host, takes_body=asker.takes_body, open_body=asker.open_body
            )
        try:
            reader.feed(bytes(self._view[start:end]))
        except ConnectorError as error:
            self._asker = None
            self.drop()
            asker.broke(error, reader.head, reader.body)
            return
        if reader.is_complete:
            self._finish(asker, reader)

    def _finish(self, asker: Asker, reader: Reader) -> None:
        head, body = reader.head, reader.body
        assert head is not None
        assert body is not None
        self._asker = self._reader = None
        if reader.can_reuse and self.is_open and not self._is_sending():
            self._owner.release(self)
        else:
            self.drop()
        asker.answered(head, body)

    def _is_sending(self) -> bool:
        """Whether the reply came before the request was out (an early 413)."""
        assert self._transport is not None
        return self._transport.get_write_buffer_size() > 0

    def eof_received(self) -> None:
        """The other side sends no more. The transport then closes itself."""
        if self._asker is None:
            self.drop()

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone, whoever ended it."""
        del exc
        self._registry.discard(self)
        asker, reader = self._asker, self._reader
        self._asker = self._reader = None
        self._retire()
        if asker is None:
            return
        if reader is None:
            self._unanswered(asker)
            return
        try:
            reader.end()
        except ConnectorError as error:
            asker.broke(error, reader.head, reader.body)
            return
        assert reader.head is not None
        assert reader.body is not None
        asker.answered(reader.head, reader.body)

    def _unanswered(self, asker: Asker) -> None:
        # A kept connection may be closed by the other side while the request is on its
        # way. Nothing was answered; a repeatable request is not worth a failure.
        if self._request_count > 1 and asker.may_repeat:
            asker.repeat()
        else:
            error = Closed(host=asker.host, received="before it answered")
            asker.broke(error, None, None)

    def drop(self) -> None:
        """Close at once; whoever waits for a reply hears nothing more."""
        self._asker = self._reader = None
        if self._transport is not None:
            self._transport.abort()
        self._retire()

    def _retire(self) -> None:
        if self.is_open:
            self.is_open = False
            if self._is_adopted:
                self._owner.dropped(self)
