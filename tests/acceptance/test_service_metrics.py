"""Metrics of a split platform: each process answers for what it does."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.acceptance.cli import plait
from tests.acceptance.gateways import GatewayProcess, serving
from tests.acceptance.test_roles import role

ASK = """
name: ask
mode: express
endpoint: {method: GET, path: "/ask/{name}"}
steps: [{id: said, type: set, value: "hi ${input.name}"}]
output: {said: "${said.response}"}
"""
KEEP = """
name: keep
endpoint: {method: POST, path: /keep, wait: 20s}
steps: [{id: said, type: set, value: 1}]
output: ${said.response}
"""
TOKEN = {"PLAIT_TELEMETRY_METRICS_TOKEN": "prometheus", "PLAIT_SECRET_PROMETHEUS": "t0ken"}
_ANSWERS = re.compile(r"answers at http://([\d.]+):(\d+)/metrics")


@asynccontextmanager
async def service(
    name: str, *paths: Path, store: Path
) -> AsyncIterator[tuple[GatewayProcess, str]]:
    """Run a service with its door open; yield its process, and where it takes calls."""
    told = {
        "PLAIT_STORE_URL": str(store),
        "PLAIT_SERVICES_LISTEN": "127.0.0.1:0",
        "PLAIT_TELEMETRY_METRICS_LISTEN": "127.0.0.1:0",
        **TOKEN,
    }
    async with serving(*paths, settings=told, arguments=[f"--role={name}"]) as process:
        await process.until_said("answers at")
        found = _ANSWERS.search("\n".join(process.lines))
        assert found is not None
        process.address = found[1], int(found[2])
        said = next(line for line in process.lines if "listening on" in line)
        yield process, said.rpartition(" ")[2]


async def scraped(process: GatewayProcess) -> str:
    answer = await process.ask("/metrics", authorization="Bearer t0ken")
    assert answer.status == 200
    return answer.body.decode()


@pytest.mark.slow
async def test_the_engine_and_the_runtime_answer_for_what_they_ran(tmp_path: Path) -> None:
    (tmp_path / "ask.yaml").write_text(ASK)
    (tmp_path / "keep.yaml").write_text(KEEP)
    store = tmp_path / "plait.db"
    async with (
        service("engine", store=store) as (engine, engine_address),
        service("runtime", store=store) as (runtime, runtime_address),
        role(
            "gateway",
            tmp_path,
            store=store,
            engine=engine_address,
            runtime=runtime_address,
        ) as (gateway, _),
    ):
        assert (await gateway.ask("/ask/ann")).status == 200
        assert (await gateway.ask("/keep", "POST", body={})).status == 200
        for one in (engine, runtime):
            assert (await one.ask("/health/ready")).json["status"] == "ready"
            assert (await one.ask("/metrics")).status == 401
        assert (await gateway.ask(f"/api/v1/executions/{'0' * 32}")).status == 404
        express, durable = await scraped(engine), await scraped(runtime)
        fronted = (await gateway.ask("/metrics")).body.decode()
    ended = "plait_executions_ended_total"
    ran = f'{ended}{{mode="express",status="completed",workflow="ask"}} 1.0'
    kept = f'{ended}{{mode="durable",status="completed",workflow="keep"}} 1.0'
    assert (ran in express, kept in express) == (True, False)
    assert (ran in durable, kept in durable) == (False, True)
    calls = "plait_service_calls_total"
    assert f'{calls}{{method="RunPlan",service="engine",status="OK"}} 1.0' in express
    assert f'{calls}{{method="StartPlan",service="runtime",status="OK"}} 1.0' in durable
    unknown = 'method="GetExecution",service="runtime",status="NOT_FOUND"'
    assert f"{calls}{{{unknown}}} 1.0" in durable
    took = 'plait_service_call_seconds_count{method="GetExecution",service="runtime"}'
    assert f"{took} 1.0" in durable
    assert "plait_store_up 1.0" in durable
    assert "plait_journal_commit_seconds_count 1.0" in durable
    # Who does not ask the store has no say in how it stands.
    assert "plait_store_up" not in fronted


@pytest.mark.slow
async def test_the_agent_answers_for_itself(tmp_path: Path) -> None:
    async with service("agent", store=tmp_path / "plait.db") as (agent, _):
        assert (await agent.ask("/health/ready")).json["role"] == "agent"
        assert "process_" in await scraped(agent)
        agent.stop()
        assert await agent.ended() == 0


async def test_a_service_without_the_setting_listens_for_its_calls_only(
    tmp_path: Path,
) -> None:
    async with role("agent", store=tmp_path / "plait.db") as (agent, _):
        agent.stop()
        assert await agent.ended() == 0
    assert not [line for line in agent.lines if "answers at" in line]


async def test_a_service_does_not_open_its_metrics_to_the_network(tmp_path: Path) -> None:
    settings = {
        "PLAIT_STORE_URL": str(tmp_path / "plait.db"),
        "PLAIT_SERVICES_LISTEN": "127.0.0.1:0",
        "PLAIT_TELEMETRY_METRICS_LISTEN": "0.0.0.0:0",
    }
    done = await plait("serve", "--role=engine", env=settings)
    assert done.code == 2
    assert "telemetry.metrics_listen: 0.0.0.0:0 is open to the network" in done.err
