"""The platform in processes of its own: gateway, engine and runtime, over real sockets."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from tests.acceptance.cli import plait
from tests.acceptance.gateways import ROOT, GatewayProcess, ask, request_bytes, serving
from tests.conformance.journal.servers import redis, redis_url
from tests.unit.gateway.wires import WAIT_S, client_of

_SERVING = health_pb2.HealthCheckResponse.SERVING
_NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
HELLO = """
name: hello
mode: express
endpoint: {method: GET, path: "/hello/{name}", headers: {x-who: "${said.response}"}}
steps: [{id: said, type: set, value: "hi ${input.name}"}]
output: {said: "${said.response}"}
"""
OUTER = """
name: outer
mode: express
endpoint: {method: GET, path: "/outer/{name}"}
steps: [{id: inner, type: workflow, request: {name: hello, input: "${input}"}}]
output: ${inner.response}
"""
CALL = {"id": "c", "type": "workflow", "request": {"name": "hello"}}
PAID = """
name: paid
mode: durable
endpoint: {method: POST, path: /orders, wait: 50ms}
steps: [{id: paid, type: wait, event: {name: paid}}]
output: ${paid.response}
"""

TOLD = """
name: told
mode: express
endpoint: {{path: /told}}
steps: [{{id: said, type: set, value: "{}"}}]
output: ${{said.response}}
"""


@pytest.fixture
def documents(tmp_path: Path) -> Path:
    """A folder of workflows."""
    folder = tmp_path / "workflows"
    folder.mkdir()
    for name, text in (("hello", HELLO), ("outer", OUTER), ("paid", PAID)):
        (folder / f"{name}.yaml").write_text(text)
    return folder


@asynccontextmanager
async def role(
    name: str,
    *paths: Path,
    store: Path | str,
    address: str = "127.0.0.1:0",
    more: Mapping[str, str] | None = None,
    **settings: str,
) -> AsyncIterator[tuple[GatewayProcess, str]]:
    """Run one part of the platform; yield its process and its address.

    Args:
        more: Environment variables.
        settings: Those of `services`.
    """
    told = {
        **(more or {}),
        "PLAIT_STORE_URL": str(store),
        "PLAIT_SERVICES_LISTEN": address,
        **{f"PLAIT_SERVICES_{key.upper()}": value for key, value in settings.items()},
    }
    arguments = [f"--role={name}"]
    async with serving(*paths, settings=told, arguments=arguments) as process:
        said = next(line for line in process.lines if "listening on" in line)
        yield process, said.rpartition(" ")[2]


async def until_told(address: str, *, is_serving: bool) -> None:
    """Return when a service tells who watches its health that it can work, or cannot."""
    async with grpc.aio.insecure_channel(address) as channel, asyncio.timeout(WAIT_S):
        stub = health_pb2_grpc.HealthStub(channel)
        async for told in stub.Watch(health_pb2.HealthCheckRequest()):
            if told.status == (_SERVING if is_serving else _NOT_SERVING):
                return


async def until_ready(gateway: GatewayProcess, status: int) -> None:
    """Return when a gateway's readiness is this."""
    async with asyncio.timeout(WAIT_S):
        while (await gateway.ask("/health/ready")).status != status:
            pass


async def until_answered(gateway: GatewayProcess, target: str) -> Any:
    """Return the first answer that is no 502: nobody tells the gateway to try again."""
    async with asyncio.timeout(WAIT_S):
        while True:
            answer = await gateway.ask(target)
            if answer.status != 502:
                return answer


@pytest.mark.slow
async def test_endpoints_are_answered_by_other_processes_and_again_when_one_returns(
    documents: Path, tmp_path: Path
) -> None:
    store = tmp_path / "plait.db"
    async with (
        role("engine", store=store) as (engine, engine_address),
        role("runtime", documents, store=store) as (_, runtime_address),
        role(
            "gateway",
            documents,
            store=store,
            engine=engine_address,
            runtime=runtime_address,
        ) as (gateway, _),
    ):
        answer = await gateway.ask("/hello/ann")
        assert (answer.status, answer.json) == (200, {"said": "hi ann"})
        assert answer.headers["x-who"] == "hi ann"
        assert "said;start=" in answer.headers["server-timing"]
        # The engine was given no document: the gateway sends what it lacks.
        assert (await gateway.ask("/outer/bob")).json == {"said": "hi bob"}

        begun = await gateway.ask("/orders", "POST", body={})
        assert begun.status == 202
        link = begun.json["links"]["self"]
        paid = {"name": "paid", "payload": 7}
        assert (await gateway.ask(f"{link}/signals", "POST", body=paid)).status == 200
        ended = await gateway.ask(f"{link}?wait=30s")
        assert (ended.json["status"], ended.json["output"]) == ("completed", 7)

        engine.process.kill()
        await engine.ended()
        lost = await gateway.ask("/hello/ann")
        assert lost.status == 502
        assert lost.json["error"]["code"] == "service.unavailable"
        assert lost.json["error"]["details"] == {"service": "engine"}
        assert (await gateway.ask(link)).status == 200  # the runtime is there
        # Another gateway could do no more: none is taken out of balancing for it.
        assert (await gateway.ask("/health/ready")).status == 200
        metrics = (await gateway.ask("/metrics")).body.decode()
        assert 'service_connection{service="runtime",state="ready"} 1.0' in metrics
        assert 'service_connection{service="engine",state="ready"} 0.0' in metrics

        async with role("engine", store=store, address=engine_address):
            assert (await until_answered(gateway, "/hello/ann")).json["said"] == "hi ann"


@pytest.mark.slow
async def test_every_process_tells_that_its_store_is_away_and_that_it_is_back(
    documents: Path,
) -> None:
    with redis() as server:
        store = redis_url(server)
        async with (
            role("engine", store=store) as (_, engine),
            role("runtime", documents, store=store) as (_, runtime),
            role("agent", store=store) as (_, agent),
            role("gateway", documents, store=store) as (gateway, _),
        ):
            services = engine, runtime, agent
            for is_there in (True, False, True):
                told = [until_told(one, is_serving=is_there) for one in services]
                await asyncio.gather(*told, until_ready(gateway, 200 if is_there else 503))
                await asyncio.to_thread(server.stop if is_there else server.start)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["engine", "runtime", "agent"])
async def test_a_service_that_starts_without_its_store_waits_for_it(name: str) -> None:
    with redis() as server:
        server.stop()
        async with role(name, store=redis_url(server)) as (_, address):
            await until_told(address, is_serving=False)
            await asyncio.to_thread(server.start)
            await until_told(address, is_serving=True)


@pytest.mark.slow
async def test_a_runtime_that_was_killed_is_named_and_nothing_is_lost(
    documents: Path, tmp_path: Path
) -> None:
    store = tmp_path / "plait.db"
    async with (
        role("runtime", documents, store=store) as (runtime, address),
        role(
            "gateway",
            documents,
            store=store,
            engine="127.0.0.1:1",
            runtime=address,
            agent="127.0.0.1:1",
        ) as (gateway, _),
    ):
        begun = await gateway.ask("/orders", "POST", body={})
        link = begun.json["links"]["self"]
        wish = {"action": "create"}
        undrafted = await gateway.ask("/api/v1/session", "POST", body=wish)
        assert undrafted.status == 502
        assert undrafted.json["error"]["details"] == {"service": "agent"}
        runtime.process.kill()
        await runtime.ended()
        for target, method in ((link, "GET"), ("/orders", "POST")):
            lost = await gateway.ask(target, method, body=None if method == "GET" else {})
            assert (lost.status, lost.json["error"]["details"]) == (
                502,
                {"service": "runtime"},
            )
        async with role("runtime", documents, store=store, address=address) as (
            again,
            _,
        ):
            answer = await until_answered(gateway, link)
            assert answer.json["status"] == "running"
            again.stop()
            assert await again.ended() == 0


@pytest.mark.slow
async def test_all_engines_are_called_and_who_is_left_when_one_is_gone(
    documents: Path, tmp_path: Path
) -> None:
    store, counts = tmp_path / "plait.db", {"PLAIT_TELEMETRY_METRICS_LISTEN": "127.0.0.1:0"}
    async with (
        role("engine", store=store, more=counts) as (one, first),
        role("engine", store=store, more=counts) as (other, second),
        role("gateway", documents, store=store, engine=f"{first},{second}") as (gateway, _),
    ):
        for _ in range(20):
            assert (await gateway.ask("/outer/ann")).json == {"said": "hi ann"}
        for engine in (one, other):
            assert await _ran_some(engine)
        one.process.kill()
        await one.ended()
        assert (await until_answered(gateway, "/hello/ann")).status == 200
        for _ in range(20):
            assert (await gateway.ask("/hello/ann")).status == 200


async def _ran_some(engine: GatewayProcess) -> bool:
    """Tell whether express executions have ended there."""
    said = next(line for line in engine.lines if "answers at http://" in line)
    host, _, port = said.partition("http://")[2].removesuffix("/metrics").partition(":")
    async with client_of(host, int(port)) as client:
        answer = await ask(client, "/metrics")
        return b'plait_executions_ended_total{mode="express"' in answer.body


ENDLESS: Any = {
    "name": "endless",
    "mode": "express",
    "timeout": "2h",
    "steps": [{"id": "slept", "type": "wait", "for": "1h"}],
}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("is_killed", "code"), [(False, b"request.cut_off"), (True, b"service.unavailable")]
)
async def test_an_express_run_that_ends_with_its_engine_says_so_to_its_listener(
    tmp_path: Path, is_killed: bool, code: bytes
) -> None:
    store, soon = tmp_path / "plait.db", {"PLAIT_GATEWAY_DRAIN_TIMEOUT": "50ms"}
    wish = {"definition": ENDLESS, "stream": True}
    async with (
        role("engine", store=store, more=soon) as (engine, address),
        role("gateway", store=store, engine=address) as (gateway, _),
        gateway.client() as client,
    ):
        client.send(request_bytes("/api/v1/workflow/execute", "POST", body=wish))
        await client.until(b"event: start\n")
        if is_killed:
            engine.process.kill()
        else:
            engine.stop()
        last = (await client.closed()).rpartition(b"event: ")[2]
        assert last.startswith(b'error\ndata: {"error":{"code":"%s"' % code), last
        assert b"the engine" in last
        await engine.ended()


@asynccontextmanager
async def shaped(shape: str, folder: Path) -> AsyncIterator[GatewayProcess]:
    """Yield the gateway of a platform of one process, or of four."""
    store = folder / "plait.db"
    if shape == "one process":
        async with serving(settings={"PLAIT_STORE_URL": str(store)}) as process:
            yield process
        return
    async with (
        role("engine", store=store) as (_, engine),
        role("runtime", store=store) as (_, runtime),
        role("agent", store=store) as (_, agent),
        role("gateway", store=store, engine=engine, runtime=runtime, agent=agent) as (
            gateway,
            _,
        ),
    ):
        yield gateway


async def streamed(
    gateway: GatewayProcess, target: str, method: str = "GET", body: Any = None
) -> bytes:
    """Return a stream of events, to its end."""
    async with gateway.client() as client:
        client.send(request_bytes(target, method, body=body))
        told: bytes = await client.closed()
        return told


@pytest.mark.slow
@pytest.mark.parametrize("shape", ["one process", "four processes"])
async def test_drafting_deploying_and_running_go_the_same_way_in_either_shape(
    shape: str, tmp_path: Path
) -> None:
    async with shaped(shape, tmp_path) as gateway:
        api = "/api/v1"
        begun = await gateway.ask(f"{api}/session", "POST", body={"action": "create"})
        session = begun.json["session_id"]
        heard = await streamed(
            gateway, f"{api}/chat/stream?session_id={session}&user_message=say%20hello"
        )
        assert b"event: message" in heard

        wish = {"name": "hello", "workflow_definition": HELLO}
        made = await gateway.ask(f"{api}/workflow/deployments", "POST", body=wish)
        assert made.status == 201, made.body
        answer = await gateway.ask("/hello/ann")
        assert answer.json == {"said": "hi ann"}

        order: Any = {"workflow": "hello", "input": {"name": "bob"}}
        run = await gateway.ask(f"{api}/workflow/execute", "POST", body=order)
        assert (run.status, run.json["output"]) == (200, {"said": "hi bob"})
        told = await streamed(
            gateway, f"{api}/workflow/execute", "POST", {**order, "stream": True}
        )
        assert b"event: result" in told
        kept = await gateway.ask(
            f"{api}/workflow/execute", "POST", body=order, idempotency_key="k"
        )
        assert (kept.status, kept.json["status"]) == (200, "completed")
        found = await gateway.ask(f"{api}/executions?workflow=hello")
        assert [one["id"] for one in found.json["executions"]] == [
            kept.json["execution_id"]
        ]
        unfit = {**order, "input": 3, "workflow": "nobody"}
        refused = await gateway.ask(f"{api}/workflow/execute", "POST", body=unfit)
        assert (refused.status, refused.error_code) == (404, "workflow.unknown")


@pytest.mark.slow
@pytest.mark.parametrize("shape", ["one process", "four processes"])
async def test_whoever_was_told_of_a_change_finds_it_everywhere_at_once(
    shape: str, tmp_path: Path
) -> None:
    async with shaped(shape, tmp_path) as gateway:
        made = "/api/v1/workflow/deployments"

        async def answers() -> list[Any]:
            """Return what execute and the endpoint say now."""
            order = {"workflow": "told", "input": {}}
            ran = await gateway.ask("/api/v1/workflow/execute", "POST", body=order)
            seen = await gateway.ask("/told")
            return [one.json if one.status == 200 else one.status for one in (ran, seen)]

        for round_ in range(3):
            told = {"name": "told", "workflow_definition": TOLD.format(f"new {round_}")}
            new = await gateway.ask(made, "POST", body=told)
            assert new.status == 201
            ran, seen = await answers()
            assert (ran["output"], seen) == (f"new {round_}",) * 2
            at = f"{made}/{new.json['deployment_id']}"
            told = {"workflow_definition": TOLD.format(f"newer {round_}")}
            assert (await gateway.ask(at, "PUT", body=told)).status == 200
            ran, seen = await answers()
            assert (ran["output"], seen) == (f"newer {round_}",) * 2
            assert (await gateway.ask(at, "DELETE")).status == 200
            assert await answers() == [404, 404]


@pytest.mark.slow
@pytest.mark.parametrize("shape", ["one process", "four processes"])
async def test_a_grant_on_one_workflow_runs_no_other_through_it(
    shape: str, tmp_path: Path
) -> None:
    async with shaped(shape, tmp_path) as gateway:
        execute = "/api/v1/workflow/execute"
        wish = {"name": "hello", "workflow_definition": HELLO}
        made = await gateway.ask("/api/v1/workflow/deployments", "POST", body=wish)
        assert made.status == 201, made.body
        store = f"--store={tmp_path / 'plait.db'}"
        key = await plait("keys", "create", "k", "--grant", "appr=editor", store)
        shown = {"Authorization": f"Bearer {key.out.strip()}"}
        order = {"workflow": "hello", "input": {"name": "bob"}}
        answer = await gateway.ask(execute, "POST", body=order, **shown)
        assert (answer.status, answer.error_code) == (403, "request.forbidden")
        wish = {"name": "appr", "workflow_definition": HELLO.replace("hello", "appr")}
        made = await gateway.ask("/api/v1/workflow/deployments", "POST", body=wish, **shown)
        assert made.status == 201, made.body
        for mode in ("express", "durable"):
            text = OUTER.replace("outer", "appr").replace("express", mode)
            where = "/api/v1/workflow/deployments/appr"
            body = {"workflow_definition": text}
            refused = await gateway.ask(where, "PUT", body=body, **shown)
            assert (refused.status, refused.error_code) == (403, "request.forbidden")
            (found,) = refused.json["error"]["details"]["diagnostics"]
            assert (found["code"], found["line"], bool(found["hint"])) == ("S004", 5, True)
            trial = f"{where}?validate_only=true"
            told = await gateway.ask(trial, "PUT", body=body, **shown)
            assert (told.status, told.json["valid"]) == (200, False)
        order = {"definition": {"name": "appr", "steps": [CALL]}}
        answer = await gateway.ask(execute, "POST", body=order, **shown)
        assert (answer.status, answer.error_code) == (403, "request.forbidden")


@pytest.mark.parametrize(
    ("arguments", "settings", "said"),
    [
        (["--role=engine"], {"LISTEN": "0.0.0.0:0"}, "open to the network"),
        (["--role=engine"], {"TLS_KEY": "key.pem"}, "go together"),
        (["--role=gateway"], {"TOKEN_FILE": "nowhere"}, "nowhere"),
        (["--role=engines"], {}, "unknown role 'engines'; known: gateway, engine, runtime"),
        (["--role=engine"], {"LISTEN": "8091"}, "write HOST:PORT"),
        (["--role=engine"], {"ENGINE": "127.0.0.1:1,127.0.0.1:2"}, "services.listen"),
    ],
    ids=["open", "half a pair", "no token", "unknown role", "no address", "which of two"],
)
def test_a_role_that_cannot_run_says_why(
    tmp_path: Path, arguments: list[str], settings: dict[str, str], said: str
) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "plait.cli", "serve", "--port=0", *arguments],
        env={
            "PYTHONPATH": str(ROOT / "src"),
            "PLAIT_STORE_URL": str(tmp_path / "plait.db"),
            **{f"PLAIT_SERVICES_{key}": value for key, value in settings.items()},
        },
        capture_output=True,
        check=False,
        cwd=tmp_path,
    )
    assert (done.returncode, said in done.stderr.decode()) == (2, True), done.stderr


def test_one_process_imports_no_grpc(tmp_path: Path) -> None:
    code = (
        "import sys, plait.cli.serve, plait.assembly.serving; "
        "print([one for one in ('grpc', 'fastapi', 'jwt') if one in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        check=True,
        cwd=tmp_path,
    )
    assert json.loads(done.stdout.decode().replace("'", '"')) == []
