"""Replies out of bytes: three readers, from the common and fast to the rare and general.

`read_head`: a head that came whole and has a Content-Length, or says chunked; one regular
expression checks every byte of it. With the body in the same buffer (and in one chunk:
`only_chunk`) no reader is needed at all.
`LengthReader`: the rest of a body whose length is known.
`ParsedReader`: everything else, through httptools: chunks, trailers, informational
replies, bodies that end with the connection, heads that arrive in pieces, garbage.

Rule 1. After a reply comes nothing. More bytes than announced mean that the two sides
disagree about where replies end, and then the next reply would be anybody's.
Rule 2. What does not count as body is bounded: heads, chunk headers, trailers.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final, NamedTuple, Protocol

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from plait.connectors.http.body import Body
from plait.connectors.http.errors import Closed, ProtocolBroken
from plait.connectors.http.head import CONTENT_LENGTH, TRANSFER_ENCODING, Head, head_of
from plait.connectors.http.media import read_media_type

HEAD_BYTES_MAX: Final = 32 * 1024
# A chunk of one byte needs five more: bounded, but not refused.
_OVERHEAD_PER_BODY_BYTE: Final = 16
_BODYLESS = frozenset({204, 304})
_LENGTH_DIGITS_MAX: Final = 15
_CR_OR_LF = re.compile(rb"[\r\n]+")

_match_head = re.compile(
    rb"HTTP/1\.1 ([2-5][0-9][0-9])(?: [\t -~\x80-\xff]*)?"
    rb"((?:\r\n[!#$%&'*+.^_`|~0-9A-Za-z-]+:[\t -~\x80-\xff]*)*)"
).fullmatch

# All that matters before the body is read. Any of these twice is not simple.
_find_framing = re.compile(
    rb"\r\n(content-(?:length|type|encoding)|transfer-encoding|connection):"
    rb"[ \t]*((?:[^\r]*[^\r \t])?)"
).findall
_KEPT = b"keep-alive"

IN_CHUNKS: Final = -1
_LAST_CHUNK = b"\r\n0\r\n\r\n"
_match_chunk = re.compile(rb"([0-9a-fA-F]{1,8})\r\n").match

OpenBody = Callable[[Head], Body]


class WholeHead(NamedTuple):
    """A head that came in one piece; its body goes from byte `start` to byte `end`.

    `end` is IN_CHUNKS when the body is chunked.
    """

    head: Head
    start: int
    end: int


# Replies of one second often share their head to the byte: reading it again would cost
# 3 µs of the 15 that a call takes. Pure, so nobody can tell; bounded to 3 MB.
_heads: dict[bytes, WholeHead] = {}
_KNOWN_HEAD_BYTES_MAX: Final = 1024
_KNOWN_HEAD_COUNT_MAX: Final = 1024


def read_head(view: memoryview, buffer: bytearray, size: int) -> WholeHead | None:
    """Return the reply's head at the beginning of `buffer`, or None if it is not simple.

    Simple: HTTP/1.1, whole, kept alive, with a body that has exactly one Content-Length
    or comes in chunks.
    Not for replies to HEAD.

    Args:
        view: `memoryview(buffer)`.
        size: How many bytes of `buffer` count.

    >>> reply = bytearray(b"HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\n\\r\\nok")
    >>> whole = read_head(memoryview(reply), reply, len(reply))
    >>> whole.head.status, reply[whole.start :]
    (200, bytearray(b'ok'))
    """
    end = buffer.find(b"\r\n\r\n", 0, size)
    if end < 0:
        return None
    raw = bytes(view[:end])
    known = _heads.get(raw)
    return known if known is not None else _learn_head(raw)


def _learn_head(raw: bytes) -> WholeHead | None:
    """Read a head, without its empty line, and remember it."""
    whole = _read_head(raw)
    if whole is not None and len(raw) <= _KNOWN_HEAD_BYTES_MAX:
        if len(_heads) >= _KNOWN_HEAD_COUNT_MAX:
            _heads.clear()
        _heads[raw] = whole
    return whole


def _read_head(raw: bytes) -> WholeHead | None:
    match = _match_head(raw)
    if match is None or len(raw) + len(b"\r\n\r\n") > HEAD_BYTES_MAX:
        return None
    status, fields = int(match[1]), match[2] + b"\r\n"
    lower = fields.lower()
    found = _find_framing(lower)
    named: dict[bytes, bytes] = dict(found)
    if len(named) != len(found) or named.get(b"connection", _KEPT) != _KEPT:
        return None
    length = _body_length(named)
    if length is None or status in _BODYLESS:
        return None
    start = len(raw) + len(b"\r\n\r\n")
    end = IN_CHUNKS if length == IN_CHUNKS else start + length
    media = read_media_type(named.get(b"content-type"))
    head = Head(status, fields, lower, media, named.get(b"content-encoding"))
    return WholeHead(head, start, end)


def _body_length(named: dict[bytes, bytes]) -> int | None:
    """Return the length that a head announces, IN_CHUNKS, or None if it is not simple."""
    digits, coding = named.get(b"content-length"), named.get(b"transfer-encoding")
    if coding is not None:
        return IN_CHUNKS if coding == b"chunked" and digits is None else None
    if digits is None or not digits.isdigit() or len(digits) > _LENGTH_DIGITS_MAX:
        return None
    return int(digits)


def only_chunk(buffer: bytearray, start: int, size: int) -> tuple[int, int] | None:
    """Return where the body stands if it is one chunk that came whole, else None.

    >>> only_chunk(bytearray(b"2\\r\\nok\\r\\n0\\r\\n\\r\\n"), 0, 12)
    (3, 5)
    """
    match = _match_chunk(buffer, start, size)
    if match is None:
        return None
    first, last = match.end(), match.end() + int(match[1], 16)
    is_whole = last > first and last + len(_LAST_CHUNK) == size
    return (first, last) if is_whole and buffer.startswith(_LAST_CHUNK, last) else None


class Reader(Protocol):
    """Reads one reply.

    Attributes:
        head: The final head, once known.
        body: The collector that the head asked for.
    """

    head: Head | None
    body: Body | None

    @property
    def is_complete(self) -> bool:
        """Whether the reply has ended."""
        ...

    @property
    def can_reuse(self) -> bool:
        """Whether the connection can take another request; only once complete."""
        ...

    def feed(self, data: bytes) -> None:
        """Take the next bytes from the connection.

        Raises:
            ConnectorError: the reply is malformed, too large, or cannot be unpacked.
        """
        ...

    def end(self) -> None:
        """The other side closed the connection.

        Raises:
            Closed: in the middle of the reply.
        """
        ...


class LengthReader:
    """The body after a head that `read_head` took."""

    can_reuse = True

    def __init__(self, host: str, whole: WholeHead, open_body: OpenBody) -> None:
        self.head: Head | None = whole.head
        self.body: Body | None = None
        self._host = host
        self._left = self._length = whole.end - whole.start
        self._open_body = open_body

    @property
    def is_complete(self) -> bool:
        """See Reader."""
        return self._left == 0

    def feed(self, data: bytes) -> None:
        """See Reader."""
        assert self.head is not None
        if self.body is None:
            self.body = self._open_body(self.head)
        self._left -= len(data)
        if self._left < 0:
            raise _more_than_announced(self._host)
        self.body.feed(data)

    def end(self) -> None:
        """See Reader."""
        received = f"after {self._length - self._left} of {self._length} body bytes"
        raise Closed(host=self._host, received=received)


class ParsedReader:
    """Any reply, through httptools, whose callbacks the `on_…` methods are.

    Args:
        host: For error texts.
        takes_body: False for replies to HEAD.
        open_body: Called once with the final head.
    """

    def __init__(self, host: str, *, takes_body: bool, open_body: OpenBody) -> None:
        self.head: Head | None = None
        self.body: Body | None = None
        self.is_complete = False
        self.can_reuse = False
        self._host = host
        self._takes_body = takes_body
        self._open_body = open_body
        self._parser = HttpResponseParser(self)
        self._fields: list[tuple[bytes, bytes]] = []
        self._pieces: list[bytes] = []
        self._has_extra = False
        self._has_no_status = False
        self._ends_with_connection = False
        self._head_size = 0
        self._fed_size = 0
        self._body_size = 0

    def feed(self, data: bytes) -> None:
        """See Reader."""
        self._fed_size += len(data)
        try:
            self._parser.feed_data(data)
        except HttpParserUpgrade:
            raise self._broken("it switches to another protocol") from None
        except HttpParserError as error:
            if not self.is_complete:
                raise self._broken(str(error)) from None
            self._has_extra = True
        if self._has_no_status:
            raise self._broken("its status is below 100")
        self._check_sizes()
        self._collect()
        if self._has_extra:
            raise _more_than_announced(self._host)

    def _check_sizes(self) -> None:
        overhead = self._fed_size - self._body_size
        slack = _OVERHEAD_PER_BODY_BYTE * self._body_size
        if self._head_size > HEAD_BYTES_MAX or overhead > HEAD_BYTES_MAX + slack:
            raise self._broken(f"its headers take more than {HEAD_BYTES_MAX} bytes")

    def _collect(self) -> None:
        if self.head is None:
            return
        if self.body is None:
            coding = self.head.first(TRANSFER_ENCODING)
            if coding is not None and coding.lower() != b"chunked":
                raise self._broken("its transfer encoding is not chunked")
            self.body = self._open_body(self.head)
        # One piece for many tiny chunks: a list of them would outweigh the body.
        if self._pieces:
            self.body.feed(b"".join(self._pieces))
            self._pieces.clear()

    def end(self) -> None:
        """See Reader."""
        if not self._ends_with_connection:
            known = "in the middle of its reply's "
            part = "head" if self.head is None else "body"
            raise Closed(host=self._host, received=known + part)
        self.is_complete = True

    def on_message_begin(self) -> None:
        """A reply begins: informational, final, or one that nobody asked for."""
        self._has_extra = self.is_complete
        self._fields = []

    def on_status(self, reason: bytes) -> None:
        """The status line's text."""
        self._head_size += len(reason)

    def on_header(self, name: bytes, value: bytes) -> None:
        """A field of the head, or a trailer, which is dropped."""
        self._head_size += len(name) + len(value) + len(b": \r\n")
        if self.head is None:
            self._fields.append((name, _CR_OR_LF.sub(b" ", value)))

    def on_headers_complete(self) -> None:
        """A head is whole; it is the reply's own unless it is informational."""
        self._head_size += len(b"HTTP/1.1 200 \r\n\r\n")
        status = self._parser.get_status_code()
        self._has_no_status |= status < 100
        if status < 200 or self.head is not None:
            return
        head = self.head = head_of(status, self._fields)
        if not self._takes_body or status in _BODYLESS:
            self._complete()
            return
        is_framed = head.has(CONTENT_LENGTH) or head.has(TRANSFER_ENCODING)
        self._ends_with_connection = not is_framed

    def on_body(self, data: bytes) -> None:
        """A piece of the body, out of its chunk."""
        if self.is_complete:
            self._has_extra = True
            return
        self._body_size += len(data)
        self._pieces.append(data)

    def on_message_complete(self) -> None:
        """A reply has ended."""
        if self.head is not None and not self.is_complete:
            self._complete()

    def _complete(self) -> None:
        self.is_complete = True
        self.can_reuse = self._parser.should_keep_alive()

    def _broken(self, reason: str) -> ProtocolBroken:
        return ProtocolBroken(host=self._host, reason=reason)


def _more_than_announced(host: str) -> ProtocolBroken:
    return ProtocolBroken(host=host, reason="it sent more bytes than it announced")
