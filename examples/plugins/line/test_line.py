"""The connector keeps the contract of its port, and speaks with a real server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, ClassVar

import orjson
import plait_line
import pytest

from plait.connectors.egress import ForbiddenAddress
from plait.model.json import JsonValue
from plait.ports.calls import Call
from plait.testing.calls_suite import Stage, call_to, failure_of, outcome_of, reply_of
from plait.testing.connector_suite import ConnectorSuite


class Server:
    """A server of lines: `SAY x` answers x, `ERR` an error, `HANG` nothing.

    Attributes:
        taken: How many lines it has not answered, and how many of those have been left.
    """

    def __init__(self) -> None:
        self.taken = self.left = 0
        self.changed = asyncio.Condition()

    async def serve(self, reader: asyncio.StreamReader, writer: Any) -> None:
        """Answer one connection."""
        word, _, text = (await reader.readline()).decode().partition(" ")
        if word == "HANG\n":
            await self._note(taken=1)
            await reader.read()
            await self._note(left=1)
        else:
            writer.write(text.encode() if word == "SAY" else b"ERR no\n")
            await writer.drain()
        writer.close()

    async def _note(self, taken: int = 0, left: int = 0) -> None:
        async with self.changed:
            self.taken += taken
            self.left += left
            self.changed.notify_all()


class Anywhere:
    """Hosts by themselves, but `forbidden`."""

    async def find(
        self, host: str, port: int, *, is_literal: bool
    ) -> Sequence[tuple[str, int]]:
        if host == "forbidden":
            raise ForbiddenAddress(host=host, reason="the test says so")
        return [(host, port)]


class LineStage:
    """The calls, and a server under control."""

    def __init__(self, calls: plait_line.LineCalls, server: Server, port: int) -> None:
        self.calls = calls
        self._server = server
        self._port = port

    def call(self, text: str, **more: Any) -> Call:
        where = {"host": "127.0.0.1", "port": self._port, "text": text, "decode": "json"}
        return call_to(where, kind="line", **more)

    def answered(self, value: JsonValue) -> Call:
        return self.call("SAY " + orjson.dumps(value).decode())

    def refused(self) -> Call:
        return self.call("ERR")

    def unanswered(self, *, timeout_ms: int) -> Call:
        return self.call("HANG", timeout_ms=timeout_ms)

    async def until_taken(self, count: int) -> None:
        async with self._server.changed:
            await self._server.changed.wait_for(lambda: self._server.taken >= count)

    async def until_free(self) -> None:
        server = self._server
        async with server.changed:
            await server.changed.wait_for(lambda: server.left == server.taken)


@asynccontextmanager
async def line_stage(
    kind: type[plait_line.LineCalls] = plait_line.LineCalls,
) -> AsyncIterator[LineStage]:
    """A stage with a server on a free port."""
    server = Server()
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    calls = kind(Anywhere())
    try:
        yield LineStage(calls, server, listening.sockets[0].getsockname()[1])
    finally:
        await calls.close()
        listening.close()


class TestLine(ConnectorSuite):
    """The contract of the port."""

    connector = plait_line.CONNECTOR
    document: ClassVar = {
        "id": "price",
        "type": "line",
        "request": {"host": "prices", "port": 7000, "text": "PRICE 7"},
    }

    def stage(self) -> AbstractAsyncContextManager[Stage]:
        return line_stage()


async def test_a_host_that_may_not_be_called_is_not_connected_to() -> None:
    async with line_stage() as stage:
        call = call_to({"host": "forbidden", "port": 1, "text": "x"}, kind="line")
        failure = failure_of(await outcome_of(stage.calls, call))
    assert failure.code == "connector.forbidden_address"


async def test_a_line_comes_back_as_text_or_as_what_it_says() -> None:
    async with line_stage() as stage:
        call = stage.answered({"n": 1})
        as_text = call_to({**call.request, "decode": "text"}, kind="line")
        said = reply_of(await outcome_of(stage.calls, call)).response
        line = reply_of(await outcome_of(stage.calls, as_text)).response
    assert (said, line) == ({"n": 1}, '{"n":1}')


@pytest.mark.parametrize("text", ["two\nlines", "two\rlines", None])
async def test_two_lines_are_not_sent_as_one(text: Any) -> None:
    async with line_stage() as stage:
        call = call_to({"host": "h", "port": 1, "text": text}, kind="line")
        failure = failure_of(await outcome_of(stage.calls, call))
    assert (failure.code, failure.sent) == ("connector.invalid_request", False)
