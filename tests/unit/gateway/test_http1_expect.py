"""`Expect: 100-continue` over real sockets: who is told to go on, and who is not."""

from __future__ import annotations

import json

import pytest

from plait.gateway.http1 import HttpLimits
from plait.gateway.message import Request
from plait.gateway.refusal import NotFound, Refused
from tests.unit.gateway.wires import connected, echo

GET = b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n"


def waiting(path: str = "/", length: int = 2, version: str = "1.1") -> bytes:
    """Return the head of a request whose body is held back."""
    return (
        f"POST {path} HTTP/{version}\r\nHost: x\r\nContent-Length: {length}\r\n"
        "Expect: 100-Continue\r\n\r\n"
    ).encode()


def screen(request: Request) -> Refused | None:
    """Refuse all but one path."""
    return None if request.path == "/" else NotFound("nothing is here")


async def test_behind_another_request_it_is_told_to_go_on_when_its_turn_comes() -> None:
    async with connected(echo) as client:
        client.send(GET + waiting())
        assert json.loads((await client.answer()).body)["path"] == "/a"
        assert (await client.answer()).status == 100
        assert json.loads((await client.ask(b"ok")).body)["body"] == "ok"
        assert (await client.ask(GET)).status == 200


async def test_what_will_be_refused_is_refused_before_its_body_is_sent() -> None:
    async with connected(echo, screen=screen) as client:
        answer = await client.ask(waiting("/nothing"))
        assert (answer.status, answer.headers["connection"]) == (404, "close")
        assert await client.closed() == b""


async def test_behind_another_request_it_is_refused_when_its_turn_comes() -> None:
    async with connected(echo, screen=screen) as client:
        client.send(GET + waiting("/nothing"))
        assert [(await client.answer()).status for _ in range(2)] == [200, 404]
        assert await client.closed() == b""


async def test_a_body_that_came_all_the_same_is_no_request() -> None:
    """A refused client may have sent its body already; none of it is read as HTTP."""
    async with connected(echo, screen=screen) as client:
        client.send(waiting("/nothing", len(GET)) + GET + GET)
        assert (await client.answer()).status == 404
        assert await client.closed() == b""


async def test_a_body_that_is_too_large_is_refused_before_it_is_sent() -> None:
    async with connected(echo, HttpLimits(body_bytes_max=10)) as client:
        assert (await client.ask(waiting(length=11))).status == 413
        assert await client.closed() == b""


@pytest.mark.parametrize("more", [b"", b"ok"])
async def test_a_client_of_http_1_0_is_told_nothing(more: bytes) -> None:
    async with connected(echo, HttpLimits(body_timeout_ms=60)) as client:
        answer = await client.ask(waiting(version="1.0") + more)
        assert answer.status == (200 if more else 408)
