"""Messages that are large: what services take from each other, and say of more."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import Any

import grpc
import pytest

from plait.drivers.inline import Start
from plait.drivers.journal import Start as DurableStart
from plait.kernel import Kernel
from plait.model.caller import LOCAL
from plait.model.errors import PlaitError
from plait.ports.platform import Order
from plait.ports.remote import AnswerTooLarge, MessageTooLarge
from plait.ports.status import details_of, status_of
from plait.services.channel import Security, Sizes
from plait.services.methods import METHODS
from plait.services.remote import (
    Link,
    RemoteDriver,
    RemoteEngine,
    RemoteExecutions,
    RemoteRuns,
)
from plait.services.server import ServiceServer
from tests.conformance.platform.platforms import FakeAgent, local, plan_of

LIMIT = 20_000
# Three times what goes in comes out, and only that is too large.
THRICE: Any = {
    "name": "thrice",
    "mode": "express",
    "input": {"type": "string"},
    "steps": [{"id": "made", "type": "set", "value": dict.fromkeys("abc", "${input}")}],
    "output": "${made.response}",
}
DURABLE: Any = {**THRICE, "name": "durable", "mode": "durable"}
INPUT = "x" * 15_000


@asynccontextmanager
async def linked(of_server: int, of_client: int) -> AsyncIterator[tuple[Link, Link]]:
    """Yield links to an engine and a runtime, with what each side takes."""
    async with local() as own:
        for one in (THRICE, DURABLE):
            own.plans[one["name"]] = plan_of(one)
        server = ServiceServer(own.servicers(FakeAgent()), sizes=Sizes(of_server))
        address = f"127.0.0.1:{await server.listen('127.0.0.1:0')}"
        links = [Link(role, address, sizes=Sizes(of_client)) for role in METHODS]
        try:
            yield links[0], links[1]
        finally:
            for link in links:
                await link.close()
            await server.drain(0.0)


async def refused(coroutine: Any) -> PlaitError:
    with pytest.raises(PlaitError) as caught:
        await coroutine
    return caught.value


def is_told(error: PlaitError, service: str, execution_id: str | None = None) -> None:
    """Check that an error is one of the answer, and says of which, and what to do."""
    assert (error.code, status_of(error).http) == (AnswerTooLarge.code, 500)
    assert "services.message_bytes_max" in str(error)
    details = details_of(error)
    assert (details["service"], details["bytes_max"]) == (service, LIMIT)
    assert details["execution_id"]
    if execution_id is not None:
        assert details["execution_id"] == execution_id


BOTH = pytest.mark.parametrize(
    ("of_server", "of_client"),
    [(LIMIT, Sizes().message_bytes_max), (Sizes().message_bytes_max, LIMIT)],
    ids=["the service's", "the gateway's"],
)


@BOTH
async def test_an_answer_that_is_too_large_is_an_error_of_the_answer(
    of_server: int, of_client: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    async with linked(of_server, of_client) as (engine, runtime):
        order = Order(workflow="thrice", input=INPUT)
        is_told(await refused(RemoteEngine(engine).execute(LOCAL, order)), "engine")
        driver = RemoteDriver(engine, lambda _: (), wait_ms=1_000)
        run = driver.run(Kernel(plan_of(THRICE)), Start("x1", INPUT))
        is_told(await refused(run), "engine", "x1")

        start = DurableStart("x2", INPUT, None, None)
        runs, plan = RemoteRuns(runtime), plan_of(DURABLE)
        ended = runs.start(plan, start, 30_000, is_promotable=False)
        is_told(await refused(ended), "runtime", "x2")
        # It has ended well, whatever can be said of it.
        executions = RemoteExecutions(runtime)
        is_told(await refused(executions.get(LOCAL, "x2")), "runtime", "x2")
        assert (await executions.timeline(LOCAL, "x2"))["execution_id"] == "x2"
    assert [one for one in caplog.records if one.exc_info or one.levelno > 20] == []


@BOTH
async def test_a_stream_ends_with_an_event_that_is_too_large(
    of_server: int, of_client: int
) -> None:
    async def last(events: Any) -> None:
        async with aclosing(events):
            async for _ in events:
                pass

    async with linked(of_server, of_client) as (engine, runtime):
        for name in ("thrice", "durable"):
            order = Order(workflow=name, input=INPUT)
            events = RemoteEngine(engine).execute_stream(LOCAL, order)
            is_told(await refused(last(events)), "engine")
        start = DurableStart("x2", INPUT, None, None)
        runs, plan = RemoteRuns(runtime), plan_of(DURABLE)
        await refused(runs.start(plan, start, 30_000, is_promotable=False))
        events = RemoteExecutions(runtime).events(LOCAL, "x2", 0)
        is_told(await refused(last(events)), "runtime", "x2")


@BOTH
async def test_a_request_that_is_too_large_is_the_request_s_fault(
    of_server: int, of_client: int, caplog: pytest.LogCaptureFixture
) -> None:
    async with linked(of_server, of_client) as (engine, _):
        order = Order(workflow="thrice", input=INPUT * 2)
        error = await refused(RemoteEngine(engine).execute(LOCAL, order))
    assert (error.code, status_of(error).http) == (MessageTooLarge.code, 413)
    assert "services.message_bytes_max" in str(error)
    assert [one for one in caplog.records if one.exc_info] == []


async def test_whoever_has_no_token_is_not_read() -> None:
    async with local() as own:
        security = Security(token="a-token-of-32-characters-or-more-x")
        server = ServiceServer(
            own.servicers(FakeAgent()), security=security, sizes=Sizes(LIMIT)
        )
        address = f"127.0.0.1:{await server.listen('127.0.0.1:0')}"
        async with grpc.aio.insecure_channel(address) as channel:
            call: Any = channel.unary_unary(METHODS["engine"]["execute"].path)
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await call(b"x" * (LIMIT + 1))
        # More than it takes of others: it would say so had it read it.
        assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED
        await server.drain(0.0)
