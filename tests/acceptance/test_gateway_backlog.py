"""More durable executions than a gateway has room for: a real one, killed for real."""

from __future__ import annotations

import asyncio
import json
import re
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest

from plait.testing.upstream import Peer, Request, Upstream
from plait.testing.upstream_scripts import reply_bytes
from tests.acceptance.gateways import GatewayProcess, serving
from tests.unit.gateway.wires import WAIT_S, Answer

HELD_MAX, BACKLOG_MAX = 4, 10
KEPT = """\
name: kept
endpoint: {method: POST, path: /kept, wait: 0s}
steps:
  - {id: charge, type: http, effect: unsafe, request: {method: POST, url: http://service/}}
output: ${charge.response.by}
"""


# What may last is run in memory, and written down only if it does.
QUICK = """\
name: quick
mode: express
endpoint: {method: POST, path: /quick, wait: 100ms}
steps: [{id: asked, type: http, request: {url: http://service/}}]
output: ${asked.response.by}
"""


class Counting:
    """Answers when it is told to, and counts who waits.

    Attributes:
        most: So many waited at once.
    """

    def __init__(self) -> None:
        self.now = self.most = 0
        self.goes_on = asyncio.Event()

    async def __call__(self, peer: Peer, request: Request) -> None:
        """Answer one."""
        del request
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            await self.goes_on.wait()
            await asyncio.sleep(0)
            await peer.send(reply_bytes(json={"by": "card"}))
        finally:
            self.now -= 1


def gateway(
    folder: Path, service: Upstream, held_max: int = HELD_MAX
) -> AbstractAsyncContextManager[GatewayProcess]:
    workflows = folder / "workflows"  # the store is beside it
    workflows.mkdir(exist_ok=True)
    (workflows / "kept.yaml").write_text(KEPT)
    (workflows / "quick.yaml").write_text(QUICK)
    settings = {
        "PLAIT_EXECUTION_HELD_MAX": str(held_max),
        "PLAIT_EXECUTION_BACKLOG_MAX": str(BACKLOG_MAX),
    }
    return serving(workflows, upstreams={"service": service}, settings=settings)


async def start(process: GatewayProcess) -> Answer:
    return await process.ask("/kept", "POST", body={"pad": "x" * 1_000})


async def accepted(process: GatewayProcess, count: int) -> list[str]:
    """Start so many; return their links."""
    answers = [await start(process) for _ in range(count)]
    assert {one.status for one in answers} == {202}
    return [one.headers["location"] for one in answers]


async def outcome(process: GatewayProcess, link: str) -> tuple[str, str | None]:
    told = json.loads((await process.ask(f"{link}?wait=30s")).body)
    return told["status"], told["output"]


async def metric(process: GatewayProcess, name: str) -> float:
    text = (await process.ask("/metrics")).body.decode()
    found = re.search(rf"^{name} (\S+)$", text, re.MULTILINE)
    assert found is not None
    return float(found[1])


async def test_what_is_accepted_waits_in_the_store_and_what_is_too_much_is_refused(
    tmp_path: Path,
) -> None:
    script = Counting()
    async with Upstream(script) as service, gateway(tmp_path, service) as process:
        links = await accepted(process, HELD_MAX + BACKLOG_MAX)
        refused = await start(process)
        assert (refused.status, refused.error_code) == (503, "limit.overload")
        assert refused.headers["retry-after"] == "1"
        async with asyncio.timeout(WAIT_S):
            await service.until_requests(HELD_MAX)
        assert await metric(process, "plait_executions_acting") == HELD_MAX
        assert await metric(process, "plait_executions_backlog") == BACKLOG_MAX
        last = json.loads((await process.ask(links[-1])).body)
        assert (last["status"], last["waits"]) == ("running", [{"for": "room"}])
        script.goes_on.set()
        ended = await asyncio.gather(*(outcome(process, link) for link in links))
        assert ended == [("completed", "card")] * len(links)
        assert (script.most, len(service.requests)) == (HELD_MAX, len(links))
        assert (await start(process)).status == 202, "there is room again"


async def test_kill_9_with_many_that_wait_loses_none_and_doubts_no_call_that_was_not_made(
    tmp_path: Path,
) -> None:
    script = Counting()
    async with Upstream(script) as service:
        async with gateway(tmp_path, service) as process:
            links = await accepted(process, HELD_MAX + BACKLOG_MAX)
            async with asyncio.timeout(WAIT_S):
                await service.until_requests(HELD_MAX)
            process.process.kill()
            await process.process.wait()
        script.goes_on.set()
        async with gateway(tmp_path, service, held_max=2) as process:
            waited = links[HELD_MAX:]
            ended = await asyncio.gather(*(outcome(process, link) for link in waited))
            assert ended == [("completed", "card")] * BACKLOG_MAX
            assert len(service.requests) == HELD_MAX + BACKLOG_MAX, "each call once"
            for link in links[:HELD_MAX]:
                told = json.loads((await process.ask(link)).body)
                assert told["status"] == "running", "whether these were made is asked about"


async def test_an_express_execution_that_may_last_waits_as_well_where_there_is_no_room(
    tmp_path: Path,
) -> None:
    script = Counting()
    async with Upstream(script) as service, gateway(tmp_path, service) as process:
        async with asyncio.timeout(WAIT_S):
            links = await accepted(process, HELD_MAX)
            await service.until_requests(HELD_MAX)
        answer = await process.ask("/quick", "POST")
        assert (answer.status, len(service.requests)) == (202, HELD_MAX)
        script.goes_on.set()
        for link in (*links, answer.headers["location"]):
            assert await outcome(process, link) == ("completed", "card")
        assert (await process.ask("/quick", "POST")).status == 200, "there is room again"


@pytest.mark.slow
async def test_a_runtime_of_its_own_refuses_through_the_gateway(tmp_path: Path) -> None:
    document, script = tmp_path / "kept.yaml", Counting()
    document.write_text(KEPT)
    settings = {
        "PLAIT_EXECUTION_HELD_MAX": "1",
        "PLAIT_EXECUTION_BACKLOG_MAX": "1",
        "PLAIT_SERVICES_LISTEN": "127.0.0.1:0",
    }
    async with (
        Upstream(script) as service,
        serving(
            document,
            upstreams={"service": service},
            arguments=["--role=runtime"],
            settings=settings,
        ) as runtime,
    ):
        said = next(line for line in runtime.lines if "listening on" in line)
        there = {"PLAIT_SERVICES_RUNTIME": said.rpartition(" ")[2]}
        arguments = ["--role=gateway"]
        async with serving(document, arguments=arguments, settings=there) as process:
            links = await accepted(process, 2)
            refused = await start(process)
            assert (refused.status, refused.error_code) == (503, "limit.overload")
            assert refused.headers["retry-after"] == "1"
            script.goes_on.set()
            for link in links:
                assert await outcome(process, link) == ("completed", "card")
