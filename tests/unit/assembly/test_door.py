"""What a service says of itself over HTTP, on a real socket."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, Counter

from plait.assembly.door import Door, token_of
from plait.assembly.settings import Settings, TelemetrySection
from plait.assembly.sources import Configured, SettingsInvalid
from tests.acceptance.gateways import ask
from tests.unit.gateway.wires import client_of


class Troubled:
    """Says what is wrong with a service."""

    code: str | None = None

    def __call__(self) -> str | None:
        return self.code


@asynccontextmanager
async def opened(
    trouble: Troubled | None = None, token: str | None = None
) -> AsyncIterator[tuple[Door, Any]]:
    registry = CollectorRegistry()
    Counter("plait_steps", "Steps.", registry=registry).inc(2)
    door = Door("engine", registry, trouble or Troubled(), token)
    address = await door.listen("127.0.0.1:0")
    try:
        async with client_of(*address) as client:
            yield door, client
    finally:
        await door.close()


async def test_metrics_are_those_of_the_registry_and_of_the_process() -> None:
    async with opened() as (_, client):
        answer = await ask(client, "/metrics")
        head = await ask(client, "/metrics", "HEAD")
    assert (answer.status, head.status) == (200, 200)
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    text = answer.body.decode()
    assert "plait_steps_total 2.0" in text
    assert "python_info{" in text
    assert head.body == b""


async def test_it_is_ready_from_start_to_end_unless_something_is_wrong() -> None:
    trouble = Troubled()
    async with opened(trouble) as (door, client):

        async def health() -> list[tuple[int, str]]:
            answers = [await ask(client, f"/health{one}") for one in ("", "/ready")]
            return [(one.status, one.json["status"]) for one in answers]

        assert await health() == [(200, "starting"), (503, "starting")]
        door.state = "ready"
        assert await health() == [(200, "ready"), (200, "ready")]
        trouble.code = "store.unavailable"
        assert await health() == [(200, "unready"), (503, "unready")]
        assert (await ask(client, "/health")).json["store"] == "store.unavailable"
        trouble.code, door.state = None, "draining"
        assert await health() == [(200, "draining"), (503, "draining")]


async def test_who_asks_for_metrics_shows_the_token_and_health_is_open() -> None:
    async with opened(token="of-prometheus") as (_, client):
        for shown in ({}, {"authorization": "Bearer other"}, {"authorization": "of"}):
            refused = await ask(client, "/metrics", **shown)
            assert refused.status == 401
            assert refused.json["error"]["code"] == "request.unauthenticated"
            assert refused.headers["www-authenticate"] == "Bearer"
        told = {"authorization": "Bearer of-prometheus"}
        assert (await ask(client, "/metrics", **told)).status == 200
        assert (await ask(client, "/health/live")).status == 200


async def test_nothing_else_is_answered() -> None:
    async with opened() as (_, client):
        assert (await ask(client, "/api/v1/executions")).status == 404
        refused = await ask(client, "/metrics", "POST", body={})
        assert (refused.status, refused.headers["allow"]) == (405, "GET, HEAD")


def configured(secrets: dict[str, str] | None = None, **own: Any) -> Configured:
    return Configured(Settings(telemetry=TelemetrySection(**own)), secrets or {})


@pytest.mark.parametrize("address", ["0.0.0.0:9464", "[::]:9464", "10.0.0.1:9464"])
def test_metrics_are_not_open_to_a_network(address: str) -> None:
    with pytest.raises(SettingsInvalid, match=r"is open to the network.*metrics_token"):
        token_of(configured(metrics_listen=address))
    own: dict[str, Any] = {"metrics_listen": address, "metrics_token": "prometheus"}
    assert token_of(configured({"prometheus": "t"}, **own)) == "t"
    for secrets in ({}, {"prometheus": ""}):
        with pytest.raises(SettingsInvalid, match="there is no secret 'prometheus'"):
            token_of(configured(secrets, **own))


def test_metrics_for_this_machine_need_no_token() -> None:
    assert token_of(configured(metrics_listen="127.0.0.1:0")) is None
    assert token_of(configured()) is None
