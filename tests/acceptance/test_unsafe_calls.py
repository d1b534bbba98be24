"""Unsafe calls cut off by a crash: nobody guesses what became of them."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

import orjson
import pytest

from plait.testing.upstream import Upstream
from plait.testing.upstream_scripts import after, reply
from tests.acceptance.cli import Done, finish, plait, start
from tests.acceptance.gateways import serving
from tests.unit.gateway.wires import WAIT_S

PAY = """\
name: pay
endpoint: {method: POST, path: /pay}
steps:
  - {id: pay, type: http, effect: unsafe, UNKNOWN
     request: {method: POST, url: http://service/pay}}
output: "${pay.response}"
"""
RUN = ("run", "w.yaml", "--durable", "--key", "k")


def write(folder: Path, on_unknown: str = "") -> Path:
    policy = f"on_unknown: {on_unknown}," if on_unknown else ""
    path = folder / "w.yaml"
    path.write_text(PAY.replace("UNKNOWN", policy))
    return path


async def run(folder: Path, service: Upstream, *command: str) -> Done:
    return await plait(*command, "--resolve", f"service={service.address}", cwd=folder)


async def killed_while_paying(folder: Path, service: Upstream) -> str:
    """Return the id of an execution whose worker was killed after its call was sent."""
    command = (*RUN, "--resolve", f"service={service.address}")
    process = await start(*command, cwd=folder)
    async with asyncio.timeout(WAIT_S):
        await service.until_requests(1)
    process.kill()
    done = await finish(process)
    assert done.code == -signal.SIGKILL
    return done.err.split()[1]


async def show(folder: Path, execution_id: str) -> dict[str, object]:
    done = await plait("executions", "show", execution_id, "--json", cwd=folder)
    shown: dict[str, object] = orjson.loads(done.out)
    return shown


async def test_a_call_of_unknown_outcome_waits_for_a_decision(tmp_path: Path) -> None:
    write(tmp_path)
    answered = asyncio.Event()
    async with Upstream(after(answered, reply(json="paid"))) as service:
        execution_id = await killed_while_paying(tmp_path, service)
        for _ in range(2):
            done = await run(tmp_path, service, *RUN)
            assert done.code == 1
            assert f"plait executions decide {execution_id}" in done.err
        shown = await show(tmp_path, execution_id)
        assert (shown["status"], shown["error_code"]) == (
            "running",
            "step.outcome_unknown",
        )
        assert len(service.requests) == 1


@pytest.mark.parametrize(
    ("decision", "code", "output", "requests"),
    [
        (("--as", "done", "--response", '"by hand"'), 0, '"by hand"', 1),
        (("--as", "retry"), 0, '"paid"', 2),
        (("--as", "fail"), 1, "", 1),
    ],
)
async def test_a_person_decides(
    tmp_path: Path, decision: tuple[str, ...], code: int, output: str, requests: int
) -> None:
    write(tmp_path)
    answered = asyncio.Event()
    async with Upstream(after(answered, reply(json="paid"))) as service:
        execution_id = await killed_while_paying(tmp_path, service)
        answered.set()
        await run(tmp_path, service, *RUN)
        decide = ("executions", "decide", execution_id, *decision, "--by", "ada")
        other = await plait(*decide, "--step", "nope", cwd=tmp_path)
        assert "no step 'nope' waits for a decision; those that do: pay" in other.err
        assert (await plait(*decide, cwd=tmp_path)).code == 0
        done = await run(tmp_path, service, *RUN)
        assert (done.code, done.out.strip()) == (code, output)
        assert len(service.requests) == requests
        again = await plait(*decide, cwd=tmp_path)
        assert (again.code, "execution.no_incident" in again.err) == (2, True)


@pytest.mark.parametrize(
    ("on_unknown", "code", "requests"), [("retry", 0, 2), ("fail", 1, 1)]
)
async def test_a_document_decides(
    tmp_path: Path, on_unknown: str, code: int, requests: int
) -> None:
    write(tmp_path, on_unknown)
    answered = asyncio.Event()
    async with Upstream(after(answered, reply(json="paid"))) as service:
        await killed_while_paying(tmp_path, service)
        answered.set()
        done = await run(tmp_path, service, *RUN)
        assert (done.code, len(service.requests)) == (code, requests)
        if code:
            assert done.error["code"] == "step.outcome_unknown"


async def test_a_resumed_call_was_not_made_by_anybody(tmp_path: Path) -> None:
    """What failed is known; resuming it makes no incident."""
    write(tmp_path)
    async with Upstream(reply(503)) as service:
        failed = await run(tmp_path, service, *RUN)
        assert failed.code == 1
        execution_id = failed.err.split()[1]
        service.on("/pay", reply(json="paid"))
        resumed = await run(tmp_path, service, "executions", "resume", execution_id)
        assert (resumed.code, resumed.out.strip()) == (0, '"paid"')


async def test_a_gateway_that_stops_lets_unsafe_calls_end(tmp_path: Path) -> None:
    path = write(tmp_path)
    answered = asyncio.Event()
    store = f"--store={tmp_path / 'plait.db'}"
    async with Upstream(after(answered, reply(json="paid"))) as service:
        upstreams = {"service": service}
        async with serving(path, upstreams=upstreams, arguments=[store]) as process:
            answer = await process.ask("/pay", "POST", body={})
            async with asyncio.timeout(WAIT_S):
                await service.until_requests(1)
            process.stop()
            await process.refusing()
            answered.set()
            assert await process.ended() == 0
        async with serving(path, upstreams=upstreams, arguments=[store]) as process:
            link = answer.headers["location"]
            ended = orjson.loads((await process.ask(f"{link}?wait=20s")).body)
        assert (ended["status"], ended["output"]) == ("completed", "paid")
        assert len(service.requests) == 1
