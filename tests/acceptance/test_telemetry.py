"""What a served platform tells of itself: lines, spans, numbers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.cli import plait
from tests.acceptance.gateways import GatewayProcess, serving
from tests.acceptance.test_roles import role

HELLO = """
name: hello
mode: express
endpoint: {method: GET, path: "/hello/{name}"}
steps: [{id: said, type: set, value: "hi ${input.name}"}]
output: {said: "${said.response}"}
"""
TRACEPARENT = f"00-{'a' * 32}-{'b' * 16}-01"


def objects(process: GatewayProcess) -> list[dict[str, Any]]:
    """Return the lines of its log."""
    return [json.loads(line) for line in process.lines if line.startswith("{")]


@pytest.fixture
def hello(tmp_path: Path) -> Path:
    """A workflow's file."""
    path = tmp_path / "hello.yaml"
    path.write_text(HELLO)
    return path


async def test_the_access_log_tells_of_each_request_with_its_ids(hello: Path) -> None:
    settings = {"PLAIT_TELEMETRY_ACCESS_LOG": "true"}
    async with serving(hello, settings=settings) as gateway:
        told = {"traceparent": TRACEPARENT, "x_request_id": "r1"}
        assert (await gateway.ask("/hello/ann?secret=1", **told)).status == 200
        assert (await gateway.ask("/nowhere")).status == 404
        await gateway.until_said('"status":404')
    first, second = objects(gateway)
    assert first["route"] == "/hello/{name}"
    assert first["trace_id"] == "a" * 32
    assert first["request_id"] == "r1"
    assert len(first["execution_id"]) == 32
    assert (second["route"], second["status"]) == ("", 404)
    assert not any("secret=1" in line for line in gateway.lines)


async def test_requests_leave_no_line_unless_somebody_asks_for_it(hello: Path) -> None:
    async with serving(hello) as gateway:
        assert (await gateway.ask("/hello/ann")).status == 200
        gateway.stop()
        assert await gateway.ended() == 0
    assert objects(gateway) == []


@pytest.mark.slow
async def test_a_service_that_ends_leaves_nothing_but_lines(
    hello: Path, tmp_path: Path
) -> None:
    store = tmp_path / "plait.db"
    async with role("engine", hello, store=store) as (engine, address):
        settings = {"PLAIT_STORE_URL": str(store), "PLAIT_SERVICES_ENGINE": address}
        async with serving(
            hello, settings=settings, arguments=["--role=gateway"]
        ) as gateway:
            assert (await gateway.ask("/hello/ann")).status == 200
            engine.stop()
            await engine.ended()
            assert (await gateway.ask("/hello/ann")).status == 502
            gateway.stop()
            await gateway.ended()
    told = [line for line in (*gateway.lines, *engine.lines) if not line.startswith("{")]
    assert [line for line in told if "listening on" not in line and "→" not in line] == []


PAY = """
name: pay
endpoint: {method: POST, path: /pay, wait: 20s}
steps: [{id: charge, type: fail, code: card.refused, message: "no money, card 4242"}]
"""


async def test_a_served_platform_counts_and_logs_what_it_runs(
    hello: Path, tmp_path: Path
) -> None:
    pay = tmp_path / "pay.yaml"
    pay.write_text(PAY)
    async with serving(hello, pay) as gateway:
        assert (await gateway.ask("/hello/ann")).status == 200
        told = {"traceparent": TRACEPARENT}
        assert (await gateway.ask("/pay", "POST", body={}, **told)).status == 422
        await gateway.until_said("execution of pay failed")
        assert (await gateway.ask("/api/v1/executions")).status == 200
        text = (await gateway.ask("/metrics")).body.decode()
    ended = "plait_executions_ended_total"
    express = 'mode="express",status="completed",workflow="hello"'
    durable = 'mode="durable",status="failed",workflow="pay"'
    assert f"{ended}{{{express}}} 1.0" in text
    assert f"{ended}{{{durable}}} 1.0" in text
    assert 'plait_steps_total{outcome="failed",workflow="pay"} 1.0' in text
    assert "plait_store_up 1.0" in text
    listed = 'method="GET",route="/api/v1/executions",status="200"'
    assert f"plait_requests_total{{{listed}}} 1.0" in text
    (line,) = objects(gateway)
    assert (line["level"], line["code"]) == ("warning", "card.refused")
    assert (line["workflow"], line["trace_id"]) == ("pay", "a" * 32)
    assert not any("4242" in one for one in gateway.lines)


async def test_a_project_that_cannot_be_told_is_refused_at_the_start(hello: Path) -> None:
    settings = {"PLAIT_TELEMETRY_SENTRY": "nowhere", "PLAIT_SECRET_ODD": "no address"}
    done = await plait("serve", str(hello), env=settings)
    assert done.code == 2
    assert "telemetry.sentry: there is no secret 'nowhere'" in done.err
    settings["PLAIT_TELEMETRY_SENTRY"] = "odd"
    done = await plait("serve", str(hello), env=settings)
    assert done.code == 2
    assert "'odd' is no address (DSN)" in done.err
    assert "no address" not in done.err.replace("is no address", "")
