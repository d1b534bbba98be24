"""HTTP/1.1 over real sockets: what is read, what is refused, what is closed when."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from plait.gateway.http1 import HttpLimits
from plait.gateway.message import Reply, Request
from tests.unit.gateway.wires import WAIT_S, client_of, connected, echo, listening

GET = b"GET /a?b=c HTTP/1.1\r\nHost: x\r\n\r\n"
SMALL = HttpLimits(head_bytes_max=200, body_bytes_max=100)
SHORT = HttpLimits(
    head_timeout_ms=60, body_timeout_ms=60, idle_timeout_ms=60, write_timeout_ms=60
)


def post(body: bytes, *headers: str) -> bytes:
    told = "".join(f"{header}\r\n" for header in headers).encode()
    return b"POST / HTTP/1.1\r\nHost: x\r\n" + told + b"\r\n" + body


async def test_a_request_arrives_as_it_was_sent() -> None:
    data = post(b"hello", "Content-Length: 5", "X-A: 1", "x-a: 2", "Cookie: a", "cookie: b")
    async with connected(echo) as client:
        told = json.loads((await client.ask(data)).body)
    assert (told["method"], told["path"], told["body"]) == ("POST", "/", "hello")
    assert told["headers"]["x-a"] == "1, 2"
    assert told["headers"]["cookie"] == "a; b"


async def test_a_request_may_come_byte_by_byte() -> None:
    async with connected(echo) as client:
        for index in range(len(GET)):
            client.send(GET[index : index + 1])
            await client.writer.drain()
        told = json.loads((await client.answer()).body)
    assert (told["path"], told["query"]) == ("/a", "b=c")


async def test_a_request_says_from_which_address_it_came() -> None:
    seen: list[str] = []

    async def handle(request: Request) -> Reply:
        seen.append(request.peer)
        return Reply(204)

    async with connected(handle) as client:
        await client.ask(GET)
        await client.ask(GET)
    assert seen == ["127.0.0.1", "127.0.0.1"]


async def test_requests_in_one_packet_are_answered_in_order() -> None:
    async with connected(echo) as client:
        client.send(b"".join(GET.replace(b"/a", b"/%d" % n) for n in range(40)))
        paths = [json.loads((await client.answer()).body)["path"] for _ in range(40)]
    assert paths == [f"/{n}" for n in range(40)]


async def test_a_later_request_is_not_begun_before_the_earlier_is_answered() -> None:
    seen: list[str] = []
    release = asyncio.Event()

    async def handle(request: Request) -> Reply:
        seen.append(request.path)
        await release.wait()
        return Reply(204)

    async with connected(handle) as client:
        client.send(GET + GET)
        while not seen:
            await asyncio.sleep(0)
        assert seen == ["/a"]
        release.set()
        assert [(await client.answer()).status for _ in range(2)] == [204, 204]


async def test_a_chunked_body_is_put_together_and_its_trailers_are_ignored() -> None:
    body = b"3;x=y\r\nabc\r\n2\r\nde\r\n0\r\nHost: evil\r\nX-T: 1\r\n\r\n"
    async with connected(echo) as client:
        told = json.loads((await client.ask(post(body, "Transfer-Encoding: chunked"))).body)
        assert told["body"] == "abcde"
        assert told["headers"] == {"host": "x", "transfer-encoding": "chunked"}
        assert (await client.ask(GET)).status == 200


async def test_the_reply_to_head_has_a_length_and_no_body() -> None:
    async with connected(echo) as client:
        answer = await client.ask(GET.replace(b"GET", b"HEAD"), "HEAD")
        assert int(answer.headers["content-length"]) > 0
        assert (await client.ask(GET)).status == 200


async def test_a_reply_without_body_has_no_length() -> None:
    async def nothing(_: Request) -> Reply:
        return Reply(204)

    async with connected(nothing) as client:
        assert "content-length" not in (await client.ask(GET)).headers


async def test_connection_close_and_http_1_0_end_the_connection() -> None:
    for data in (
        GET[:-2] + b"Connection: close\r\n\r\n",
        b"GET / HTTP/1.0\r\n\r\n",
        b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
    ):
        async with connected(echo) as client:
            answer = await client.ask(data)
            assert answer.headers["connection"] == "close"
            assert await client.closed() == b""


async def test_a_client_that_waits_for_it_is_told_to_go_on() -> None:
    async with connected(echo) as client:
        client.send(post(b"", "Content-Length: 2", "Expect: 100-continue"))
        assert (await client.answer()).status == 100
        assert json.loads((await client.ask(b"ok")).body)["body"] == "ok"


async def test_the_target_may_be_a_whole_url_or_an_asterisk() -> None:
    async with connected(echo) as client:
        data = GET.replace(b"/a?", b"http://other:80/z?")
        assert json.loads((await client.ask(data)).body)["path"] == "/z"
        data = b"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n"
        assert json.loads((await client.ask(data)).body)["path"] == "*"


UPGRADE = ("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMA")
CHUNKS = b"3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n"


@pytest.mark.parametrize("is_cut_up", [False, True])
@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b"hello", ["Content-Length: 5"]),
        (CHUNKS, ["Transfer-Encoding: chunked"]),
        (b"", []),
        (b"", ["Content-Length: 0"]),
    ],
)
async def test_an_upgrade_is_not_made_and_all_that_follows_is_read(
    body: bytes, told: list[str], *, is_cut_up: bool
) -> None:
    """As `curl --http2` and Java's client ask on every new connection."""
    data = 2 * post(body, *UPGRADE, *told) + GET
    async with connected(echo) as client:
        step = 1 if is_cut_up else len(data)
        for index in range(0, len(data), step):
            client.send(data[index : index + step])
            await client.writer.drain()
        answers = [json.loads((await client.answer()).body) for _ in range(3)]
    assert [answer["body"] for answer in answers] == [*2 * ["hello" if body else ""], ""]
    assert [answer["path"] for answer in answers] == ["/", "/", "/a"]
    assert answers[0]["headers"]["upgrade"] == "h2c"


async def test_a_body_behind_an_upgrade_has_the_same_limits() -> None:
    async with connected(echo, limits=SMALL) as client:
        data = post(
            b"x" * 101, "Connection: Upgrade", "Upgrade: h2c", "Content-Length: 101"
        )
        assert (await client.ask(data)).status == 413


async def test_another_protocol_behind_an_upgrade_is_no_request() -> None:
    asks = b"Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
    async with connected(echo) as client:
        assert (await client.ask(GET[:-2] + asks + b"\x81\x05hello")).status == 200
        assert (await client.answer()).status == 400
        assert await client.closed() == b""


async def test_an_upgrade_that_says_close_is_the_last_request() -> None:
    told = ("Connection: Upgrade, close", "Upgrade: h2c", "Content-Length: 5")
    async with connected(echo) as client:
        answer = await client.ask(post(b"hello", *told) + GET)
        assert json.loads(answer.body)["body"] == "hello"
        assert await client.closed() == b""


async def test_a_tunnel_is_not_made_and_what_follows_not_read() -> None:
    async with connected(echo) as client:
        data = b"CONNECT a:1 HTTP/1.1\r\nHost: x\r\n\r\nrubbish"
        assert (await client.ask(data)).status == 200
        assert await client.closed() == b""


@pytest.mark.parametrize(
    "data",
    [
        b"rubbish\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01",
        b"GET /\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nA: b\r\n c\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nA : b\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nA: b\x00c\r\n\r\n",
        b"GET / HTTP/1.1\nHost: x\n\n",
        post(b"ab", "Content-Length: 2", "Content-Length: 2"),
        post(b"ab", "Content-Length: 2", "Content-Length: 3"),
        post(b"ab", "Content-Length: -2"),
        post(b"ab", "Content-Length: 2, 2"),
        post(b"ab", "Content-Length: 99999999999999999999999"),
        post(b"0\r\n\r\n", "Content-Length: 5", "Transfer-Encoding: chunked"),
        post(b"0\r\n\r\n", "Transfer-Encoding: chunked", "Content-Length: 5"),
        post(b"0\r\n\r\n", "Transfer-Encoding: gzip, chunked"),
        post(b"0\r\n\r\n", "Transfer-Encoding: identity"),
        post(b"0\r\n\r\n", "Transfer-Encoding: chunked", "Transfer-Encoding: chunked"),
        post(b"zz\r\n\r\n", "Transfer-Encoding: chunked"),
        post(b"1\nx\n0\n\n", "Transfer-Encoding: chunked"),
        b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ],
)
async def test_what_is_not_plainly_one_request_is_refused_and_closed(data: bytes) -> None:
    async with connected(echo) as client:
        answer = await client.ask(data)
        assert (answer.status, answer.error_code) == (400, "request.malformed")
        assert answer.headers["connection"] == "close"
        assert await client.closed() == b""


def head_of(size_bytes: int) -> bytes:
    begin, end = b"GET / HTTP/1.1\r\nHost: x\r\nA: ", b"\r\n\r\n"
    return begin + b"a" * (size_bytes - len(begin) - len(end)) + end


async def test_a_head_is_read_to_the_limit_and_no_further() -> None:
    async with connected(echo, SMALL) as client:
        assert (await client.ask(head_of(200))).status == 200
        answer = await client.ask(head_of(201))
        assert (answer.status, answer.error_code) == (431, "request.headers_too_large")
        assert await client.closed() == b""


@pytest.mark.parametrize(
    ("begin", "more"),
    [
        (b"GET /", b"a" * 50),
        (b"GET / HTTP/1.1\r\nA: ", b"a" * 50),
        (b"GET / HTTP/1.1\r\n", b"A: b\r\n" * 9),
    ],
)
async def test_a_head_without_end_is_refused(begin: bytes, more: bytes) -> None:
    async with connected(echo, SMALL) as client:
        client.send(begin)
        for _ in range(9):
            client.send(more)
            await client.writer.drain()
            await asyncio.sleep(0)
        assert (await client.answer()).status == 431


async def test_trailers_without_end_are_refused() -> None:
    async with connected(echo, SMALL) as client:
        client.send(post(b"0\r\n", "Transfer-Encoding: chunked") + b"A: b\r\n" * 100)
        assert (await client.answer()).status == 431


async def test_a_body_is_read_to_the_limit_and_no_further() -> None:
    async with connected(echo, SMALL) as client:
        assert (await client.ask(post(b"a" * 100, "Content-Length: 100"))).status == 200
        answer = await client.ask(post(b"", "Content-Length: 101"))
        assert (answer.status, answer.error_code) == (413, "request.too_large")
        assert await client.closed() == b""


async def test_a_chunked_body_is_read_to_the_limit_and_no_further() -> None:
    chunked = "Transfer-Encoding: chunked"
    async with connected(echo, SMALL) as client:
        body = b"32\r\n" + b"a" * 50 + b"\r\n"
        assert (await client.ask(post(body * 2 + b"0\r\n\r\n", chunked))).status == 200
        assert (await client.ask(post(body * 2 + b"1\r\na", chunked))).status == 413


async def test_a_client_that_is_refused_while_it_sends_still_reads_why() -> None:
    async with connected(echo) as client:
        client.send(post(b"", "Content-Length: 20000000"))
        for _ in range(100):
            client.send(b"a" * 50_000)
        assert (await client.answer()).status == 413


async def test_bodies_of_all_connections_share_a_limit() -> None:
    limits = HttpLimits(held_bytes_max=150)
    async with connected(echo, limits) as client:
        answer = await client.ask(post(b"a" * 151, "Content-Length: 151"))
        assert (answer.status, answer.headers["retry-after"]) == (503, "1")
    async with connected(echo, limits) as client:
        for _ in range(3):
            assert (await client.ask(post(b"a" * 100, "Content-Length: 100"))).status == 200


async def test_bodies_that_wait_in_line_are_each_within_the_limit() -> None:
    data = post(b"a" * 60, "Content-Length: 60")
    async with connected(echo, SMALL) as client:
        client.send(data * 3)
        assert [(await client.answer()).status for _ in range(3)] == [200] * 3


async def test_a_head_that_comes_too_slowly_is_given_up() -> None:
    async with connected(echo, SHORT) as client:
        answer = await client.ask(GET[:20])
        assert (answer.status, answer.error_code) == (408, "request.incomplete")
        assert await client.closed() == b""


async def test_a_body_that_comes_too_slowly_is_given_up() -> None:
    async with connected(echo, SHORT) as client:
        assert (await client.ask(post(b"a", "Content-Length: 2"))).status == 408


@pytest.mark.parametrize("first", [b"", GET])
async def test_a_silent_connection_is_closed(first: bytes) -> None:
    async with connected(echo, SHORT) as client:
        if first:
            assert (await client.ask(first)).status == 200
        assert await client.closed() == b""


async def test_a_client_that_does_not_take_its_reply_is_cut_off() -> None:
    asked = asyncio.Event()

    async def much(_: Request) -> Reply:
        asked.set()
        return Reply(200, [], b"a" * 30_000_000)

    async with (
        listening(much, SHORT) as (listener, address),
        client_of(*address) as client,
    ):
        transport: Any = client.writer.transport
        transport.pause_reading()
        client.send(GET)
        async with asyncio.timeout(WAIT_S):
            await asked.wait()
            await listener.emptied()


async def test_a_client_that_leaves_cancels_what_is_done_for_it() -> None:
    begun, cancelled = asyncio.Event(), asyncio.Event()

    async def handle(_: Request) -> Reply:
        begun.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.set()
            raise
        raise AssertionError("nobody sets that event")

    async with connected(handle) as client:
        client.send(GET)
        await begun.wait()
        await client.close()
        async with asyncio.timeout(5):
            await cancelled.wait()


async def test_a_handler_that_raises_is_answered_with_500(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def broken(_: Request) -> Reply:
        raise RuntimeError("secret")

    async with connected(broken) as client:
        answer = await client.ask(GET)
        assert (answer.status, answer.error_code) == (500, "internal")
        assert b"secret" not in answer.body
        assert (await client.ask(GET)).status == 500
    assert "secret" in caplog.text
