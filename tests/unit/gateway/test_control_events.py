"""Streams of events: nothing is held back, and whoever leaves or drains ends them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from plait.gateway.app import Gateway, GatewaySettings
from plait.gateway.control.events import AGENT_FIRST_S, Events
from plait.model.caller import LOCAL, Caller
from plait.model.json import JsonObject
from plait.ports.identity import Unauthenticated
from plait.ports.journal import StoreUnavailable
from plait.ports.platform import Order, Told
from tests.acceptance.gateways import request_bytes
from tests.unit.gateway.control_scenes import KEYS, Scripted, control
from tests.unit.gateway.wires import WAIT_S, Client, client_of, listening

EXECUTE = "/api/v1/workflow/execute"
EVENTS = "/api/v1/executions/x/events"
FIRST = Told("turn", {"number": 1}, 1)
END = Told("end", {"status": "completed"}, 1)
STREAMS = [
    EVENTS,
    "/api/v1/chat/stream?session_id=s&user_message=hello",
    "/api/v1/workflow_generation?session_id=s",
]


def asking_to_run() -> bytes:
    return request_bytes(EXECUTE, "POST", body={"workflow": "w", "stream": True})


@dataclass
class Running(Scripted):
    """A run that yields its `result` when a test says so."""

    release: asyncio.Event = field(default_factory=asyncio.Event)

    async def execute_stream(self, caller: Caller, order: Order) -> AsyncIterator[Told]:
        try:
            for one in self.told:
                yield one
            await self.release.wait()
            yield Told("result", {"output": 1})
        finally:
            self.closed.set()


@asynccontextmanager
async def served(
    script: Scripted, heartbeat_ms: int = 15_000, *, authenticates: bool = False
) -> AsyncIterator[tuple[Gateway, Client]]:
    settings = GatewaySettings(has_open_api=True, heartbeat_ms=heartbeat_ms)
    gateway = control(script, settings=settings, authenticates=authenticates).gateway
    async with listening(gateway.handle) as (_, address), client_of(*address) as client:
        yield gateway, client


@pytest.mark.parametrize("target", STREAMS)
async def test_each_event_goes_out_when_it_is_there(target: str) -> None:
    script = Scripted(told=[FIRST], hangs=True)
    async with served(script) as (_, client):
        client.send(request_bytes(target))
        head = await client.until(b"}\n\n")
        assert b"content-type: text/event-stream\r\n" in head
        assert head.endswith(b'event: turn\nid: 1\ndata: {"number":1}\n\n')
        assert not script.closed.is_set()


@pytest.mark.parametrize("target", STREAMS)
async def test_whoever_leaves_ends_what_is_done_for_them(target: str) -> None:
    script = Scripted(told=[FIRST], hangs=True)
    async with served(script) as (_, client):
        client.send(request_bytes(target))
        await client.until(b"}\n\n")
        await client.close()
        async with asyncio.timeout(WAIT_S):
            await script.closed.wait()


async def test_whoever_sends_no_more_reads_events_and_comments_only() -> None:
    script = Scripted(told=[FIRST], hangs=True)
    async with served(script) as (_, client):
        client.send(request_bytes(EVENTS))
        client.writer.write_eof()
        await client.until(b"}\n\n")
        for _ in range(2):
            assert await client.until(b"\n\n") == b": still here\n\n"
        assert not script.closed.is_set()


async def test_whoever_leaves_before_the_first_event_does_too() -> None:
    script = Scripted(hangs=True)
    async with served(script) as (_, client):
        client.send(request_bytes(EVENTS))
        async with asyncio.timeout(WAIT_S):
            while not script.asked:
                await asyncio.sleep(0)
        await client.close()
        async with asyncio.timeout(WAIT_S):
            await script.closed.wait()


async def test_silence_is_broken_by_comments() -> None:
    async with served(Scripted(hangs=True), heartbeat_ms=20) as (_, client):
        client.send(request_bytes(EVENTS))
        assert b"200 OK" in await client.until(b": still here\n\n")
        assert await client.until(b": still here\n\n") == b": still here\n\n"


async def test_an_agent_that_is_slow_to_refuse_refuses_all_the_same() -> None:
    begun, over = asyncio.Event(), asyncio.Event()

    async def refused() -> AsyncIterator[Told]:
        await begun.wait()
        if begun.is_set():
            raise StoreUnavailable("it is gone")
        yield FIRST

    # Later than other streams wait for their first event.
    asyncio.get_running_loop().call_later(0.4, begun.set)
    with pytest.raises(StoreUnavailable):
        await Events(over).reply(refused(), AGENT_FIRST_S)


async def test_a_drain_does_not_wait_for_an_agent_s_first_event() -> None:
    never, over = asyncio.Event(), asyncio.Event()

    async def silent() -> AsyncIterator[Told]:
        await never.wait()
        yield FIRST

    over.set()
    async with asyncio.timeout(WAIT_S / 2):
        reply = await Events(over).reply(silent(), WAIT_S * 10)
    assert reply.stream is not None
    assert [part async for part in reply.stream] == []


async def test_a_drain_ends_streams_in_good_order() -> None:
    script = Scripted(told=[FIRST], hangs=True)
    async with served(script) as (gateway, client):
        client.send(request_bytes(EVENTS))
        await client.until(b"}\n\n")
        gateway.begin_drain()
        assert await client.closed() == b""
        assert script.closed.is_set()


@pytest.mark.parametrize("target", STREAMS)
async def test_a_stream_ends_with_the_key_that_it_was_begun_with(
    target: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("plait.gateway.control.events._LOOK_S", 0.0)
    script = Scripted(told=[FIRST], hangs=True)
    async with served(script, heartbeat_ms=20, authenticates=True) as (_, client):
        client.send(request_bytes(target, authorization="Bearer admin"))
        await client.until(b": still here\n\n")
        assert not script.closed.is_set()
        monkeypatch.delitem(KEYS, "Bearer admin")
        heard = await client.closed()
        assert heard.replace(b": still here\n\n", b"").startswith(b"event: error\n")
        assert b'"code":"request.unauthenticated"' in heard
        assert script.closed.is_set()


async def test_a_stream_ends_when_its_key_is_another_s(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("plait.gateway.control.events._LOOK_S", 0.0)
    script = Scripted(told=[FIRST], hangs=True)
    async with served(script, heartbeat_ms=20, authenticates=True) as (_, client):
        client.send(request_bytes(EVENTS, authorization="Bearer viewer"))
        await client.until(b": still here\n\n")
        theirs = Caller("key:v", tenant="acme", role="viewer")
        monkeypatch.setitem(KEYS, "Bearer viewer", theirs)
        assert b"request.unauthenticated" in await client.closed()


class Looking:
    """Looks whether somebody counts, and finds what a test says."""

    def __init__(self) -> None:
        self.error: Exception | None = None

    async def __call__(self) -> None:
        if self.error is not None:
            raise self.error


async def test_nothing_is_told_to_who_counts_no_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("plait.gateway.control.events._LOOK_S", 0.0)
    look, revoked = Looking(), asyncio.Event()

    async def told() -> AsyncIterator[Told]:
        yield FIRST
        await revoked.wait()
        yield Told("turn", {"secret": "hunter2"}, 2)

    reply = await Events(asyncio.Event()).watched(look).reply(told())
    assert reply.stream is not None
    assert b"turn" in await anext(reply.stream)
    look.error = Unauthenticated("this key does not count here")
    revoked.set()
    (last,) = [part async for part in reply.stream]
    assert last.startswith(b"event: error\n")
    assert b"request.unauthenticated" in last


async def test_a_store_that_is_away_ends_a_stream_only_when_there_is_something_to_tell(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("plait.gateway.control.events._LOOK_S", 0.0)
    look, is_there = Looking(), asyncio.Event()

    async def told() -> AsyncIterator[Told]:
        await is_there.wait()
        yield FIRST

    look.error = StoreUnavailable("away")
    reply = await Events(asyncio.Event(), 0.01).watched(look).reply(told())
    assert reply.stream is not None
    for _ in range(3):
        assert await anext(reply.stream) == b": still here\n\n"
    is_there.set()
    last = [part async for part in reply.stream][-1]
    assert b"store.unavailable" in last


async def test_a_drain_lets_an_express_run_come_to_its_result() -> None:
    script = Running(told=[Told("start", {"mode": "express"})])
    gateway = control(script, settings=GatewaySettings(has_open_api=True)).gateway
    async with (
        listening(gateway.handle) as (_, address),
        client_of(*address) as client,
        client_of(*address) as another,
    ):
        client.send(asking_to_run())
        await client.until(b"}\n\n")
        gateway.begin_drain()
        another.send(request_bytes(EVENTS))
        assert await another.closed()
        script.release.set()
        assert await client.closed() == b'event: result\ndata: {"output":1}\n\n'


@pytest.mark.parametrize("start", [{"mode": "durable"}, {}])
async def test_a_drain_ends_the_stream_of_a_run_that_goes_on(start: JsonObject) -> None:
    script = Running(told=[Told("start", start)])
    async with served(script) as (gateway, client):
        client.send(asking_to_run())
        await client.until(b"}\n\n")
        gateway.begin_drain()
        assert await client.closed() == b""


async def test_a_run_that_outlasts_the_drain_is_cut_off_and_says_so() -> None:
    script = Running(told=[Told("start", {"mode": "express"})])
    gateway = control(script, settings=GatewaySettings(has_open_api=True)).gateway
    async with (
        listening(gateway.handle, cut=gateway.cut) as (listener, address),
        client_of(*address) as client,
    ):
        client.send(asking_to_run())
        await client.until(b"}\n\n")
        gateway.begin_drain()
        assert await listener.drain(0.01, asyncio.Event()) == 1
        heard = await client.closed()
        assert heard.startswith(b'event: error\ndata: {"error":{"code":"request.cut_off"')
        assert script.closed.is_set()


async def test_what_goes_wrong_later_is_an_event() -> None:
    for raises, code in ((StoreUnavailable("away"), b"store.unavailable"),
                         (RuntimeError("hunter2"), b"internal")):  # fmt: skip
        async with served(Scripted(told=[FIRST], raises=raises)) as (_, client):
            client.send(request_bytes(EVENTS))
            heard = await client.closed()
            assert heard.split(b"event: ")[2].startswith(b'error\ndata: {"error":{"code":"')
            assert code in heard
            assert b"hunter2" not in heard


@pytest.mark.parametrize(("header", "after"), [({"last_event_id": "7"}, 7), ({}, 0)])
async def test_who_comes_back_says_what_they_have(
    header: dict[str, str], after: int
) -> None:
    script = Scripted(told=[END])
    async with served(script) as (_, client):
        client.send(request_bytes(EVENTS, **header))
        await client.closed()
    assert script.asked == [("events", LOCAL, "x", after)]


@pytest.mark.parametrize("wrong", ["-1", "x", "99999999999"])
async def test_an_event_s_id_that_is_none_is_refused(wrong: str) -> None:
    async with served(Scripted(told=[END])) as (_, client):
        answer = await client.ask(request_bytes(EVENTS, last_event_id=wrong))
        assert (answer.status, answer.error_code) == (400, "request.invalid")


async def test_an_execution_is_streamed_to_who_asks_for_events() -> None:
    script = Scripted(told=[FIRST, Told("result", {"output": 1})])
    async with served(script) as (_, client):
        body = {"workflow": "w"}
        asking = request_bytes(
            "/api/v1/workflow/execute", "POST", body=body, accept="text/event-stream"
        )
        client.send(asking)
        heard = await client.closed()
    assert heard.count(b"event: ") == 2
    assert heard.endswith(b'event: result\ndata: {"output":1}\n\n')
    (name, _, order) = script.asked[0]
    assert (name, order) == (
        "execute_stream",
        Order("w", wait_ms=30_000, trace=order.trace),
    )


async def test_many_follow_one_execution() -> None:
    script, count = Scripted(told=[FIRST, END]), 200
    gateway = control(script).gateway

    async def follow(host: str, port: int) -> bytes:
        async with client_of(host, port) as client:
            client.send(request_bytes(EVENTS))
            return await client.closed()

    async with listening(gateway.handle) as (_, address):
        heard = await asyncio.gather(*(follow(*address) for _ in range(count)))
    assert all(one.endswith(b'data: {"status":"completed"}\n\n') for one in heard)


@pytest.mark.parametrize("target", STREAMS)
async def test_nothing_is_begun_for_who_wants_the_head_only(target: str) -> None:
    script = Scripted(told=[FIRST], hangs=True)
    async with served(script) as (_, client):
        answer = await client.ask(request_bytes(target, "HEAD"), "HEAD")
        assert (answer.status, answer.headers["content-type"]) == (200, "text/event-stream")
    assert script.asked == []
