"""Readers: the fast one and the general one agree on whatever both can read."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from plait.connectors.egress import ConnectorError
from plait.connectors.http.body import Body, BodyLimits, PlainBody
from plait.connectors.http.head import Head
from plait.connectors.http.readers import ParsedReader, read_head
from plait.model.json import JsonObject

LIMITS = BodyLimits(1_000_000, 100)

STATUS = st.sampled_from([b"200 OK", b"404 Not Found", b"299", b"503 ", b"200 \xfc\tx"])
NAMES = st.sampled_from(
    [b"X-A", b"Content-Type", b"Server", b"connection", b"Content-Length", b"Via"]
)
VALUES = st.sampled_from(
    [b"", b" ", b"a", b" a ", b"\t1", b"keep-alive", b"close", b"5", b"\xfc", b"a: b", b"0"]
)
BODIES = st.binary(max_size=40)
# Bytes that a careless or hostile server may put anywhere.
NOISE = st.sampled_from(
    [b"", b"", b"", b"\r\n", b"\n", b"\r", b" ", b"\0", b"Transfer-Encoding: chunked\r\n"]
)


def open_plain(head: Head) -> Body:
    del head
    return PlainBody("h", LIMITS)


@st.composite
def replies(draw: st.DrawFn) -> bytes:
    body = draw(BODIES)
    fields = draw(st.lists(st.tuples(NAMES, VALUES), max_size=4))
    length = len(body) + draw(st.sampled_from([0, 0, 0, 0, 1, -1]))
    fields.insert(draw(st.integers(0, len(fields))), (b"Content-Length", b" %d" % length))
    lines = b"".join(b"%b:%b\r\n%b" % (n, v, draw(NOISE)) for n, v in fields)
    return b"HTTP/1.1 " + draw(STATUS) + b"\r\n" + lines + b"\r\n" + body + draw(NOISE)


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
    if whole is None or whole.end != len(message):
        return None
    head = whole.head
    return head.status, message[whole.start :], head.texts(["*"])


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
    for message in (nginx, uvicorn):
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
