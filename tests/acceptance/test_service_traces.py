"""Traces through a split platform: processes of their own, one collector, real sockets."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
)
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from plait.testing.upstream import Upstream
from plait.testing.upstream_scripts import reply
from tests.acceptance.gateways import GatewayProcess, serving

TRACE, SPAN = "a" * 32, "b" * 16
TRACEPARENT = f"00-{TRACE}-{SPAN}-01"
CLIENT, SERVER = Span.SPAN_KIND_CLIENT, Span.SPAN_KIND_SERVER
ENGINE, RUNTIME = "plait.v1.EngineService", "plait.v1.RuntimeService"
ASK = """
name: ask
mode: express
endpoint: {method: GET, path: "/ask/{name}"}
steps: [{id: fetch, type: http, request: {url: "http://service/${input.name}"}}]
output: ${fetch.response}
"""
KEEP = """
name: keep
endpoint: {method: POST, path: /keep, wait: 20s}
steps: [{id: fetch, type: http, request: {url: "http://service/kept"}}]
output: ${fetch.response}
"""


@dataclass
class Platform:
    """Gateway, engine and runtime, and who hears of their spans."""

    gateway: GatewayProcess
    services: dict[str, GatewayProcess]
    collector: Upstream
    service: Upstream

    async def ended(self) -> dict[str, list[tuple[Any, str]]]:
        """End all of them; return the spans of the one trace, from the first on, each
        with the process that drew it, by the name of the span that they are under.
        """
        for one in (self.gateway, *self.services.values()):
            if one.process.returncode is None:
                one.stop()
                assert await one.ended() == 0
        return spans_of(self.collector)


def spans_of(collector: Upstream) -> dict[str, list[tuple[Any, str]]]:
    found: dict[str, list[tuple[Any, str]]] = {}
    for request in collector.requests:
        for resource in ExportTraceServiceRequest.FromString(request.body).resource_spans:
            named = {
                one.key: one.value.string_value for one in resource.resource.attributes
            }
            for scope in resource.scope_spans:
                for span in scope.spans:
                    if span.trace_id.hex() == TRACE:
                        under = found.setdefault(span.parent_span_id.hex(), [])
                        under.append((span, named["service.name"]))
    return found


def chain(spans: dict[str, list[tuple[Any, str]]]) -> list[tuple[str, str, Any]]:
    """Return the spans from the caller's on, each under the one before it."""
    found, parent = [], SPAN
    while parent in spans:
        ((span, process),) = spans[parent]
        found.append((process, span.name, span))
        parent = span.span_id.hex()
    return found


def attributes(span: Any) -> dict[str, Any]:
    return {
        one.key: getattr(one.value, one.value.WhichOneof("value"))
        for one in span.attributes
    }


@asynccontextmanager
async def platform(folder: Path) -> AsyncIterator[Platform]:
    (folder / "ask.yaml").write_text(ASK)
    (folder / "keep.yaml").write_text(KEEP)
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        collector = await enter(Upstream(reply(json={})))
        service = await enter(Upstream(reply(json=1)))

        async def role(name: str, *paths: Path, **more: str) -> GatewayProcess:
            settings = {
                "PLAIT_STORE_URL": str(folder / "plait.db"),
                "PLAIT_TELEMETRY_TRACES_ENDPOINT": collector.url("/v1/traces"),
                "PLAIT_TELEMETRY_SERVICE_NAME": name,
                **{f"PLAIT_SERVICES_{key.upper()}": value for key, value in more.items()},
            }
            return await enter(
                serving(
                    *paths,
                    settings=settings,
                    arguments=[f"--role={name}"],
                    upstreams={"service": service},
                )
            )

        services = {
            name: await role(name, listen="127.0.0.1:0") for name in ("engine", "runtime")
        }
        at = {name: one.lines[0].rpartition(" ")[2] for name, one in services.items()}
        gateway = await role("gateway", folder, **at)
        yield Platform(gateway, services, collector, service)


@pytest.mark.slow
async def test_an_express_execution_is_one_trace_through_gateway_and_engine(
    tmp_path: Path,
) -> None:
    async with platform(tmp_path) as split:
        # The first time the engine asks for the plan, which is another call.
        assert (await split.gateway.ask("/ask/ann")).status == 200
        answer = await split.gateway.ask("/ask/bob", traceparent=TRACEPARENT)
        assert answer.status == 200
        found = chain(await split.ended())
        passed_on = split.service.requests[-1].headers["traceparent"]
    assert [(process, name) for process, name, _ in found] == [
        ("gateway", "GET /ask/{name}"),
        ("gateway", f"{ENGINE}/RunPlan"),
        ("engine", f"{ENGINE}/RunPlan"),
        ("engine", "execution ask"),
        ("engine", "step fetch"),
        ("engine", "attempt fetch"),
    ]
    spans = [span for _, _, span in found]
    assert [span.kind for span in spans[1:3]] == [CLIENT, SERVER]
    told = attributes(spans[1])
    assert (told["rpc.system"], told["rpc.service"]) == ("grpc", ENGINE)
    assert (told["rpc.method"], told["rpc.grpc.status_code"]) == ("RunPlan", 0)
    assert told["server.address"] == "127.0.0.1"
    assert passed_on == f"00-{TRACE}-{spans[-1].span_id.hex()}-01"
    for outer, inner in pairwise(spans):
        assert outer.start_time_unix_nano <= inner.start_time_unix_nano


@pytest.mark.slow
async def test_a_durable_execution_and_who_looks_at_it_are_in_the_trace_of_each(
    tmp_path: Path,
) -> None:
    async with platform(tmp_path) as split:
        assert (await split.gateway.ask("/keep", "POST", body={})).status == 200
        answer = await split.gateway.ask("/keep", "POST", body={}, traceparent=TRACEPARENT)
        assert answer.status == 200
        found = chain(await split.ended())
    assert [(process, name) for process, name, _ in found] == [
        ("gateway", "POST /keep"),
        ("gateway", f"{RUNTIME}/StartPlan"),
        ("runtime", f"{RUNTIME}/StartPlan"),
        ("runtime", "execution keep"),
        ("runtime", "step fetch"),
        ("runtime", "attempt fetch"),
    ]


@pytest.mark.slow
@pytest.mark.parametrize("accept", ["application/json", "text/event-stream"])
async def test_a_request_of_the_api_takes_its_trace_to_the_services(
    tmp_path: Path, accept: str
) -> None:
    steps = [{"id": "one", "type": "set", "value": 1}]
    wish = {"definition": {"name": "said", "steps": steps}, "wait": "20s"}
    method = "Execute" if accept == "application/json" else "ExecuteStream"
    async with platform(tmp_path) as split:
        answer = await split.gateway.ask(
            "/api/v1/workflow/execute",
            "POST",
            body=wish,
            accept=accept,
            traceparent=TRACEPARENT,
        )
        assert answer.status == 200, answer.body
        found = chain(await split.ended())
    assert [(process, name) for process, name, _ in found][:4] == [
        ("gateway", "POST /api/v1/workflow/execute"),
        ("gateway", f"{ENGINE}/{method}"),
        ("engine", f"{ENGINE}/{method}"),
        ("engine", "execution said"),
    ]


@pytest.mark.slow
async def test_a_call_that_only_reads_is_in_the_trace_too_and_says_how_it_failed(
    tmp_path: Path,
) -> None:
    async with platform(tmp_path) as split:
        target = f"/api/v1/executions/{'0' * 32}"
        answer = await split.gateway.ask(target, traceparent=TRACEPARENT)
        assert answer.status == 404
        found = chain(await split.ended())
    (_, _, request), (_, _, call), (process, name, served) = found
    assert (process, name) == ("runtime", f"{RUNTIME}/GetExecution")
    assert attributes(call)["rpc.grpc.status_code"] == 5
    assert call.status.message == "NOT_FOUND"
    # That there is none is an answer, of the service and of the gateway.
    assert (served.status.message, request.status.message) == ("", "")


@pytest.mark.slow
async def test_a_call_to_a_service_that_is_gone_is_drawn_by_who_made_it(
    tmp_path: Path,
) -> None:
    async with platform(tmp_path) as split:
        engine = split.services["engine"]
        engine.process.kill()
        await engine.ended()
        answer = await split.gateway.ask("/ask/ann", traceparent=TRACEPARENT)
        assert answer.status == 502
        found = chain(await split.ended())
    assert [name for _, name, _ in found] == ["GET /ask/{name}", f"{ENGINE}/RunPlan"]
    assert found[-1][2].status.message == "UNAVAILABLE"


@pytest.mark.slow
async def test_a_caller_that_does_not_sample_is_drawn_by_no_process(tmp_path: Path) -> None:
    async with platform(tmp_path) as split:
        unsampled = f"00-{TRACE}-{SPAN}-00"
        assert (await split.gateway.ask("/ask/ann", traceparent=unsampled)).status == 200
        assert await split.ended() == {}
        (request,) = split.service.requests
    assert request.headers["traceparent"].startswith(f"00-{TRACE}-")
    assert request.headers["traceparent"].endswith("-00")
