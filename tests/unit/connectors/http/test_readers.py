"""Readers: the fast one and the general one agree on whatever both can read."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plait.connectors.egress import ConnectorError
from plait.connectors.http.body import Body, BodyLimits, PlainBody
from plait.connectors.http.head import Head
from plait.connectors.http.readers import (
    IN_CHUNKS,
    ParsedReader,
    _heads,
    only_chunk,
    read_head,
)
from plait.model.json import JsonObject

LIMITS = BodyLimits(1_000_000, 100)


def mostly(usual: bytes, *others: bytes) -> st.SearchStrategy[bytes]:
    """Draw `usual` nine times in ten: a reply with one fault tells more than a mess."""
    return st.integers(0, 9).flatmap(
        lambda n: st.sampled_from(others) if n == 0 else st.just(usual)
    )


STATUS = st.sampled_from([b"200 OK", b"404 Not Found", b"299", b"503 ", b"200 \xfc\tx"])
NAMES = st.sampled_from([b"X-A", b"Content-Type", b"Server", b"Via"])
VALUES = st.sampled_from([b"", b" ", b"a", b" a ", b"\t1", b"5", b"\xfc", b"a: b", b"0"])
CONNECTION = mostly(b" keep-alive", b"close", b" Keep-Alive", b" keep-alive, close", b"")
BODIES = st.binary(min_size=1, max_size=40)
CHUNKED = mostly(b" chunked", b"chunked", b" Chunked", b" gzip", b" gzip, chunked", b"")
CHUNK = mostly(b"%x\r\n", b"0%X\r\n", b"-%x\r\n", b" %x\r\n", b"%x;a\r\n", b"%x\n")
LAST = mostly(
    b"\r\n0\r\n\r\n", b"\r\n0\r\nA: b\r\n\r\n", b"\r\n00\r\n\r\n", b"\n0\r\n\r\n", b""
)
LENGTH = mostly(b" %d", b"%d", b" +%d", b" %d ", b" 0%d", b" %d,1", b"")
# Bytes that a careless or hostile server may put between two lines, or after all.
NOISE = mostly(b"", b"\r\n", b"\n", b"\r", b" ", b"\0", b"Content-Length: 5\r\n", b"x")


@st.composite
def replies(draw: st.DrawFn) -> bytes:
    body = draw(BODIES)
    size = len(body) + int(draw(mostly(b"0", b"1", b"-1")))
    fields = draw(st.lists(st.tuples(NAMES, VALUES), max_size=3))
    fields.append((draw(mostly(b"Connection", b"connection")), draw(CONNECTION)))
    if draw(st.booleans()):
        framing = (b"transfer-encoding", draw(CHUNKED))
        body = draw(CHUNK) % max(size, 0) + body + draw(LAST)
    else:
        length = draw(LENGTH)
        framing = (b"Content-Length", length % max(size, 0) if length else b"")
    fields.insert(draw(st.integers(0, len(fields))), framing)
    at = draw(st.integers(0, len(fields) - 1))
    lines = [b"%b:%b\r\n" % field for field in fields]
    lines[at] += draw(NOISE)
    return b"".join(
        [b"HTTP/1.1 ", draw(STATUS), b"\r\n", *lines, b"\r\n", body, draw(NOISE)]
    )


def open_plain(head: Head) -> Body:
    del head
    return PlainBody("h", LIMITS)


def read_slowly(message: bytes) -> tuple[int, bytes, JsonObject] | None:
    """Return status, body and fields of a reply that is whole, valid and kept alive."""
    reader = ParsedReader("h", takes_body=True, open_body=open_plain)
    try:
        reader.feed(message)
    except ConnectorError:
        return None
    if not reader.is_complete or not reader.can_reuse:
        return None
    assert reader.head is not None
    assert reader.body is not None
    return reader.head.status, reader.body.take(), reader.head.texts(["*"])


def read_fast(message: bytes) -> tuple[int, bytes, JsonObject] | None:
    buffer = bytearray(message)
    whole = read_head(memoryview(buffer), buffer, len(message))
    if whole is None:
        return None
    span = (whole.start, len(message)) if whole.end == len(message) else None
    if whole.end == IN_CHUNKS:
        span = only_chunk(buffer, whole.start, len(message))
    if span is None:
        return None
    return whole.head.status, message[slice(*span)], whole.head.texts(["*"])


@given(replies())
def test_what_the_fast_reader_takes_the_general_one_reads_alike(message: bytes) -> None:
    fast = read_fast(message)
    if fast is not None:
        assert fast == read_slowly(message)


def test_the_fast_reader_takes_what_real_servers_send() -> None:
    nginx = (
        b"HTTP/1.1 200 OK\r\nServer: nginx/1.22.1\r\n"
        b"Date: Sat, 21 Nov 2026 05:52:26 GMT\r\n"
        b"Content-Type: application/json\r\nContent-Length: 2\r\n"
        b"Connection: keep-alive\r\n\r\n{}"
    )
    uvicorn = (
        b"HTTP/1.1 200 OK\r\ndate: Sat, 21 Nov 2026 05:52:26 GMT\r\nserver: uvicorn\r\n"
        b"content-length: 2\r\ncontent-type: application/json\r\n\r\n{}"
    )
    tomcat = (
        b"HTTP/1.1 200 \r\nContent-Type: application/json\r\n"
        b"Transfer-Encoding: chunked\r\nDate: Sat, 21 Nov 2026 05:52:26 GMT\r\n"
        b"Keep-Alive: timeout=60\r\nConnection: keep-alive\r\n\r\n"
        b"2\r\n{}\r\n0\r\n\r\n"
    )
    for message in (nginx, uvicorn, tomcat):
        assert read_fast(message) == read_slowly(message)
        assert read_fast(message) is not None


@given(replies(), st.data())
def test_how_a_reply_is_cut_into_packets_changes_nothing(
    message: bytes, data: st.DataObject
) -> None:
    expected = read_slowly(message)
    reader = ParsedReader("h", takes_body=True, open_body=open_plain)
    rest = message
    try:
        while rest:
            size = data.draw(st.integers(1, len(rest)))
            reader.feed(rest[:size])
            rest = rest[size:]
    except ConnectorError:
        assert expected is None
        return
    if expected is not None:
        assert reader.is_complete
        assert reader.head is not None
        assert reader.body is not None
        assert (reader.head.status, reader.body.take()) == expected[:2]


@pytest.mark.parametrize(
    "fields",
    [
        b"Content-Length: 2\r\nContent-Length: 2\r\n",
        b"Content-Length: 2\r\ncontent-length: 3\r\n",
        b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n",
        b"Transfer-Encoding: chunked\r\nContent-Length: 2\r\n",
        b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        b"Transfer-Encoding: gzip, chunked\r\n",
        b"Content-Length: 2\r\nConnection: close\r\n",
        b"Content-Length: 2\r\nConnection: keep-alive\r\nConnection: close\r\n",
        b"Content-Length: 2, 2\r\n",
        b"Content-Length: 0x2\r\n",
        b"Content-Length: \xb2\r\n",
        b"Content-Length: 2222222222222222\r\n",
        b"Content-Length : 2\r\n",
        b" Content-Length: 2\r\n",
        b"X: a\r\n Content-Length: 2\r\n",
        b"X: a\nContent-Length: 2\r\n",
        b"Content-Length: 2\r\nX: \0\r\n",
        b"",
    ],
)
def test_what_could_be_read_in_two_ways_is_left_to_the_general_reader(
    fields: bytes,
) -> None:
    message = b"HTTP/1.1 200 OK\r\n" + fields + b"\r\nok"
    assert read_fast(message) is None


@pytest.mark.parametrize(
    "chunks",
    [
        b"2\r\nok\r\n0\r\n\r",
        b"2\r\nok\r\n0\r\n\r\nx",
        b"2\r\nokx\n0\r\n\r\n",
        b"2\r\nok\r\n1\r\n\r\n",
        b"3\r\nok\r\n0\r\n\r\n",
        b"0\r\n\r\n",
        b"0\r\n\r\n0\r\n\r\n",
        b"0x2\r\nok\r\n0\r\n\r\n",
        b"+2\r\nok\r\n0\r\n\r\n",
        b"2;a\r\nok\r\n0\r\n\r\n",
        b"000000002\r\nok\r\n0\r\n\r\n",
        b"\r\nok\r\n0\r\n\r\n",
    ],
)
def test_only_one_whole_and_plain_chunk_is_read_fast(chunks: bytes) -> None:
    assert only_chunk(bytearray(chunks), 0, len(chunks)) is None


def test_known_heads_are_bounded() -> None:
    for number in range(3000):
        message = b"HTTP/1.1 200 OK\r\nX: %d\r\nContent-Length: 0\r\n\r\n" % number
        assert read_fast(message) is not None
    assert len(_heads) <= 1024
