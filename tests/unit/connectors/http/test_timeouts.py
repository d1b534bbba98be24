"""Deadlines end a call in every phase, and free what it held."""

from __future__ import annotations

import asyncio

import pytest

from plait.model.errors import Advice
from plait.testing.upstream import Peer
from plait.testing.upstream_scripts import (
    after,
    chunked,
    drip,
    endless,
    head,
    raw_then_hang,
    reply,
)
from tests.unit.connectors.scenes import http, on_both_loops

SHORT = {"timeout_ms": 60}
CHUNKED = head(200, {"Transfer-Encoding": "chunked"})

SLOW = {
    "no head": (raw_then_hang(), "wait"),
    "half a head": (raw_then_hang(b"HTTP/1.1 200 OK\r\n"), "receive"),
    "no body": (raw_then_hang(head(200, {"Content-Length": "5"})), "receive"),
    "half a body": (raw_then_hang(head(200, {"Content-Length": "5"}), b"he"), "receive"),
    "half a chunk": (raw_then_hang(CHUNKED + b"5\r\nhe"), "receive"),
    "no end": (raw_then_hang(head(200), b"hello"), "receive"),
    "only informational": (raw_then_hang(b"HTTP/1.1 102 Wait\r\n\r\n"), "receive"),
    "drips its head": (drip(head(200), interval_s=0.01), "receive"),
    "drips its body": (drip(CHUNKED + chunked(b"x" * 500), interval_s=0.01), "receive"),
    "never ends": (endless(CHUNKED, b"1\r\nx\r\n" * 100), "receive"),
}


@pytest.mark.parametrize("name", list(SLOW))
@on_both_loops
async def test_the_deadline_ends_the_call_and_closes_the_connection(name: str) -> None:
    script, phase = SLOW[name]
    async with http(script) as scene:
        failure = await scene.failure(call=SHORT)
        assert (failure.code, failure.classes) == ("connector.timeout", ("timeout",))
        assert failure.details == {"host": "127.0.0.1", "phase": phase}
        assert (failure.advice, failure.sent) == (Advice.RETRY, True)
        assert "60ms" in failure.message
        await scene.upstream.until_open(0)


@on_both_loops
async def test_a_reply_in_time_is_taken_and_the_next_deadline_is_its_own() -> None:
    go = asyncio.Event()
    async with http(after(go, reply(json=1))) as scene:
        first = asyncio.ensure_future(scene.reply(call={"timeout_ms": 5_000}))
        await scene.upstream.until_requests(1)
        go.set()
        assert (await first).response == 1
        go.clear()
        assert (await scene.failure(call=SHORT)).code == "connector.timeout"


@on_both_loops
async def test_calls_end_in_the_order_of_their_deadlines() -> None:
    ended: list[int] = []
    async with http(raw_then_hang()) as scene:

        async def fail_after(timeout_ms: int) -> None:
            await scene.failure(call={"timeout_ms": timeout_ms})
            ended.append(timeout_ms)

        await asyncio.gather(*(fail_after(ms) for ms in (90, 30, 150, 60, 120)))
        assert ended == [30, 60, 90, 120, 150]


@on_both_loops
async def test_a_tls_handshake_that_hangs_counts_as_connecting() -> None:
    async def say_nothing(peer: Peer) -> None:
        await peer.gone()

    async with http(greeting=say_nothing) as scene:
        url = scene.upstream.url().replace("http://", "https://")
        failure = await scene.failure(url=url, call=SHORT)
        assert (failure.code, failure.sent) == ("connector.timeout", False)
        assert failure.details == {"host": "127.0.0.1", "phase": "connect"}
        await scene.upstream.until_open(0)


@on_both_loops
async def test_connecting_has_a_limit_of_its_own() -> None:
    async def say_nothing(peer: Peer) -> None:
        await peer.gone()

    async with http(greeting=say_nothing, connect_timeout_ms=60) as scene:
        url = scene.upstream.url().replace("http://", "https://")
        failure = await scene.failure(url=url)
        assert (failure.code, failure.classes) == ("connector.connect", ("connect",))
        assert "did not answer in time" in failure.message
        await scene.upstream.until_open(0)
