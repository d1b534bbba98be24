"""One connection without a socket: what it tells its transport, and when."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest

from plait.gateway.http1 import Connection, Handle, Refuse, Screen
from plait.gateway.incoming import Held, HttpLimits
from plait.gateway.message import Reply, Request

GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello"


class FakeTransport:
    """Notes what it is told."""

    def __init__(self) -> None:
        self.written = b""
        self.said: list[str] = []

    def write(self, data: bytes) -> None:
        self.written += data

    def can_write_eof(self) -> bool:
        return True

    def is_closing(self) -> bool:
        return "close" in self.said

    def get_extra_info(self, name: str) -> Any:
        return {"peername": ("127.0.0.1", 40_000)}.get(name)

    def __getattr__(self, name: str) -> Any:
        return lambda: self.said.append(name)

    @property
    def reply_count(self) -> int:
        return self.written.count(b"HTTP/1.1 ")


class FakeHost:
    """Answers each request when it is let."""

    def __init__(self) -> None:
        self.limits = HttpLimits()
        self.loop = asyncio.get_running_loop()
        self.held = Held()
        self.is_draining = False
        self.admit: Screen | None = None
        self.begun = 0
        self.gate = asyncio.Event()
        self.handle: Handle = self._handle
        self.screen: Screen = lambda _: None
        self.refuse: Refuse = lambda refused, _: refused.as_reply()

    async def _handle(self, _: Request) -> Reply:
        self.begun += 1
        await self.gate.wait()
        return Reply(200)

    def opened(self, connection: Connection) -> None:
        del connection

    def lost(self, connection: Connection) -> None:
        del connection

    def date(self) -> bytes:
        return b"now"


class Wire:
    """A connection between the two."""

    def __init__(self) -> None:
        self.host = FakeHost()
        self.transport = FakeTransport()
        self.connection = Connection(self.host)
        self.connection.connection_made(cast("asyncio.BaseTransport", self.transport))

    async def turns(self, count: int = 10) -> None:
        """Let the loop turn."""
        for _ in range(count):
            await asyncio.sleep(0)


@pytest.fixture
async def wire() -> Wire:
    return Wire()


async def test_too_many_requests_in_line_stop_the_reading_until_one_is_answered(
    wire: Wire,
) -> None:
    wire.connection.data_received(GET * 30)
    assert wire.transport.said == ["pause_reading"]
    wire.host.gate.set()
    await wire.turns(200)
    assert wire.transport.reply_count == 30
    assert wire.transport.said == ["pause_reading", "resume_reading"]


async def test_a_client_that_does_not_read_is_not_worked_for(wire: Wire) -> None:
    wire.host.gate.set()
    wire.connection.pause_writing()
    wire.connection.data_received(GET * 2)
    await wire.turns()
    assert wire.host.begun == 0
    wire.connection.resume_writing()
    await wire.turns()
    assert wire.transport.reply_count == 2


async def test_a_refusal_ends_what_is_sent_and_takes_in_what_still_comes(
    wire: Wire,
) -> None:
    wire.connection.data_received(b"rubbish\r\n\r\n")
    assert wire.transport.written.startswith(b"HTTP/1.1 400 ")
    assert wire.transport.said == ["write_eof"]
    wire.connection.data_received(GET)
    await wire.turns()
    assert wire.host.begun == 0
    wire.connection.time_out()
    assert wire.transport.said == ["write_eof", "abort"]


async def test_a_refusal_waits_for_its_turn(wire: Wire) -> None:
    wire.connection.data_received(GET + b"rubbish\r\n\r\n")
    assert wire.transport.written == b""
    wire.host.gate.set()
    await wire.turns()
    assert wire.transport.written.index(b"200") < wire.transport.written.index(b"400")


async def test_a_client_that_waits_in_line_is_not_told_to_go_on_out_of_turn(
    wire: Wire,
) -> None:
    waiting = (
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n"
    )
    wire.connection.data_received(GET + waiting)
    assert b"100" not in wire.transport.written
    wire.host.gate.set()
    await wire.turns()
    assert wire.transport.written.endswith(b"\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n")
    wire.connection.data_received(b"hello")
    await wire.turns()
    assert wire.transport.written.count(b"HTTP/1.1 200 ") == 2


async def test_a_client_whose_body_comes_before_its_turn_is_told_nothing(
    wire: Wire,
) -> None:
    waiting = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nExpect: 100-continue\r\n"
    wire.connection.data_received(GET + waiting + b"\r\nhel")
    wire.host.gate.set()
    await wire.turns()
    assert wire.transport.reply_count == 1
    assert b" 100 " not in wire.transport.written


@pytest.mark.parametrize("data", [POST, POST * 3, POST + POST[:-2], POST[:-2]])
async def test_what_bodies_hold_is_given_back(wire: Wire, data: bytes) -> None:
    wire.connection.data_received(data)
    assert wire.host.held.byte_count == data.count(b"hel") * 5 - 2 * data.endswith(b"hel")
    wire.host.gate.set()
    await wire.turns(50)
    wire.connection.connection_lost(None)
    assert wire.host.held.byte_count == 0


async def test_what_bodies_hold_is_given_back_when_the_client_leaves(wire: Wire) -> None:
    wire.connection.data_received(POST * 3)
    await wire.turns()
    wire.connection.connection_lost(None)
    await wire.turns()
    assert wire.host.held.byte_count == 0


async def test_waiting_ends_at_some_time_except_for_the_gateway_s_own_work(
    wire: Wire,
) -> None:
    now_s, connection = wire.host.loop.time(), wire.connection
    limits = wire.host.limits

    def left_ms() -> int:
        return round(connection.due_s - now_s) * 1000

    assert left_ms() == limits.head_timeout_ms
    connection.data_received(POST[:10])
    assert left_ms() == limits.head_timeout_ms
    connection.data_received(POST[10:-2])
    assert left_ms() == limits.body_timeout_ms
    connection.data_received(POST[-2:])
    assert connection.due_s == float("inf")
    wire.host.gate.set()
    await wire.turns()
    assert left_ms() == limits.idle_timeout_ms
