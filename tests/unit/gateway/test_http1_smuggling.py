"""Requests that two readers could read differently: one meaning, or refused and closed.

Each is followed by a request for `/admin`. Read any other way, its body or its end would be
elsewhere, and `/admin` would be answered.
"""

from __future__ import annotations

import asyncio
import json

import pytest

from plait.gateway.http1 import HttpLimits
from plait.gateway.message import Reply, Request
from tests.unit.gateway.wires import connected, echo

ADMIN = b"GET /admin HTTP/1.1\r\nHost: x\r\n\r\n"
CHUNKED = "Transfer-Encoding: chunked"


def post(body: bytes, *headers: str) -> bytes:
    told = "".join(f"{header}\r\n" for header in headers).encode("latin-1")
    return b"POST / HTTP/1.1\r\nHost: x\r\n" + told + b"\r\n" + body


def get(*lines: str, target: str = "/") -> bytes:
    told = "".join(f"{line}\r\n" for line in lines)
    return f"GET {target} HTTP/1.1\r\n{told}\r\n".encode("latin-1")


AMBIGUOUS = {
    "two lengths": post(b"", "Content-Length: 0", "Content-Length: 44"),
    "two equal lengths": post(b"", "Content-Length: 0", "Content-Length: 0"),
    "lengths in a list": post(b"", "Content-Length: 0, 0"),
    "a length with a sign": post(b"", "Content-Length: +0"),
    "a length in hexadecimal": post(b"", "Content-Length: 0x0"),
    "a length with a line": post(b"", "Content-Length: 1_0"),
    "a length of two words": post(b"", "Content-Length: 0 0"),
    "a length that is empty": post(b"", "Content-Length:"),
    "a length beyond 64 bits": post(b"", "Content-Length: 18446744073709551616"),
    "chunks and a length": post(b"0\r\n\r\n", CHUNKED, "Content-Length: 5"),
    "a length and chunks": post(b"0\r\n\r\n", "Content-Length: 5", CHUNKED),
    "chunks twice": post(b"0\r\n\r\n", CHUNKED, CHUNKED),
    "chunks of chunks": post(b"0\r\n\r\n", "Transfer-Encoding: chunked, chunked"),
    "chunks and something else": post(b"0\r\n\r\n", "Transfer-Encoding: chunked, identity"),
    "something like chunks": post(b"0\r\n\r\n", "Transfer-Encoding: xchunked"),
    "chunks after a vertical tab": post(b"0\r\n\r\n", "Transfer-Encoding: \x0bchunked"),
    "chunks in quotes": post(b"0\r\n\r\n", 'Transfer-Encoding: "chunked"'),
    "no coding at all": post(b"0\r\n\r\n", "Transfer-Encoding:"),
    "a blank before the colon": post(b"0\r\n\r\n", "Transfer-Encoding : chunked"),
    "a folded line": get("Host: x", "A: b", " c"),
    "a folded coding": post(b"0\r\n\r\n", "Transfer-Encoding:", " chunked"),
    "a folded first line": get(" Host: x", "Host: x"),
    "line feeds alone": b"GET / HTTP/1.1\nHost: x\n\n",
    "a line feed alone among others": b"GET / HTTP/1.1\r\nHost: x\nA: b\r\n\r\n",
    "a head that ends with a line feed": b"GET / HTTP/1.1\r\nHost: x\r\n\n",
    "a carriage return alone": b"GET / HTTP/1.1\r\nHost: x\rA: b\r\n\r\n",
    "a NUL in a value": get("Host: x", "A: b\0c"),
    "a NUL in a name": get("Host: x", "A\0: b"),
    "a header without a name": get("Host: x", ": b"),
    "a header without a colon": get("Host: x", "A"),
    "a chunk size beyond 64 bits": post(b"10000000000000000\r\n", CHUNKED),
    "a chunk size of 0x": post(b"0x5\r\nabcde\r\n0\r\n\r\n", CHUNKED),
    "a chunk size with a sign": post(b"-5\r\nabcde\r\n0\r\n\r\n", CHUNKED),
    "a chunk size after a blank": post(b" 5\r\nabcde\r\n0\r\n\r\n", CHUNKED),
    "no chunk size": post(b"\r\nabcde\r\n0\r\n\r\n", CHUNKED),
    "a chunk longer than it says": post(b"2\r\nabcde\r\n0\r\n\r\n", CHUNKED),
    "a chunk that ends with a line feed": post(b"5\nabcde\n0\n\n", CHUNKED),
    "an extension that ends with a line feed": post(b"0;a\n\r\n", CHUNKED),
    "a carriage return in an extension": post(b"0;a\rb\r\n\r\n", CHUNKED),
    "no host": get(),
    "two hosts": get("Host: a", "Host: b"),
    "two equal hosts": get("Host: a", "Host: a"),
    "hosts in a list": get("Host: a, b"),
    "a host with a path": get("Host: a/b"),
    "a host with a user": get("Host: a@b"),
    "a host with a blank": get("Host: a b"),
    "a target with a user": get("Host: x", target="http://a@b/"),
    "a target with a blank": get("Host: x", target="/a b"),
    "a target that is no path": get("Host: x", target="a"),
    "a version of two digits": b"GET / HTTP/1.10\r\nHost: x\r\n\r\n",
    "a version of its own": b"GET / HTTP/2.0\r\nHost: x\r\n\r\n",
}


@pytest.mark.parametrize("what", AMBIGUOUS)
async def test_it_is_refused_and_nothing_after_it_is_read(what: str) -> None:
    paths: list[str] = []

    async def handle(request: Request) -> Reply:
        paths.append(request.path)
        return Reply(400) if request.path == "a" else Reply(200)

    async with connected(handle) as client:
        answer = await client.ask(AMBIGUOUS[what] + ADMIN)
        rest = await client.closed() if answer.headers.get("connection") else b""
    assert (answer.status, rest) == (400, b"")
    assert paths == []


async def test_chunk_extensions_mean_nothing() -> None:
    body = b'1;a=b;c="d"\r\nx\r\n0;e\r\n\r\n'
    async with connected(echo) as client:
        client.send(post(body, CHUNKED) + ADMIN)
        told = [json.loads((await client.answer()).body) for _ in range(2)]
    assert [(one["path"], one["body"]) for one in told] == [("/", "x"), ("/admin", "")]


async def test_a_chunk_extension_without_end_is_refused() -> None:
    limits = HttpLimits(head_bytes_max=200, body_bytes_max=100)
    async with connected(echo, limits) as client:
        client.send(post(b"1;", CHUNKED))
        for _ in range(20):
            client.send(b"a" * 100)
            await client.writer.drain()
            await asyncio.sleep(0)
        assert (await client.answer()).status == 413
        assert await client.closed() == b""


async def test_a_huge_chunk_is_refused_at_its_first_byte_too_many() -> None:
    async with connected(echo, HttpLimits(body_bytes_max=100)) as client:
        client.send(post(b"ffffffffffffffff\r\n", CHUNKED) + b"a" * 101)
        assert (await client.answer()).status == 413
        assert await client.closed() == b""


async def test_a_trailer_cannot_set_what_was_not_in_the_head() -> None:
    async with connected(echo) as client:
        client.send(post(b"0\r\nHost: y\r\nX-User: root\r\n\r\n", CHUNKED) + ADMIN)
        told = [json.loads((await client.answer()).body) for _ in range(2)]
    assert told[0]["headers"] == {"host": "x", "transfer-encoding": "chunked"}
    assert told[1]["path"] == "/admin"


@pytest.mark.parametrize("trailer", [b"Content-Length: 44", b"Transfer-Encoding: gzip"])
async def test_a_trailer_that_would_frame_the_body_is_refused(trailer: bytes) -> None:
    async with connected(echo) as client:
        client.send(post(b"0\r\n" + trailer + b"\r\n\r\n", CHUNKED) + ADMIN)
        assert (await client.answer()).status == 400
        assert await client.closed() == b""


async def test_the_host_of_a_whole_url_counts_and_not_the_header() -> None:
    async with connected(echo) as client:
        told = json.loads((await client.ask(get("Host: evil", target="http://a:1/b"))).body)
        assert (told["path"], told["headers"]["host"]) == ("/b", "a:1")
        told = json.loads((await client.ask(get("Host: evil", target="http://a?b=c"))).body)
        assert (told["path"], told["query"], told["headers"]["host"]) == ("/", "b=c", "a")


async def test_as_many_headers_as_fit_are_read_in_a_moment() -> None:
    """5,000 in 30 KB, equal and unequal ones; the bytes are the limit."""
    async with connected(echo) as client:
        told = json.loads((await client.ask(get("Host: x", *["a: b"] * 3_700))).body)
        assert told["headers"]["a"] == ", ".join("b" * 3_700)
        unequal = [f"{n:x}:" for n in range(3_000)]
        assert (await client.ask(get("Host: x", *unequal))).status == 200
        assert (await client.ask(get("Host: x", *["a:"] * 7_000))).status == 431


async def test_get_may_have_a_body_and_it_is_no_request() -> None:
    data = get("Host: x", f"Content-Length: {len(ADMIN)}") + ADMIN + ADMIN
    async with connected(echo) as client:
        client.send(data)
        told = [json.loads((await client.answer()).body) for _ in range(2)]
    assert [one["path"] for one in told] == ["/", "/admin"]
    assert told[0]["body"] == ADMIN.decode()


async def test_empty_lines_before_a_request_are_passed_over() -> None:
    async with connected(echo) as client:
        assert (await client.ask(b"\r\n\r\n" + ADMIN)).status == 200
        assert (await client.ask(b"\r\n" + ADMIN)).status == 200
