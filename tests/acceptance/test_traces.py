"""Traces of a served platform, as a collector gets them: OTLP over a real socket."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
)

from plait.testing.upstream import Upstream
from plait.testing.upstream_scripts import reply
from tests.acceptance.gateways import serving

TRACE, SPAN = "a" * 32, "b" * 16
TRACEPARENT = f"00-{TRACE}-{SPAN}-01"
ASK = """
name: ask
mode: express
endpoint: {method: GET, path: "/ask/{name}"}
steps:
  - {id: both, type: parallel, branches: {
       left: {steps: [{id: fetch, type: http, request: {url: "http://service/${input.name}"}}]}}}
output: ${both.response}
"""
PAID = """
name: paid
endpoint: {method: POST, path: /orders}
steps:
  - {id: charge, type: http, request: {url: http://service/charge}}
  - {id: paid, type: wait, depends_on: [charge], event: {name: paid}}
  - {id: ship, type: http, depends_on: [paid], request: {url: http://service/ship}}
output: ${ship.response}
"""
OUTER = """
name: outer
mode: express
endpoint: {method: GET, path: "/outer/{name}"}
steps: [{id: inner, type: workflow, request: {name: ask, input: "${input}"}}]
output: ${inner.response}
"""


def told_to(collector: Upstream) -> dict[str, Any]:
    """Return the spans of the one trace, by name; those of other requests left out."""
    found: dict[str, Any] = {}
    for request in collector.requests:
        told = ExportTraceServiceRequest.FromString(request.body)
        for resource in told.resource_spans:
            for scope in resource.scope_spans:
                for span in scope.spans:
                    if span.trace_id.hex() == TRACE:
                        assert span.name not in found
                        found[span.name] = span
    return found


def parents(spans: dict[str, Any]) -> dict[str, str]:
    """Return the name of each span's parent; its id when that is nobody's."""
    names = {span.span_id.hex(): name for name, span in spans.items()}
    return {
        name: names.get(span.parent_span_id.hex(), span.parent_span_id.hex())
        for name, span in spans.items()
    }


def settings(collector: Upstream, **more: str) -> dict[str, str]:
    endpoint = collector.url("/v1/traces")
    own = {"PLAIT_TELEMETRY_TRACES_ENDPOINT": endpoint}
    return {**own, **{f"PLAIT_TELEMETRY_{key.upper()}": one for key, one in more.items()}}


def written(folder: Path, **texts: str) -> list[Path]:
    paths = [folder / f"{name}.yaml" for name in texts]
    for path, text in zip(paths, texts.values(), strict=True):
        path.write_text(text)
    return paths


def passed_on(requests: Iterable[Any]) -> list[str]:
    return [request.headers["traceparent"] for request in requests]


async def test_a_request_its_execution_steps_and_attempts_are_one_tree(
    tmp_path: Path,
) -> None:
    paths = written(tmp_path, ask=ASK, outer=OUTER)
    async with Upstream(reply(json={})) as collector, Upstream(reply(json=1)) as service:
        upstreams = {"service": service}
        async with serving(
            *paths, upstreams=upstreams, settings=settings(collector)
        ) as gateway:
            answer = await gateway.ask("/outer/ann", traceparent=TRACEPARENT)
            assert answer.status == 200
            gateway.stop()
            assert await gateway.ended() == 0
        spans = told_to(collector)
        (told,) = passed_on(service.requests)
    assert parents(spans) == {
        "GET /outer/{name}": SPAN,
        "execution outer": "GET /outer/{name}",
        "step inner": "execution outer",
        "attempt inner": "step inner",
        "execution ask": "step inner",
        "step both": "execution ask",
        "step both[left]/fetch": "step both",
        "attempt both[left]/fetch": "step both[left]/fetch",
        "attempt both": "step both",
    }
    attempt = spans["attempt both[left]/fetch"].span_id.hex()
    assert told == f"00-{TRACE}-{attempt}-01"
    for span in spans.values():
        assert span.start_time_unix_nano <= span.end_time_unix_nano


async def test_a_caller_that_does_not_sample_is_not_drawn(tmp_path: Path) -> None:
    paths = written(tmp_path, ask=ASK)
    async with Upstream(reply(json={})) as collector, Upstream(reply(json=1)) as service:
        upstreams = {"service": service}
        async with serving(
            *paths, upstreams=upstreams, settings=settings(collector)
        ) as gateway:
            unsampled = f"00-{TRACE}-{SPAN}-00"
            await gateway.ask("/ask/ann", traceparent=unsampled)
            gateway.stop()
            assert await gateway.ended() == 0
        assert collector.requests == []
        (told,) = passed_on(service.requests)
    assert told.startswith(f"00-{TRACE}-")
    assert told.endswith("-00")


async def test_a_share_of_nothing_draws_nothing_that_begins_here(tmp_path: Path) -> None:
    paths = written(tmp_path, ask=ASK)
    async with Upstream(reply(json={})) as collector, Upstream(reply(json=1)) as service:
        upstreams = {"service": service}
        own = settings(collector, traces_ratio="0")
        async with serving(*paths, upstreams=upstreams, settings=own) as gateway:
            await gateway.ask("/ask/ann")
            gateway.stop()
            assert await gateway.ended() == 0
        assert collector.requests == []
        (told,) = passed_on(service.requests)
    assert told.endswith("-00")


@pytest.mark.slow
async def test_an_execution_that_another_process_ends_is_one_trace(tmp_path: Path) -> None:
    paths = written(tmp_path, paid=PAID)
    async with Upstream(reply(json={})) as collector, Upstream(reply(json=1)) as service:
        upstreams = {"service": service}
        own = settings(collector)
        async with serving(*paths, upstreams=upstreams, settings=own) as gateway:
            answer = await gateway.ask("/orders", "POST", body={}, traceparent=TRACEPARENT)
            link = json.loads(answer.body)["links"]["self"]
            await service.until_requests(1)
            while json.loads((await gateway.ask(link)).body).get("waits") == []:
                pass
            gateway.stop()
            assert await gateway.ended() == 0
        assert "execution paid" not in told_to(collector)
        async with serving(*paths, upstreams=upstreams, settings=own) as gateway:
            signal = {"name": "paid", "payload": 1}
            taken = await gateway.ask(f"{link}/signals", "POST", body=signal)
            assert taken.status == 200, taken.body
            await gateway.ask(link, prefer="wait=20")
            gateway.stop()
            assert await gateway.ended() == 0
        spans = told_to(collector)
        told = passed_on(service.requests)
    tree = parents(spans)
    assert tree["execution paid"] == "POST /orders"
    assert tree["POST /orders"] == SPAN
    for step in ("charge", "paid", "ship"):
        assert tree[f"step {step}"] == "execution paid"
    began = spans["POST /orders"].start_time_unix_nano
    assert abs(spans["execution paid"].start_time_unix_nano - began) < 1_000_000_000
    attempts = [spans[f"attempt {step}"].span_id.hex() for step in ("charge", "ship")]
    assert told == [f"00-{TRACE}-{attempt}-01" for attempt in attempts]
