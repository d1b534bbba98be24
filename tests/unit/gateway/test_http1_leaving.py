"""Clients that say that they send no more: some wait for a reply, others have gone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from plait.gateway.message import Reply, Request
from tests.unit.gateway.wires import WAIT_S, client_of, connected, echo, listening

GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


class Work:
    """A handler that says when it begins, and whether it was cancelled."""

    def __init__(self) -> None:
        self.begun = asyncio.Event()
        self.done = asyncio.Event()
        self.cancelled = asyncio.Event()

    async def handle(self, _: Request) -> Reply:
        self.begun.set()
        try:
            await self.done.wait()
        except asyncio.CancelledError:
            self.cancelled.set()
            raise
        return Reply(200, [], b"done")


async def test_a_client_that_sends_no_more_gets_its_replies_and_then_the_end() -> None:
    async with connected(echo) as client:
        client.send(GET * 3)
        client.writer.write_eof()
        told = [await client.answer() for _ in range(3)]
        assert [one.status for one in told] == [200] * 3
        assert [one.headers.get("connection") for one in told] == [None, None, "close"]
        assert await client.closed() == b""


async def test_a_client_that_sends_no_more_may_wait_long_for_its_reply() -> None:
    work = Work()
    async with connected(work.handle) as client:
        client.send(GET)
        client.writer.write_eof()
        for _ in range(2):  # had it gone, the second of these would have found out
            assert (await client.answer()).status == 100
        work.done.set()
        answer = await client.answer()
        assert (answer.status, answer.body) == (200, b"done")
        assert await client.closed() == b""
    assert not work.cancelled.is_set()


async def test_a_client_that_has_gone_cancels_its_work_within_moments() -> None:
    work = Work()
    async with listening(work.handle) as (listener, address):
        async with client_of(*address) as client:
            client.send(GET * 3)
            await work.begun.wait()
        async with asyncio.timeout(WAIT_S):
            await work.cancelled.wait()
            await listener.emptied()


class Telling:
    """A handler whose reply is a stream that goes on until it is released."""

    def __init__(self, beat: bytes) -> None:
        self.beat = beat
        self.done = asyncio.Event()

    async def handle(self, _: Request) -> Reply:
        return Reply(200, [], stream=self._parts(), beat=self.beat)

    async def _parts(self) -> AsyncIterator[bytes]:
        yield b"first\n"
        await self.done.wait()
        yield b"last\n"


async def test_a_stream_s_client_that_sends_no_more_reads_nothing_but_the_stream() -> None:
    telling = Telling(b"beat\n")
    async with connected(telling.handle) as client:
        client.send(GET)
        client.writer.write_eof()
        assert (await client.until(b"first\n")).startswith(b"HTTP/1.1 200 ")
        for _ in range(2):  # had it gone, the second of these would have found out
            assert await client.until(b"\n") == b"beat\n"
        telling.done.set()
        rest = await client.closed()
        assert rest.endswith(b"last\n")
        assert rest.replace(b"beat\n", b"") == b"last\n"


async def test_a_stream_that_nothing_may_stand_in_is_not_looked_through() -> None:
    telling = Telling(b"")
    async with connected(telling.handle) as client:
        client.send(GET)
        client.writer.write_eof()
        await client.until(b"first\n")
        # By then it would have been asked.
        asyncio.get_running_loop().call_later(0.6, telling.done.set)
        assert await client.closed() == b"last\n"


async def test_a_client_of_http_1_0_that_sends_no_more_has_gone() -> None:
    """Nothing can be written to it before its reply; so there is no way to tell."""
    work = Work()
    async with connected(work.handle) as client:
        client.send(b"GET / HTTP/1.0\r\n\r\n")
        await work.begun.wait()
        client.writer.write_eof()
        assert await client.closed() == b""
    assert work.cancelled.is_set()


async def test_half_a_request_and_no_more_is_the_end() -> None:
    post = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\na"
    for data in (b"", GET[:10], post):
        async with connected(echo) as client:
            client.send(data)
            client.writer.write_eof()
            assert await client.closed() == b""


async def test_what_came_before_half_a_request_is_answered() -> None:
    async with connected(echo) as client:
        client.send(GET + GET[:10])
        client.writer.write_eof()
        assert (await client.answer()).status == 200
        assert await client.closed() == b""


async def test_draining_answers_a_client_that_sends_no_more() -> None:
    work = Work()
    async with listening(work.handle) as (listener, address), client_of(*address) as client:
        client.send(GET)
        client.writer.write_eof()
        await work.begun.wait()
        draining = asyncio.create_task(listener.drain(WAIT_S, asyncio.Event()))
        await asyncio.sleep(0)
        work.done.set()
        while (answer := await client.answer()).status == 100:
            pass
        assert answer.body == b"done"
        assert await draining == 0
