"""The listener's end: nothing that was accepted is lost, and it does end."""

from __future__ import annotations

import asyncio
import itertools
import socket

import pytest

from plait.gateway.listener import url_of
from plait.gateway.message import Reply, Request
from tests.unit.gateway.wires import WAIT_S, client_of, echo, listening

GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


class Gate:
    """A handler that answers once it is opened."""

    def __init__(self) -> None:
        self.begun = asyncio.Event()
        self.opened = asyncio.Event()

    async def handle(self, _: Request) -> Reply:
        self.begun.set()
        await self.opened.wait()
        return Reply(200, [], b"done")


async def accepted_until_refused(address: tuple[str, int]) -> int:
    """Connect until it is refused; return how many connections were taken in."""
    for count in itertools.count():
        try:
            _, writer = await asyncio.open_connection(*address)
        except ConnectionRefusedError:
            return count
        writer.close()
    raise AssertionError


async def test_who_connected_before_the_socket_was_closed_is_answered() -> None:
    async with listening(echo) as (listener, address):
        insist = asyncio.Event()
        insist.set()
        early = socket.create_connection(address)
        early.sendall(GET)
        draining = asyncio.create_task(listener.drain(WAIT_S, insist))
        answer = await asyncio.to_thread(early.recv, 65_536)
        early.close()
        assert answer.startswith(b"HTTP/1.1 200 ")
        await draining


@pytest.mark.parametrize("turns", range(16))
async def test_who_is_let_in_while_the_socket_closes_is_answered(turns: int) -> None:
    """At whatever turn of the loop the connection and its request arrive."""
    async with listening(echo) as (listener, address):
        insist = asyncio.Event()
        insist.set()
        draining = asyncio.create_task(listener.drain(WAIT_S, insist))
        for _ in range(turns):
            await asyncio.sleep(0)
        with socket.socket() as early:
            early.setblocking(False)
            early.connect_ex(address)
            try:
                # Without giving the loop a turn: who is let in is connected by now.
                early.send(GET)
            except (BlockingIOError, ConnectionRefusedError):
                assert turns > 0
            else:
                early.settimeout(WAIT_S)
                answer = await asyncio.to_thread(early.recv, 65_536)
                assert answer[:12] == b"HTTP/1.1 200"
        await draining


async def test_draining_answers_what_is_under_way_and_closes() -> None:
    gate = Gate()
    async with (
        listening(gate.handle) as (listener, address),
        client_of(*address) as client,
    ):
        client.send(GET)
        await gate.begun.wait()
        draining = asyncio.create_task(listener.drain(WAIT_S, asyncio.Event()))
        assert await accepted_until_refused(address) > 0
        gate.opened.set()
        answer = await client.answer()
        assert (answer.status, answer.headers["connection"]) == (200, "close")
        assert await draining == 0


async def test_draining_answers_what_waits_in_line_too() -> None:
    gate = Gate()
    async with (
        listening(gate.handle) as (listener, address),
        client_of(*address) as client,
    ):
        client.send(GET * 3)
        await gate.begun.wait()
        draining = asyncio.create_task(listener.drain(WAIT_S, asyncio.Event()))
        await asyncio.sleep(0)
        gate.opened.set()
        told = [(await client.answer()).headers.get("connection") for _ in range(3)]
        assert told == [None, None, "close"]
        assert await draining == 0


async def test_draining_answers_a_request_that_was_half_there() -> None:
    async with listening(echo) as (listener, address), client_of(*address) as client:
        await client.ask(GET)
        client.send(GET[:10])
        await client.writer.drain()
        draining = asyncio.create_task(listener.drain(WAIT_S, asyncio.Event()))
        await asyncio.sleep(0)
        assert (await client.ask(GET[10:])).status == 200
        assert await draining == 0


async def test_draining_answers_what_comes_on_an_idle_connection_at_that_moment() -> None:
    async with listening(echo) as (listener, address), client_of(*address) as client:
        await client.ask(GET)
        draining = asyncio.create_task(listener.drain(WAIT_S, asyncio.Event()))
        await asyncio.sleep(0)
        assert (await client.ask(GET)).headers["connection"] == "close"
        assert await draining == 0


async def test_draining_closes_idle_connections_soon() -> None:
    async with listening(echo) as (listener, address), client_of(*address) as client:
        await client.ask(GET)
        async with asyncio.timeout(WAIT_S / 2):
            assert await listener.drain(WAIT_S, asyncio.Event()) == 0
        assert await client.closed() == b""


async def test_what_takes_longer_than_the_drain_is_cut_off_and_counted() -> None:
    gate = Gate()
    async with (
        listening(gate.handle) as (listener, address),
        client_of(*address) as client,
    ):
        client.send(GET)
        await gate.begun.wait()
        assert await listener.drain(0.01, asyncio.Event()) == 1


async def test_whoever_insists_does_not_wait() -> None:
    gate, insist = Gate(), asyncio.Event()
    async with (
        listening(gate.handle) as (listener, address),
        client_of(*address) as client,
    ):
        client.send(GET)
        await gate.begun.wait()
        draining = asyncio.create_task(listener.drain(WAIT_S * 100, insist))
        insist.set()
        async with asyncio.timeout(WAIT_S):
            assert await draining == 1


async def test_a_taken_address_is_an_os_error() -> None:
    async with listening(echo) as (_, address):
        with pytest.raises(OSError, match="in use"):
            async with listening(echo) as (second, _):
                await second.listen(*address)


def test_an_address_of_version_six_stands_in_brackets() -> None:
    assert url_of("::", 80) == "http://[::]:80"
    assert url_of("localhost", 80) == "http://localhost:80"
