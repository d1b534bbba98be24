"""Spans of calls between services, and what is passed on under them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from plait.model.caller import Caller
from plait.model.json import JsonObject
from plait.ports.platform import Delivery, InvalidRequest
from plait.ports.remote import ServiceUnavailable
from plait.services.runtime import RuntimeServicer
from plait.services.tracing import answered, called
from plait.services.v1.runtime_pb2 import DeliverWebhookRequest
from plait.services.wire import Asked
from plait.telemetry.spans import CLIENT, SERVER, Span

PATH = "/plait.v1.EngineService/Execute"
TRACE, PARENT = "a" * 32, "b" * 16
STATE = ("tracestate", "vendor=1")
TRACED = Asked(Caller("ann", "t1"), (STATE, ("traceparent", f"00-{TRACE}-{PARENT}-01")))


def test_what_a_call_does_is_under_its_span() -> None:
    drawn: list[Span] = []
    with (
        called(drawn.append, PATH, TRACED, "[::1]:8091") as there,
        answered(drawn.append, PATH, there) as here,
    ):
        assert drawn == []
    server, client = drawn
    assert (client.kind, client.parent_id) == (CLIENT, PARENT)
    assert (server.kind, server.parent_id) == (SERVER, client.span_id)
    traceparent = f"00-{TRACE}-{server.span_id}-01"
    assert here.trace == (("traceparent", traceparent), STATE)
    assert client.attributes["server.address"] == "::1"
    assert client.attributes["server.port"] == 8091
    assert server.attributes["plait.tenant"] == "t1"
    assert client.name == server.name == "plait.v1.EngineService/Execute"
    assert (client.error, server.error) == (None, None)


@pytest.mark.parametrize(
    "trace",
    [(), (STATE,), (("traceparent", f"00-{TRACE}-{PARENT}-00"),), (("traceparent", "?"),)],
    ids=str,
)
def test_what_nobody_samples_is_passed_on_as_it_is(
    trace: tuple[tuple[str, str], ...],
) -> None:
    asked, drawn = Asked(Caller("ann"), trace), list[Span]()
    with answered(drawn.append, PATH, asked) as own:
        assert own is asked
    assert drawn == []


def test_where_nobody_draws_the_trace_goes_on() -> None:
    with called(None, PATH, TRACED, "engine:8091") as own:
        assert own is TRACED


@pytest.mark.parametrize(
    ("make", "status", "client_error", "server_error"),
    [
        (lambda: InvalidRequest("no"), 3, "INVALID_ARGUMENT", None),
        (lambda: ServiceUnavailable("engine", "is gone"), 14, "UNAVAILABLE", "UNAVAILABLE"),
        (lambda: asyncio.CancelledError(), 1, "CANCELLED", None),
        (lambda: ZeroDivisionError(), 13, "INTERNAL", "INTERNAL"),
    ],
)
def test_a_span_says_how_its_call_ended(
    make: Callable[[], BaseException],
    status: int,
    client_error: str,
    server_error: str | None,
) -> None:
    drawn: list[Span] = []
    for span in (
        called(drawn.append, PATH, TRACED, "engine:8091"),
        answered(drawn.append, PATH, TRACED),
    ):
        with pytest.raises(type(make())), span:
            raise make()
    assert [one.attributes["rpc.grpc.status_code"] for one in drawn] == [status] * 2
    assert [one.error for one in drawn] == [client_error, server_error]


class Triggers:
    """Keeps what it is delivered."""

    def __init__(self) -> None:
        self.delivered: list[Delivery] = []

    async def deliver(self, delivery: Delivery) -> JsonObject:
        self.delivered.append(delivery)
        return {}


async def test_what_a_webhook_starts_is_under_the_call_that_delivers_it() -> None:
    triggers = Triggers()
    servicer = RuntimeServicer(None, None, triggers, None)  # type: ignore[arg-type]
    headers = {"traceparent": f"00-{TRACE}-{'c' * 16}-01", "webhook-id": "w1"}
    request = DeliverWebhookRequest(path="hook", method="POST", headers=headers)
    await servicer.deliver_webhook(TRACED, request)
    (delivery,) = triggers.delivered
    assert delivery.headers["traceparent"] == f"00-{TRACE}-{PARENT}-01"
    assert delivery.headers["webhook-id"] == "w1"
