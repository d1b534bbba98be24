"""The http connector keeps the contract of the Calls port, on both event loops."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import pytest

from plait.connectors.http import HttpCalls
from plait.model.json import JsonValue
from plait.ports.calls import Call
from plait.testing.calls_suite import CallsSuite, LoopFactory, Stage, call_to
from plait.testing.upstream import Peer, Request, Upstream
from plait.testing.upstream_scripts import raw_then_hang, reply, reply_bytes
from tests.unit.connectors.scenes import LOOPS


async def echo_body(peer: Peer, request: Request) -> None:
    headers = {"Content-Type": "application/json"}
    await peer.send(reply_bytes(200, request.body or b"null", headers=headers))


class HttpStage:
    """An upstream that echoes, refuses or hangs, by path."""

    def __init__(self, upstream: Upstream) -> None:
        self.calls = HttpCalls()
        self._upstream = upstream

    def answered(self, value: JsonValue) -> Call:
        request = {"method": "PUT", "url": self._upstream.url("/echo"), "body": value}
        return call_to(request)

    def refused(self) -> Call:
        return call_to({"url": self._upstream.url("/refused")})

    def unanswered(self, *, timeout_ms: int) -> Call:
        return call_to({"url": self._upstream.url("/hang")}, timeout_ms=timeout_ms)

    async def until_taken(self, count: int) -> None:
        await self._upstream.until_requests(count)

    async def until_free(self) -> None:
        await self._upstream.until_open(0)


@asynccontextmanager
async def stage() -> AsyncIterator[Stage]:
    async with Upstream() as upstream:
        upstream.on("/echo", echo_body).on("/refused", reply(503))
        upstream.on("/hang", raw_then_hang())
        on_stage = HttpStage(upstream)
        yield on_stage
        await on_stage.calls.close()


class TestHttpCalls(CallsSuite):
    @pytest.fixture(params=list(LOOPS))
    def loop_factory(self, request: pytest.FixtureRequest) -> LoopFactory:
        return LOOPS[request.param]

    def stage(self) -> AbstractAsyncContextManager[Stage]:
        return stage()


def test_the_loops_are_different() -> None:
    loops = [factory() for factory in LOOPS.values()]
    for loop in loops:
        loop.close()
    assert len({type(loop) for loop in loops}) == 2
    assert isinstance(loops[0], asyncio.AbstractEventLoop)
