"""Metrics of a served platform, as a collector gets them: OTLP over a real socket."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from prometheus_client.parser import text_string_to_metric_families

from plait.testing.upstream import Request, Upstream
from plait.testing.upstream_scripts import raw_then_hang, reply
from tests.acceptance.cli import plait
from tests.acceptance.gateways import ROOT, serving

HELLO = """
name: hello
mode: express
endpoint: {method: GET, path: "/hello/{name}"}
steps: [{id: said, type: set, value: "hi ${input.name}"}]
output: {said: "${said.response}"}
"""
COLLECTOR = "http://127.0.0.1:1"


@pytest.fixture
def hello(tmp_path: Path) -> Path:
    """A workflow's file."""
    path = tmp_path / "hello.yaml"
    path.write_text(HELLO)
    return path


def pushed(request: Request) -> dict[str, Any]:
    """Return the metrics of one push, by name."""
    told = ExportMetricsServiceRequest.FromString(request.body)
    (resource,) = told.resource_metrics
    (scope,) = resource.scope_metrics
    return {metric.name: metric for metric in scope.metrics}


def resource_of(request: Request) -> dict[str, str]:
    (told,) = ExportMetricsServiceRequest.FromString(request.body).resource_metrics
    return {one.key: one.value.string_value for one in told.resource.attributes}


def labels(point: Any) -> dict[str, str]:
    return {one.key: one.value.string_value for one in point.attributes}


def scraped(text: str) -> dict[str, str]:
    """Return what Prometheus reads: names as in docs/reference/metrics.md, and kinds."""
    return {
        family.name + ("_total" if family.type == "counter" else ""): family.type
        for family in text_string_to_metric_families(text)
        if family.samples and not family.name.endswith("_created")
    }


async def test_a_collector_hears_what_prometheus_reads_again_and_again(
    hello: Path,
) -> None:
    async with Upstream(reply(json={})) as collector:
        settings = {
            "PLAIT_TELEMETRY_METRICS_ENDPOINT": collector.url("/v1/metrics"),
            "PLAIT_TELEMETRY_METRICS_EVERY": "100ms",
            "PLAIT_TELEMETRY_METRICS_AUTHORIZATION": "collector",
            "PLAIT_SECRET_COLLECTOR": "Bearer of-the-collector",
        }
        async with serving(hello, settings=settings) as gateway:
            await collector.until_requests(2)
            assert (await gateway.ask("/hello/ann")).status == 200
            text = (await gateway.ask("/metrics")).body.decode()
            gateway.stop()
            assert await gateway.ended() == 0
        requests = collector.requests
    told = pushed(requests[-1])
    kinds = {"counter": "sum", "gauge": "gauge", "histogram": "histogram"}
    seen = {name: kinds[kind] for name, kind in scraped(text).items()}
    sent = {name: one.WhichOneof("data") for name, one in told.items()}
    assert seen.items() <= sent.items()
    assert {"plait_requests_total", "plait_execution_seconds"} <= {*seen}
    (request,) = [
        point
        for point in told["plait_requests_total"].sum.data_points
        if labels(point) == {"method": "GET", "route": "/hello/{name}", "status": "200"}
    ]
    assert request.as_double == 1.0
    assert told["plait_requests_total"].sum.is_monotonic
    (took,) = told["plait_execution_seconds"].histogram.data_points
    assert (took.count, sum(took.bucket_counts)) == (1, 1)
    assert len(took.bucket_counts) == len(took.explicit_bounds) + 1
    assert {one.headers["authorization"] for one in requests} == {"Bearer of-the-collector"}
    ids = {resource_of(one)["service.instance.id"] for one in requests}
    assert len(ids) == 1
    assert resource_of(requests[0])["service.name"] == "plait"


async def test_the_standard_variables_send_spans_and_metrics_also_at_the_end(
    hello: Path,
) -> None:
    async with Upstream(reply(json={})) as collector:
        settings = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url(""),
            "OTEL_EXPORTER_OTLP_HEADERS": "x-team=shop",
            "OTEL_SERVICE_NAME": "shop",
        }
        async with serving(hello, settings=settings) as gateway:
            assert (await gateway.ask("/hello/ann")).status == 200
            gateway.stop()
            assert await gateway.ended() == 0
        sent = {one.target: one for one in collector.requests}
    assert {*sent} == {"/v1/traces", "/v1/metrics"}
    assert resource_of(sent["/v1/metrics"])["service.name"] == "shop"
    assert {one.headers["x-team"] for one in sent.values()} == {"shop"}
    ended = pushed(sent["/v1/metrics"])["plait_executions_ended_total"].sum.data_points
    assert [point.as_double for point in ended] == [1.0]


@pytest.mark.slow
async def test_a_collector_that_never_answers_keeps_no_request_and_no_end(
    hello: Path,
) -> None:
    async with Upstream(raw_then_hang()) as collector:
        settings = {
            "PLAIT_TELEMETRY_METRICS_ENDPOINT": collector.url("/v1/metrics"),
            "PLAIT_TELEMETRY_METRICS_EVERY": "50ms",
        }
        async with serving(hello, settings=settings) as gateway:
            await collector.until_requests(1)
            assert (await gateway.ask("/hello/ann")).status == 200
            began_s = time.monotonic()
            gateway.stop()
            assert await gateway.ended() == 0
        assert time.monotonic() - began_s < 8


async def test_a_secret_for_the_collector_that_is_not_there_is_refused(
    hello: Path,
) -> None:
    settings = {
        "PLAIT_TELEMETRY_METRICS_ENDPOINT": f"{COLLECTOR}/v1/metrics",
        "PLAIT_TELEMETRY_METRICS_AUTHORIZATION": "nowhere",
    }
    done = await plait("serve", str(hello), env=settings)
    assert done.code == 2
    assert "telemetry.metrics_authorization: there is no secret 'nowhere'" in done.err


@pytest.mark.parametrize("endpoint", [None, COLLECTOR])
def test_what_sends_metrics_is_not_imported_before_the_first_push(
    endpoint: str | None,
) -> None:
    program = f"""
import asyncio, sys
from pathlib import Path
from plait.assembly.sources import read_settings
from plait.assembly.telemetry import telemetry

async def main():
    url = {endpoint!r}
    environ = {{}} if url is None else {{"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": url}}
    told = telemetry(read_settings(environ, folder=Path({str(ROOT)!r})))
    await asyncio.sleep(0)
    print("opentelemetry" in sys.modules, "plait.assembly.pushing" in sys.modules)

asyncio.run(main())
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={"PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.split() == ["False", str(endpoint is not None)], done.stderr
