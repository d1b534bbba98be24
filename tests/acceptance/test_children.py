"""Workflows as steps of workflows: one child a step, whatever crashes."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path
from typing import Any

import orjson
import pytest

from plait.testing.upstream import Upstream
from plait.testing.upstream_scripts import after, in_turn, reply
from tests.acceptance.cli import Done, finish, plait, start
from tests.acceptance.gateways import serving
from tests.unit.gateway.wires import WAIT_S

PARENT = """\
name: parent
MODE
endpoint: {method: POST, path: /parent}
steps:
  - {id: kid, type: workflow, request: {name: child, input: {n: 4}, wait: WAIT}}
output: "${kid.response}"
"""
CHILD = """\
name: child
steps:
  - {id: ask, type: http, request: {method: POST, url: "http://service/${input.n}"}}
output: "${ask.response}"
"""
TWO = """\
name: child
steps:
  - {id: pay, type: http, request: {method: POST, url: "http://service/pay"}}
  - {id: ask, type: http, depends_on: [pay],
     request: {method: POST, url: "http://service/${input.n}"}}
output: "${ask.response}"
"""
EXECUTIONS = "/api/v1/executions"


def write(folder: Path, *, mode: str = "", wait: str = "true") -> None:
    (folder / "parent.yaml").write_text(PARENT.replace("MODE", mode).replace("WAIT", wait))
    (folder / "child.yaml").write_text(CHILD)


async def run(folder: Path, service: Upstream, *more: str) -> Done:
    resolve = f"service={service.address}"
    return await plait("run", "parent.yaml", *more, "--resolve", resolve, cwd=folder)


async def listed(folder: Path) -> dict[str, dict[str, Any]]:
    done = await plait("executions", "list", "--json", cwd=folder)
    return {row["workflow"]: row for row in orjson.loads(done.out)}


@pytest.mark.parametrize("durable", [(), ("--durable",)])
async def test_a_child_gives_the_step_its_response(
    tmp_path: Path, durable: tuple[str, ...]
) -> None:
    write(tmp_path)
    async with Upstream(reply(json="done")) as service:
        done = await run(tmp_path, service, *durable)
        assert (done.code, done.out.strip()) == (0, '"done"')
        assert [one.target for one in service.requests] == ["/4"]
    if durable:
        rows = await listed(tmp_path)
        assert rows["child"]["parent"] == rows["parent"]["id"]


async def test_a_child_gives_the_step_its_failure(tmp_path: Path) -> None:
    write(tmp_path)
    async with Upstream(reply(404)) as service:
        done = await run(tmp_path, service)
    details = done.error["details"]
    assert (done.code, done.error["code"]) == (1, "connector.http.404")
    assert (details["step"], details["child_step"]) == ("kid", "ask")


@pytest.mark.parametrize("mode", ["mode: express", "mode: durable"])
@pytest.mark.parametrize(("partial", "status"), [("true", 200), ("false", 502)])
async def test_what_a_child_goes_without_its_parent_does_too(
    tmp_path: Path, mode: str, partial: str, status: int
) -> None:
    write(tmp_path, mode=mode)
    wait = "wait: 20s, " if "durable" in mode else ""
    endpoint = f"path: /parent, {wait}partial: {partial}}}"
    parent = (tmp_path / "parent.yaml").read_text().replace("path: /parent}", endpoint)
    (tmp_path / "parent.yaml").write_text(parent)
    lost = '  - {id: ad, type: http, on_error: continue, request: {url: "http://service/ad"}}\n'
    (tmp_path / "child.yaml").write_text(CHILD.replace("output:", f"{lost}output:"))
    paths = {"/4": reply(json="done"), "/ad": reply(404)}
    service = Upstream(lambda peer, request: paths[request.target](peer, request))
    async with service, serving(tmp_path, upstreams={"service": service}) as gateway:
        answer = await gateway.ask("/parent", "POST", body={})
    assert (answer.status, answer.headers["plait-completed"]) == (status, "false")
    if status == 200:
        assert orjson.loads(answer.body) == "done"
    else:
        details = orjson.loads(answer.body)["error"]["details"]
        assert details["step"] == "kid"


async def test_after_a_crash_the_parent_waits_for_the_same_child(tmp_path: Path) -> None:
    write(tmp_path)
    answered = asyncio.Event()
    async with Upstream(after(answered, reply(json="done"))) as service:
        command = ("run", "parent.yaml", "--durable", "--key", "k")
        resolve = f"service={service.address}"
        process = await start(*command, "--resolve", resolve, cwd=tmp_path)
        async with asyncio.timeout(WAIT_S):
            await service.until_requests(1)
        process.kill()
        assert (await finish(process)).code == -signal.SIGKILL
        answered.set()
        done = await run(tmp_path, service, "--durable", "--key", "k")
        assert (done.code, done.out.strip()) == (0, '"done"')
        assert len({one.headers["idempotency-key"] for one in service.requests}) == 1
    assert len(await listed(tmp_path)) == 2


async def test_a_parent_that_is_resumed_resumes_its_child(tmp_path: Path) -> None:
    write(tmp_path)
    (tmp_path / "child.yaml").write_text(TWO)
    resolve = "--resolve"
    scripts = [reply(json="paid"), reply(404), reply(404), reply(json="done")]
    async with Upstream(in_turn(*scripts)) as service:
        failed = await run(tmp_path, service, "--durable")
        assert (failed.code, failed.error["code"]) == (1, "connector.http.404")
        before = await listed(tmp_path)
        address = f"service={service.address}"
        again = ("executions", "resume", before["parent"]["id"], resolve, address)
        assert (await plait(*again, cwd=tmp_path)).code == 1
        done = await plait(*again, cwd=tmp_path)
        assert (done.code, done.out.strip()) == (0, '"done"')
        asked = [one.target for one in service.requests]
        assert asked == ["/pay", "/4", "/4", "/4"]
    after_all = await listed(tmp_path)
    assert after_all["child"]["id"] == before["child"]["id"]
    assert after_all["child"]["status"] == "completed"


async def test_a_child_is_cancelled_with_its_parent(tmp_path: Path) -> None:
    write(tmp_path)
    store = f"--store={tmp_path / 'plait.db'}"
    service = Upstream(after(asyncio.Event(), reply()))
    async with (
        service,
        serving(tmp_path, upstreams={"service": service}, arguments=[store]) as gateway,
    ):
        link = (await gateway.ask("/parent", "POST", body={})).headers["location"]
        async with asyncio.timeout(WAIT_S):
            await service.until_requests(1)
        await gateway.ask(f"{link}/cancel", "POST", body={})
        rows = orjson.loads((await gateway.ask(f"{EXECUTIONS}?workflow=child")).body)
        child = rows["executions"][0]["id"]
        ended = orjson.loads((await gateway.ask(f"{EXECUTIONS}/{child}?wait=20s")).body)
        assert ended["status"] == "cancelled"


async def test_a_child_that_nobody_waits_for_goes_on(tmp_path: Path) -> None:
    write(tmp_path, wait="false")
    answered = asyncio.Event()
    store = f"--store={tmp_path / 'plait.db'}"
    service = Upstream(after(answered, reply(json="done")))
    async with (
        service,
        serving(tmp_path, upstreams={"service": service}, arguments=[store]) as gateway,
    ):
        link = (await gateway.ask("/parent", "POST", body={})).headers["location"]
        parent = orjson.loads((await gateway.ask(f"{link}?wait=20s")).body)
        assert parent["status"] == "completed"
        answered.set()
        child = parent["output"]["execution_id"]
        ended = orjson.loads((await gateway.ask(f"{EXECUTIONS}/{child}?wait=20s")).body)
        assert (ended["status"], ended["output"]) == ("completed", "done")


async def test_an_express_parent_leaves_no_child_behind(tmp_path: Path) -> None:
    write(tmp_path, mode="mode: express", wait="false")
    async with Upstream(reply()) as service:
        done = await run(tmp_path, service)
    assert (done.code, done.error["code"]) == (1, "workflow.not_durable")


async def test_workflows_run_each_other_only_so_deep(tmp_path: Path) -> None:
    text = "name: w\nsteps: [{id: w2, type: workflow, request: {name: w}}]\n"
    (tmp_path / "w.yaml").write_text(text)
    done = await plait("run", "w.yaml", "--durable", cwd=tmp_path)
    assert (done.code, done.error["code"]) == (1, "limit.workflow_depth")


@pytest.mark.parametrize("durable", [(), ("--durable",)])
async def test_a_child_takes_no_input_that_does_not_fit(
    tmp_path: Path, durable: tuple[str, ...]
) -> None:
    write(tmp_path)
    schema = "input: {properties: {n: {type: string}}}\n"
    (tmp_path / "child.yaml").write_text(CHILD.replace("steps:", f"{schema}steps:"))
    async with Upstream(reply()) as service:
        done = await run(tmp_path, service, *durable)
        assert (done.code, done.error["code"]) == (1, "workflow.invalid_input")
        (violation,) = done.error["details"]["violations"]
        assert violation["path"] == "/n"
        assert service.requests == []


@pytest.mark.parametrize("durable", [(), ("--durable",)])
async def test_a_child_has_the_defaults_of_its_input(
    tmp_path: Path, durable: tuple[str, ...]
) -> None:
    write(tmp_path)
    child = CHILD.replace("${input.n}", "${input.n}/${input.m}")
    schema = "input: {properties: {n: {type: integer}, m: {default: 7}}}\n"
    (tmp_path / "child.yaml").write_text(child.replace("steps:", f"{schema}steps:"))
    async with Upstream(reply(json="done")) as service:
        done = await run(tmp_path, service, *durable)
        assert (done.code, done.out.strip()) == (0, '"done"')
        assert [one.target for one in service.requests] == ["/4/7"]


async def test_an_express_parent_hears_that_its_child_has_to_wait_for_somebody(
    tmp_path: Path,
) -> None:
    write(tmp_path, mode="mode: express")
    (tmp_path / "child.yaml").write_text(
        "name: child\nsteps: [{id: asked, type: wait, event: {name: paid}}]\n"
    )
    async with Upstream(reply()) as service:
        done = await run(tmp_path, service)
    assert (done.code, done.error["code"]) == (1, "execution.needs_durable")
