"""Faults of the gateway's own, inside a connection: logged, and never a hung client."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from plait.gateway.http1 import Connection, HttpLimits
from plait.gateway.message import Reply, Request
from plait.gateway.refusal import Refused
from tests.unit.gateway.wires import client_of, connected, echo, listening

GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
EXPECTING = (
    b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n"
)


def broken(*_: Any) -> Any:
    raise RuntimeError("secret")


async def test_a_fault_while_reading_is_answered_logged_and_ends_the_connection(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """What screens a request that waits is called from inside the parser."""
    async with connected(echo, screen=broken) as client:
        answer = await client.ask(EXPECTING)
        assert (answer.status, answer.error_code) == (500, "internal")
        assert answer.headers["connection"] == "close"
        assert b"secret" not in answer.body
        assert await client.closed() == b""
    assert "RuntimeError: secret" in caplog.text


async def test_a_fault_while_refusing_ends_the_connection() -> None:
    async with connected(echo, refuse=broken) as client:
        client.send(b"rubbish\r\n\r\n")
        assert await ended(client) == b""


async def test_a_reply_that_cannot_be_written_ends_the_connection(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def handle(_: Request) -> Reply:
        return Reply(200, [(b"x", None)])  # type: ignore[list-item]

    async with listening(handle) as (listener, address), client_of(*address) as client:
        client.send(GET)
        assert await ended(client) == b""
        await listener.emptied()
    assert "a reply could not be sent" in caplog.text


async def test_a_handler_that_gives_up_by_itself_ends_the_connection() -> None:
    async def handle(_: Request) -> Reply:
        raise asyncio.CancelledError

    async with listening(handle) as (listener, address), client_of(*address) as client:
        client.send(GET)
        assert await ended(client) == b""
        await listener.emptied()


async def test_a_connection_that_cannot_be_ended_keeps_no_other_from_its_end(
    caplog: pytest.LogCaptureFixture,
) -> None:
    refused = 0

    def refuse_once(refusal: Refused, _: Any) -> Reply:
        nonlocal refused
        refused += 1
        if refused == 1:
            raise RuntimeError("secret")
        return refusal.as_reply()

    limits = HttpLimits(head_timeout_ms=60)
    async with listening(echo, limits, refuse=refuse_once) as (_, address):
        for expected in (b"", b"HTTP/1.1 408"):
            async with client_of(*address) as client:
                client.send(GET[:10])
                assert (await ended(client))[:12] == expected
    assert "in good order" in caplog.text


async def test_a_fault_at_the_end_of_a_connection_does_not_keep_the_listener(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with listening(echo) as (listener, address):
        async with client_of(*address) as client:
            assert (await client.ask(GET)).status == 200
            monkeypatch.setattr(Connection, "_release", broken)
        asyncio.get_running_loop().set_exception_handler(lambda *_: None)
        async with asyncio.timeout(5):
            await listener.emptied()


async def ended(client: Any) -> bytes:
    """Return what comes until the end, be that a close or a reset."""
    try:
        return bytes(await client.closed())
    except ConnectionError:
        return b""
