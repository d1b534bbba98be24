"""Express executions that outlive their caller's patience become durable, mid-request."""

from __future__ import annotations

import asyncio
import json
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

from plait.testing.upstream import Upstream
from plait.testing.upstream_scripts import after, raw_then_hang, reply
from tests.acceptance.gateways import GatewayProcess, serving
from tests.unit.gateway.wires import WAIT_S, Answer

TWO = """\
name: two
mode: express
endpoint: {method: POST, path: /two, wait: WAIT}
steps:
  - {id: quick, type: http, request: {method: POST, url: http://service/quick}}
  - {id: slow, type: http, request: {method: POST, url: http://service/slow},
     depends_on: [quick]}
output: "${slow.response}"
"""
LONG = """\
name: long
mode: express
endpoint: {method: POST, path: /two, wait: 20s}
steps:
  - {id: quick, type: http, request: {method: POST, url: http://service/quick}}
  - {id: pause, type: wait, for: 30d, depends_on: [quick]}
"""
EXECUTIONS = "/api/v1/executions"


def gateway(
    folder: Path, service: Upstream, text: str = TWO, wait: str = "20s"
) -> AbstractAsyncContextManager[GatewayProcess]:
    document = folder / "two.yaml"
    document.write_text(text.replace("WAIT", wait))
    store = f"--store={folder / 'plait.db'}"
    return serving(document, upstreams={"service": service}, arguments=[store])


def told(answer: Answer) -> Any:
    return json.loads(answer.body)


def slow_service(answered: asyncio.Event) -> Upstream:
    service = Upstream(reply(json="quick"))
    return service.on("/slow", after(answered, reply(json="slow")))


async def test_who_is_answered_in_time_leaves_nothing_behind(tmp_path: Path) -> None:
    answered = asyncio.Event()
    answered.set()
    async with (
        slow_service(answered) as service,
        gateway(tmp_path, service) as process,
    ):
        answer = await process.ask("/two", "POST", body={})
        assert (answer.status, told(answer)) == (200, "slow")
        assert answer.headers["plait-completed"] == "true"
        assert told(await process.ask(EXECUTIONS))["executions"] == []


async def test_who_waited_in_vain_gets_a_link_and_no_call_is_made_twice(
    tmp_path: Path,
) -> None:
    answered = asyncio.Event()
    async with (
        slow_service(answered) as service,
        gateway(tmp_path, service, wait="300ms") as process,
    ):
        answer = await process.ask("/two", "POST", body={})
        assert (answer.status, told(answer)["status"]) == (202, "running")
        answered.set()
        ended = told(await process.ask(f"{answer.headers['location']}?wait=30s"))
        assert (ended["status"], ended["output"]) == ("completed", "slow")
        assert [one.target for one in service.requests] == ["/quick", "/slow"]


async def test_what_was_promoted_outlives_kill_9(tmp_path: Path) -> None:
    answered = asyncio.Event()
    async with slow_service(answered) as service:
        async with gateway(tmp_path, service, wait="300ms") as process:
            answer = await process.ask("/two", "POST", body={})
            process.process.kill()
        answered.set()
        async with gateway(tmp_path, service, wait="300ms") as process:
            ended = told(await process.ask(f"{answer.headers['location']}?wait=30s"))
            assert ended["output"] == "slow"
        targets = [one.target for one in service.requests]
        assert targets == ["/quick", "/slow", "/slow"]
        slow = [one for one in service.requests if one.target == "/slow"]
        assert len({one.headers["idempotency-key"] for one in slow}) == 1


async def test_a_step_that_waits_longer_than_anybody_is_not_waited_for(
    tmp_path: Path,
) -> None:
    async with (
        Upstream(reply(json="quick")) as service,
        gateway(tmp_path, service, LONG) as process,
    ):
        async with asyncio.timeout(WAIT_S):
            answer = await process.ask("/two", "POST", body={})
        assert answer.status == 202
        kept = told(await process.ask(answer.headers["location"]))
        assert [step["status"] for step in kept["steps"]] == ["completed", "running"]


async def test_a_client_that_leaves_before_that_ends_its_calls(tmp_path: Path) -> None:
    service = Upstream(reply(json="quick")).on("/slow", raw_then_hang())
    async with service, gateway(tmp_path, service) as process:
        asking = asyncio.create_task(process.ask("/two", "POST", body={}))
        async with asyncio.timeout(WAIT_S):
            await service.until_requests(2)
            asking.cancel()
            await service.until_open(0)
        assert told(await process.ask(EXECUTIONS))["executions"] == []
