"""Policies of calls at a real gateway, at the command line, and across a real death."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

from plait.testing.upstream import Upstream
from plait.testing.upstream_scripts import after, in_turn, reply
from tests.acceptance.cli import plait
from tests.acceptance.gateways import serving
from tests.unit.gateway.wires import WAIT_S

OK = reply(json={"ok": True})
DOWN = reply(503)
QUOTE = """\
name: quote
mode: express
endpoint: {path: /quote}
steps:
  - id: get
    type: http
    request: {url: http://service/quote}
    circuit_breaker: {failure_threshold: 2, open_time: 1h}
"""
LIMITED = """\
name: limited
mode: express
steps:
  - id: one
    type: http
    request: {url: http://service/a}
    rate_limit: {limit: 1, per: 2s}
  - id: two
    type: http
    depends_on: [one]
    request: {url: http://service/b}
    rate_limit: {limit: 1, per: 2s}
"""


def other(name: str, path: str) -> str:
    return QUOTE.replace("name: quote", f"name: {name}").replace("path: /quote", path)


async def test_an_open_circuit_is_503_with_retry_after_for_every_endpoint(
    tmp_path: Path,
) -> None:
    (tmp_path / "quote.yaml").write_text(QUOTE)
    (tmp_path / "again.yaml").write_text(other("again", "path: /again"))
    async with (
        Upstream(DOWN) as service,
        serving(tmp_path, upstreams={"service": service}) as process,
    ):
        for _ in range(2):
            assert (await process.ask("/quote")).status == 502
        for path in ("/quote", "/again"):
            answer = await process.ask(path)
            assert (answer.status, answer.error_code) == (503, "resilience.circuit_open")
            assert 3_500 < int(answer.headers["retry-after"]) <= 3_600
        assert len(service.requests) == 2
        metrics = (await process.ask("/metrics")).body.decode()
        upstream = 'name="http://service:80"'
        assert f'plait_circuit_breaker_state{{{upstream},state="open"}} 1.0' in metrics
        told = f'plait_policy_calls_total{{{upstream},outcome="refused",'
        assert f'{told}policy="circuit_breaker"}} 2.0' in metrics


async def test_a_wait_for_a_limit_stands_in_the_timeline(tmp_path: Path) -> None:
    (tmp_path / "limited.yaml").write_text(LIMITED)
    async with Upstream(OK) as service:
        where = ("--resolve", f"service={service.address}")
        ran = await plait("run", "limited.yaml", "--json-timeline", *where, cwd=tmp_path)
        steps = {one["step"]: one for one in map(json.loads, ran.lines) if "step" in one}
        (attempt,) = steps["two"]["attempts"]
        (note,) = attempt["policies"]
        assert note["policy"] == "rate_limit"
        assert note["waited_ms"] > 50
        kept = await plait("run", "limited.yaml", "--durable", *where, cwd=tmp_path)
        execution = kept.lines[0].split()[1]
    shown = await plait("executions", "show", execution, "--json", cwd=tmp_path)
    told: Any = json.loads(shown.out)
    (two,) = [one for one in told["steps"] if one["step"] == "two"]
    assert two["attempts"][0]["policies"][0]["policy"] == "rate_limit"


async def test_who_waits_for_a_place_when_its_worker_dies_is_called_once(
    tmp_path: Path,
) -> None:
    text = """\
name: pay
endpoint: {method: POST, path: /pay, wait: 20s}
steps:
  - id: charge
    type: http
    request: {method: POST, url: http://service/charge}
    bulkhead: {max_concurrency: 1, max_queue: 9, queue_timeout: 1h}
    timeout: 1h
"""
    (tmp_path / "pay.yaml").write_text(text)
    never = asyncio.Event()
    store = f"--store={tmp_path / 'plait.db'}"
    async with Upstream(in_turn(after(never, OK), OK)) as service:
        upstreams = {"service": service}

        def gateway() -> Any:
            return serving(tmp_path / "pay.yaml", upstreams=upstreams, arguments=[store])

        async with gateway() as process:
            asked = {"prefer": "respond-async"}
            links = [
                (await process.ask("/pay", "POST", **asked)).headers["location"]
                for _ in range(3)
            ]
            async with asyncio.timeout(WAIT_S):
                await service.until_requests(1)
            process.process.kill()
        async with gateway() as process:
            for link in links:
                ended = json.loads((await process.ask(f"{link}?wait=20s")).body)
                assert ended["status"] == "completed"
    keys = [one.headers["idempotency-key"] for one in service.requests]
    assert len(keys) == 4
    assert len(set(keys)) == 3
    assert keys.count(keys[0]) == 2


async def test_a_durable_execution_records_what_the_cache_gave(tmp_path: Path) -> None:
    text = """\
name: price
endpoint: {path: /price, wait: 20s}
steps:
  - {id: get, type: http, request: {url: http://service/price}, cache: {ttl: 1h}}
output: ${get.response}
"""
    (tmp_path / "price.yaml").write_text(text)
    store = f"--store={tmp_path / 'plait.db'}"
    async with (
        Upstream(reply(json={"eur": 9})) as service,
        serving(
            tmp_path / "price.yaml", upstreams={"service": service}, arguments=[store]
        ) as process,
    ):
        answers = [await process.ask("/price") for _ in range(2)]
        assert [json.loads(one.body) for one in answers] == [{"eur": 9}] * 2
        assert len(service.requests) == 1
        execution = answers[1].headers["plait-execution-id"]
    shown = await plait("executions", "show", execution, store, "--json", cwd=tmp_path)
    (step,) = json.loads(shown.out)["steps"]
    (note,) = step["attempts"][0]["policies"]
    assert (note["policy"], note["did"]) == ("cache", "hit")
    assert step["response"] == {"eur": 9}


async def test_two_durable_executions_make_one_call_under_a_key(tmp_path: Path) -> None:
    text = """\
name: pay
endpoint: {method: POST, path: /pay, wait: 20s}
steps:
  - id: charge
    type: http
    request: {method: POST, url: http://service/charge}
    idempotency_key: {key: order-1, once_for: 1h}
output: ${charge.response}
"""
    (tmp_path / "pay.yaml").write_text(text)
    store = f"--store={tmp_path / 'plait.db'}"
    async with (
        Upstream(in_turn(reply(json={"id": 1}), DOWN)) as service,
        serving(
            tmp_path / "pay.yaml", upstreams={"service": service}, arguments=[store]
        ) as process,
    ):
        answers = [await process.ask("/pay", "POST") for _ in range(2)]
        assert [json.loads(one.body) for one in answers] == [{"id": 1}] * 2
        assert [one.headers["idempotency-key"] for one in service.requests] == ["order-1"]
        execution = answers[1].headers["plait-execution-id"]
        metrics = (await process.ask("/metrics")).body.decode()
    told = 'name="replies",outcome="replayed",policy="idempotency_key"} 1.0'
    assert f"plait_policy_calls_total{{{told}" in metrics
    shown = await plait("executions", "show", execution, store, cwd=tmp_path)
    assert "called before under its key" in shown.out + shown.err
