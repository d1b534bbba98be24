"""`plait deploy`, `plait deployments` and a `plait serve` that follows them, for real."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from plait.assembly.stores import open_records, open_store
from plait.model.caller import LOCAL, Caller
from plait.model.json import JsonObject
from plait.operations.deploying import StoredDeployments
from plait.ports.journal import Search
from plait.ports.platform import Wanted
from plait.ports.records import Change
from plait.testing.upstream import Upstream
from plait.testing.upstream_scripts import after, reply
from tests.acceptance.cli import Done, plait
from tests.acceptance.gateways import GatewayProcess, serving
from tests.unit.gateway.wires import WAIT_S, Answer
from tests.unit.operations.deploying import compiles

HELLO = """\
name: {name}
mode: express
endpoint: {{path: "/{name}"}}
steps: [{{id: said, type: set, value: "{value}"}}]
output: ${{said.response}}
"""
PAY = """\
name: pay
endpoint: {{method: POST, path: /pay}}
steps:
  - {{id: hold, type: http, request: {{url: "http://service/hold"}}}}
  - {{id: ship, type: http, request: {{url: "http://service/{where}"}}, depends_on: [hold]}}
output: {{by: {where}, held: "${{hold.response}}"}}
"""


def write(folder: Path, name: str = "hello", value: str = "one") -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / f"{name}.yaml"
    path.write_text(HELLO.format(name=name, value=value))
    return path


async def deploy(folder: Path, *arguments: str) -> Done:
    return await plait("deploy", "wf", *arguments, cwd=folder)


async def deployments(folder: Path, *arguments: str) -> Done:
    return await plait("deployments", *arguments, cwd=folder)


@asynccontextmanager
async def gateway(folder: Path, **more: Any) -> AsyncIterator[GatewayProcess]:
    """Serve what is deployed in `folder`, and no files."""
    place = {"PLAIT_STORE_URL": str(folder / ".plait" / "plait.db")}
    async with serving(settings=place, **more) as process:
        yield process


async def until(process: GatewayProcess, path: str, told: str, status: int = 200) -> Answer:
    """Ask until that is the answer: the gateway follows the store by itself."""
    async with asyncio.timeout(WAIT_S):
        while True:
            answer = await process.ask(path)
            if (answer.status, told in answer.body.decode()) == (status, True):
                return answer


async def test_what_is_deployed_is_served_and_a_second_run_changes_nothing(
    tmp_path: Path,
) -> None:
    write(tmp_path / "wf")
    first = await deploy(tmp_path)
    assert (first.code, first.out.split()[:2]) == (0, ["added", "hello"])
    again = await deploy(tmp_path, "--json")
    told = json.loads(again.out)["deployments"]
    assert (again.code, [one["change"] for one in told]) == (0, ["unchanged"])
    async with gateway(tmp_path) as process:
        assert "  GET    /hello  →  hello (deployed)" in process.lines
        assert (await process.ask("/hello")).body == b'"one"'


@pytest.mark.parametrize("mode", ["durable", "express"])
async def test_what_a_tenant_s_endpoint_starts_is_the_tenant_s(
    tmp_path: Path, mode: str
) -> None:
    place = str(tmp_path / ".plait" / "plait.db")
    text = PAY.format(where="card").replace("path: /pay", "path: /pay, wait: 1ms")
    records = await open_records(place)
    made = StoredDeployments(records, compiles, now_ms=lambda: 0)
    wanted = Wanted("pay", f"{text}mode: {mode}\n")
    await made.deploy(Caller("key:1", "north", "admin"), wanted)
    await records.close()
    async with (
        Upstream(after(asyncio.Event(), reply())) as service,
        gateway(tmp_path, upstreams={"service": service}) as process,
    ):
        answer = await process.ask("/~north/pay", "POST", body={})
        assert answer.status == 202, answer.body
    store = await open_store(place)
    (found,) = await store.find(Search())
    assert (found.new.workflow, found.new.tenant) == ("pay", "north")
    await store.close()
    for tenant, count in (("north", 1), ("default", 0)):
        listed = await plait(
            "executions", "list", "--json", f"--tenant={tenant}", cwd=tmp_path
        )
        assert len(json.loads(listed.out)) == count


async def test_a_dry_run_shows_what_would_change_and_makes_no_store(tmp_path: Path) -> None:
    write(tmp_path / "wf")
    done = await deploy(tmp_path, "--dry-run")
    assert (done.code, done.out.split()[0]) == (0, "added")
    assert not (tmp_path / ".plait").exists()
    write(tmp_path / "wf", "other")
    await deploy(tmp_path)
    write(tmp_path / "wf", value="two")
    (tmp_path / "wf" / "other.yaml").unlink()
    write(tmp_path / "wf", "new")
    done = await deploy(tmp_path, "--dry-run", "--prune")
    words = [line.split() for line in done.out.splitlines() if not line.startswith(" ")]
    told = {name: change for change, name, *_ in words}
    assert told == {"hello": "changed", "new": "added", "other": "removed"}
    assert '    +steps: [{id: said, type: set, value: "two"}]' in done.out
    done = await deploy(tmp_path, "--dry-run")
    assert "still deployed: other (--prune removes)" in done.err
    listed = json.loads((await deployments(tmp_path, "list", "--json")).out)
    assert {one["name"]: one["status"] for one in listed} == {
        "hello": "active",
        "other": "active",
    }
    await deploy(tmp_path, "--prune")
    listed = json.loads((await deployments(tmp_path, "list", "--json")).out)
    assert {one["name"]: one["status"] for one in listed} == {
        "hello": "active",
        "new": "active",
        "other": "inactive",
    }


async def test_with_one_broken_document_nothing_is_deployed(tmp_path: Path) -> None:
    write(tmp_path / "wf")
    broken = tmp_path / "wf" / "broken.yaml"
    for text, told in (
        ("name: x\nsteps: [{id: a, type: nonsense}]\n", "wf/broken.yaml:2:23: D104"),
        (HELLO.format(name="hello", value="two"), "are both called 'hello'"),
        (HELLO.format(name="docs", value="1"), "wf/broken.yaml:3:11: G003"),
    ):
        broken.write_text(text)
        done = await deploy(tmp_path)
        assert (done.code, told in done.err) == (2, True), done.err
        assert "nothing was deployed" in done.lines[-1]
    broken.write_text(HELLO.format(name="b", value="1").replace("/b", "/hello"))
    done = await deploy(tmp_path)
    assert (done.code, done.lines[-1].split(":")[0]) == (2, "deployment.endpoint_taken")
    assert (await deployments(tmp_path, "list")).lines[0].startswith("store.none: ")


async def test_an_alert_is_said_to_be_deployed_by_nobody(tmp_path: Path) -> None:
    alert = "alert: much\nwhen: ${failed >= 3}\nwindow: 1h\nnotify: [{workflow: page}]\n"
    (tmp_path / "alert.yaml").write_text(alert)
    alone = await plait("deploy", "alert.yaml", cwd=tmp_path)
    said = "alert.yaml: an alert is not deployed; `plait serve` is given its file"
    assert (alone.code, alone.lines[0]) == (2, said)
    (tmp_path / "one.yaml").write_text("name: one\nsteps: [{id: a, type: set, value: 1}]\n")
    both = await plait("deploy", ".", cwd=tmp_path)
    assert both.code == 0
    assert said.split(":")[1] in both.err
    assert "one" in both.out


async def test_what_cannot_be_done_is_told_by_its_code(tmp_path: Path) -> None:
    assert (await deployments(tmp_path, "list")).lines[0].startswith("store.none: ")
    write(tmp_path / "wf")
    await deploy(tmp_path)
    for arguments, code in (
        (["show", "nothing"], "deployment.unknown"),
        (["rollback", "hello"], "deployment.nothing_before"),
        (["diff", "hello", "ffff"], "deployment.unknown_version"),
    ):
        done = await deployments(tmp_path, *arguments)
        assert (done.code, done.lines[-1].split(": ")[0]) == (2, code)


async def test_an_export_gives_the_same_bytes_back(tmp_path: Path) -> None:
    folder = tmp_path / "wf"
    write(folder)
    odd = folder / "odd.yaml"
    odd.write_bytes(
        b"\xef\xbb\xbf# \xc3\xa4\r\n" + HELLO.format(name="odd", value="1").encode() + b"#"
    )
    as_json = {
        "name": "j",
        "mode": "express",
        "steps": [{"id": "a", "type": "set", "value": 1}],
    }
    (folder / "j.json").write_text(json.dumps(as_json, indent=3))
    assert (await deploy(tmp_path)).code == 0
    assert (await deployments(tmp_path, "export", "out")).code == 0
    told = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    assert told == {path.name: path.read_bytes() for path in folder.iterdir()}
    (tmp_path / "out" / "odd.yaml").write_text("mine")
    done = await deployments(tmp_path, "export", "out")
    assert (done.code, "odd.yaml would be replaced" in done.err) == (2, True)
    assert (tmp_path / "out" / "odd.yaml").read_text() == "mine"
    assert (await deployments(tmp_path, "export", "out", "--force")).code == 0
    assert (tmp_path / "out" / "odd.yaml").read_bytes() == odd.read_bytes()


async def test_an_export_keeps_the_triggers_that_were_given_beside_a_document(
    tmp_path: Path,
) -> None:
    hook: JsonObject = {"type": "webhook", "path": "/paid", "secret": "shop"}
    text = HELLO.format(name="hello", value="1").replace("express", "durable")
    for store in ("first", "second"):
        (tmp_path / store).mkdir()
    records = await open_records(str(tmp_path / "first" / ".plait" / "plait.db"))
    made = StoredDeployments(records, compiles, now_ms=lambda: 0, is_operators=True)
    deployed = await made.deploy(LOCAL, Wanted("hello", text, [hook]))
    await records.close()
    first, second, out = tmp_path / "first", tmp_path / "second", str(tmp_path / "out")
    done = await deployments(first, "export", out)
    assert (done.code, (tmp_path / "out" / "hello.yaml").read_text()) == (0, text)
    assert (await plait("deploy", out, cwd=second)).code == 0
    shown = await deployments(second, "show", "hello", "--json")
    told = json.loads(shown.out)
    assert (told["version"], told["triggers"]) == (deployed["version"], [hook])
    # A file of triggers that are no more would bring them back.
    beside = tmp_path / "out" / "hello.yaml.triggers"
    beside.rename(tmp_path / "kept")
    assert (await plait("deploy", out, cwd=second)).code == 0
    beside.write_text("[{}]")
    done = await deployments(second, "export", out)
    assert (done.code, "hello.yaml.triggers would be replaced" in done.err) == (2, True)
    wrong = await plait("deploy", out, cwd=second)
    assert (wrong.code, "triggers.0.type" in wrong.err) == (2, True)
    assert (await deployments(second, "export", out, "--force")).code == 0
    assert not beside.exists()
    beside.write_text("{}")
    wrong = await plait("deploy", out, cwd=second)
    assert (wrong.code, "hello.yaml.triggers: cannot be read" in wrong.err) == (2, True)


def hooked(folder: Path, name: str, told: bytes) -> Path:
    """Write a durable workflow and the triggers beside it; return where these are."""
    path = write(folder, name)
    path.write_text(path.read_text().replace("express", "durable"))
    beside = folder / f"{name}.yaml.triggers"
    beside.write_bytes(told)
    return beside


async def test_an_export_gives_the_bytes_of_triggers_back_too(tmp_path: Path) -> None:
    folder = tmp_path / "wf"
    odd = b'\xef\xbb\xbf[{"type":"webhook",\r\n "path": "/p\\u0061id", "secret":"shop"}]'
    beside = hooked(folder, "odd", odd)
    hooked(folder, "none", b" []")
    write(folder, "plain")
    assert (await deploy(tmp_path)).code == 0
    assert (await deployments(tmp_path, "export", "out")).code == 0
    told = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    assert told == {path.name: path.read_bytes() for path in folder.iterdir()}
    # Other bytes are another version, as of documents, and the same again are none.
    for data, change in ((odd + b"\n", "changed"), (odd, "changed"), (odd, "unchanged")):
        beside.write_bytes(data)
        done = json.loads((await deploy(tmp_path, "--json")).out)["deployments"]
        assert {one["name"]: one["change"] for one in done}["odd"] == change
        assert (await deployments(tmp_path, "export", "out", "--force")).code == 0
        assert (tmp_path / "out" / beside.name).read_bytes() == data
    shown = json.loads((await deployments(tmp_path, "show", "odd", "--json")).out)
    assert shown["triggers"] == [{"type": "webhook", "path": "/paid", "secret": "shop"}]


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("d.yaml.triggers", "no workflow 'd.yaml' is beside it; did you mean 'b.yaml"),
        ("b.yml.triggers", "no workflow 'b.yml' is beside it; did you mean 'b.yaml"),
        ("b.triggers", "no workflow 'b' is beside it; did you mean 'b.yaml.triggers'?"),
        ("b.yaml.trigger", "no such file is read; did you mean 'b.yaml.triggers'?"),
        ("b.yaml.TRIGGERS", "no such file is read; did you mean 'b.yaml.triggers'?"),
        ("deep/b.yaml.triggers", "no workflow 'b.yaml' is beside it; name it"),
        ("alert.yaml.triggers", "no workflow 'alert.yaml' is beside it"),
    ],
)
async def test_triggers_without_their_document_are_an_error(
    tmp_path: Path, name: str, told: str
) -> None:
    folder = tmp_path / "wf"
    write(folder, "b")
    alert = Path(__file__).parents[2] / "examples" / "alerts" / "slow.yaml"
    (folder / "alert.yaml").write_bytes(alert.read_bytes())
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    path.write_text("no JSON")
    for more in ((), ("--dry-run",)):
        done = await deploy(tmp_path, *more)
        assert (done.code, f"wf/{name}: {told}" in done.err) == (2, True), done.err
        assert done.lines[-1].endswith("nothing was deployed")
    assert not (tmp_path / ".plait").exists()


async def test_what_is_no_file_of_triggers_is_passed_over(tmp_path: Path) -> None:
    folder = tmp_path / "wf"
    hooked(folder, "b", b"[]")
    for name in ("b.yaml.triggers~", ".d.yaml.triggers", "b.yaml.triggers.bak", "notes.md"):
        (folder / name).write_text("no JSON")
    assert (await deploy(tmp_path)).code == 0
    # Of a document that is named alone, only its own triggers matter.
    (folder / "d.yaml.triggers").write_text("no JSON")
    done = await plait("deploy", "wf/b.yaml", cwd=tmp_path)
    assert (done.code, done.out.split()[0]) == (0, "unchanged")
    (folder / "d.yaml.triggers").unlink()
    done = await plait("deploy", str(folder / "b.yaml"), "wf", cwd=tmp_path)
    assert (done.code, done.out.split()[0]) == (0, "unchanged")


async def test_a_gateway_follows_what_another_process_deploys(tmp_path: Path) -> None:
    async with gateway(tmp_path) as process:  # there is no store yet
        assert (await process.ask("/hello")).status == 404
        write(tmp_path / "wf")
        await deploy(tmp_path)
        await until(process, "/hello", '"one"')
        write(tmp_path / "wf", value="two")
        await deploy(tmp_path)
        await until(process, "/hello", '"two"')
        assert (await deployments(tmp_path, "rollback", "hello")).code == 0
        await until(process, "/hello", '"one"')
        assert (await deployments(tmp_path, "remove", "hello")).code == 0
        await until(process, "/hello", "request.not_found", 404)


async def test_what_is_deployed_over_http_is_served_before_the_reply(
    tmp_path: Path,
) -> None:
    api = "/api/v1/workflow/deployments"
    versions = []
    async with gateway(tmp_path) as process:
        for value, status in (("one", 201), ("two", 201), ("two", 200)):
            wanted = {
                "name": "hello",
                "workflow_definition": HELLO.format(name="hello", value=value),
            }
            made = await process.ask(api, "POST", body=wanted)
            assert (made.status, json.loads(made.body)["status"]) == (status, "active")
            versions.append(json.loads(made.body)["version"])
            assert (await process.ask("/hello")).body == f'"{value}"'.encode()
        wrong = {"name": "hello", "workflow_definition": "name: hello\nsteps: 1\n"}
        refused = await process.ask(api, "POST", body=wrong)
        error = json.loads(refused.body)["error"]
        assert (refused.status, error["code"]) == (422, "deployment.invalid")
        assert error["details"]["diagnostics"][0]["line"] == 2
        query = f"old={versions[0]}&new={versions[1]}"
        told = json.loads((await process.ask(f"{api}/hello/diff?{query}")).body)
        assert [one["path"] for one in told["changes"]] == ["said"]
        back = await process.ask(f"{api}/hello/rollback", "POST", body={})
        assert json.loads(back.body)["version"] == versions[0]
        assert (await process.ask("/hello")).body == b'"one"'
        assert (await process.ask(f"{api}/hello", "DELETE", body={})).status == 200
        assert (await process.ask("/hello")).status == 404
        assert (await process.ask(f"{api}/nothing")).status == 404


async def test_no_request_is_lost_and_none_sees_half_of_a_switch(tmp_path: Path) -> None:
    folder = tmp_path / "wf"
    write(folder, "a")
    write(folder, "b")
    await deploy(tmp_path)
    async with gateway(tmp_path) as process, process.client() as client:

        async def value(path: str) -> str:
            answer = await client.ask(f"GET {path} HTTP/1.1\r\nHost: g\r\n\r\n".encode())
            assert answer.status == 200
            return str(json.loads(answer.body))

        for word in ("two", "three"):
            write(folder, "a", word)
            write(folder, "b", word)
            deploying = asyncio.create_task(deploy(tmp_path))
            async with asyncio.timeout(WAIT_S):
                # `b` is asked last: it is never older than `a`.
                while (first := await value("/a")) != word:
                    assert first != word
                assert await value("/b") == word
            await deploying


async def test_deployed_and_given_documents_are_served_side_by_side(tmp_path: Path) -> None:
    write(tmp_path / "wf")
    write(tmp_path / "wf", "same", "deployed")
    await deploy(tmp_path)
    given = tmp_path / "given"
    write(given, "file")
    write(given, "same", "given")
    parent = given / "parent.yaml"
    parent.write_text(
        "name: parent\nmode: express\nendpoint: {path: /parent}\nsteps:\n"
        "  - {id: one, type: workflow, request: {name: hello}}\n"
        "  - {id: two, type: workflow, request: {name: same}}\n"
        'output: ["${one.response}", "${two.response}"]\n'
    )
    async with serving(given, arguments=["--reload"]) as process:
        assert (await process.ask("/hello")).body == b'"one"'
        assert (await process.ask("/file")).body == b'"one"'
        # A file's route and name win over what is deployed.
        assert (await process.ask("/same")).body == b'"given"'
        assert (await process.ask("/parent")).body == b'["one","given"]'
        write(given, "file", "two")
        await process.until_said("reloaded")
        assert (await process.ask("/file")).body == b'"two"'
        assert (await process.ask("/hello")).body == b'"one"'


async def test_an_execution_in_flight_stays_on_its_version_through_a_kill(
    tmp_path: Path,
) -> None:
    held = asyncio.Event()
    folder = tmp_path / "wf"
    folder.mkdir()
    document = folder / "pay.yaml"
    document.write_text(PAY.format(where="first"))
    await deploy(tmp_path)
    service = Upstream(reply(json=1)).on("/hold", after(held, reply(json=1)))
    async with service:
        hosts = {"upstreams": {"service": service}}
        async with gateway(tmp_path, **hosts) as process:
            started = await process.ask("/pay", "POST", body={})
            assert started.status == 202
            await service.until_requests(1)
            document.write_text(PAY.format(where="second"))
            await deploy(tmp_path)
            process.process.send_signal(signal.SIGKILL)
            await process.ended()
        held.set()
        async with gateway(tmp_path, **hosts) as process:
            link = started.headers["location"]
            told = json.loads((await process.ask(f"{link}?wait=30s")).body)
            assert (told["status"], told["output"]["by"]) == ("completed", "first")
            other = await process.ask("/pay", "POST", body={}, prefer="wait=20")
            assert json.loads(other.body)["by"] == "second"


async def test_a_broken_stored_definition_takes_nothing_down(tmp_path: Path) -> None:
    write(tmp_path / "wf")
    write(tmp_path / "wf", "other")
    await deploy(tmp_path)
    records = await open_records(str(tmp_path / ".plait" / "plait.db"))
    try:
        (kept,) = await records.find("deployment.version", "default", prefix="hello/")
        nonsense = b'{"v": 1, "definition": "name: hello\\nsteps: 1", "triggers": []}'
        await records.change([Change(kept.kind, "default", kept.key, nonsense)], 0)
        async with gateway(tmp_path) as process:
            assert (await process.ask("/other")).status == 200
            assert (await process.ask("/hello")).status == 404
            await process.until_said("hello (deployed):2:8: D103")
            health = json.loads((await process.ask("/health/ready")).body)
            assert (health["status"], health["broken_documents"]) == ("ready", 1)
            # One that is served stays, when its next version is broken.
            (kept,) = await records.find("deployment", "default", prefix="other")
            await records.change([Change(kept.kind, "default", kept.key, b"{")], 0)
            await process.until_said("other (deployed):1:1: F003")
            assert (await process.ask("/other")).status == 200
            write(tmp_path / "wf", value="two")
            assert (await deploy(tmp_path)).code == 0
            await until(process, "/hello", '"two"')
    finally:
        await records.close()


async def test_without_documents_it_serves_and_with_nothing_to_watch_it_says_so(
    tmp_path: Path,
) -> None:
    done = await plait("serve", "--reload", cwd=tmp_path)
    assert (done.code, done.lines[-1].split(":")[0]) == (2, "--reload")
    async with gateway(tmp_path) as process:
        health = json.loads((await process.ask("/health/ready")).body)
        assert (health["status"], health["endpoints"]) == ("ready", 0)
        process.stop()
        assert await process.ended() == 0


async def test_the_command_line_deploys_for_a_tenant_and_shows_only_what_it_has(
    tmp_path: Path,
) -> None:
    write(tmp_path / "wf", "hello", "ours")
    assert (await deploy(tmp_path)).code == 0
    write(tmp_path / "wf", "hello", "theirs")
    assert (await deploy(tmp_path, "--tenant", "acme")).code == 0
    write(tmp_path / "wf", "more")
    assert (await deploy(tmp_path, "--tenant", "acme")).code == 0
    async with gateway(tmp_path) as process:
        await until(process, "/hello", "ours")
        await until(process, "/~acme/hello", "theirs")
    removed = await deployments(tmp_path, "remove", "more", "--tenant", "acme")
    assert removed.code == 0, removed.err
    assert (await deployments(tmp_path, "show", "more")).code != 0
    out = tmp_path / "out"
    assert (await deployments(tmp_path, "export", str(out), "--tenant=acme")).code == 0
    assert [path.name for path in out.iterdir()] == ["hello.yaml"]
    assert "theirs" in (out / "hello.yaml").read_text()
    wrong = await deploy(tmp_path, "--tenant", "*")
    assert (wrong.code != 0, "a tenant's name is" in wrong.err) == (True, True)


PARENT = """\
name: parent
mode: {mode}
endpoint: {{path: /parent, wait: 20s}}
steps: [{{id: kid, type: workflow, request: {{name: hello}}}}]
output: ${{kid.response}}
"""


@pytest.mark.parametrize("mode", ["express", "durable"])
async def test_a_tenants_workflows_run_its_own_as_steps_and_no_others(
    tmp_path: Path, mode: str
) -> None:
    (write(tmp_path / "wf").parent / "parent.yaml").write_text(
        PARENT.format(mode=mode).replace(", wait: 20s" if mode == "express" else "|", "")
    )
    assert (await deploy(tmp_path)).code == 0
    write(tmp_path / "wf", "hello", "theirs")
    assert (await deploy(tmp_path, "--tenant", "acme")).code == 0
    assert (await deploy(tmp_path, "--tenant", "poor")).code == 0
    assert (await deployments(tmp_path, "remove", "hello", "--tenant", "poor")).code == 0
    async with gateway(tmp_path) as process:
        await until(process, "/parent", "one")
        await until(process, "/~acme/parent", "theirs")
        lacking = await process.ask("/~poor/parent")
        assert "workflow.unknown" in lacking.body.decode()


@pytest.mark.parametrize("tenant", ["default", "acme"])
async def test_a_command_that_resumes_an_execution_finds_what_is_deployed(
    tmp_path: Path, tenant: str
) -> None:
    (tmp_path / "wf").mkdir()
    (tmp_path / "wf" / "parent.yaml").write_text(PARENT.format(mode="durable"))
    assert (await deploy(tmp_path, "--tenant", tenant)).code == 0
    path = "/parent" if tenant == "default" else f"/~{tenant}/parent"
    async with gateway(tmp_path) as process:
        told = await process.ask(path)
        assert "workflow.unknown" in told.body.decode()
    write(tmp_path / "wf", "hello", "deployed")
    assert (await deploy(tmp_path, "--tenant", tenant)).code == 0
    # Drafts at hand are not what it goes on with.
    folder = write(tmp_path / "elsewhere", "hello", "a draft").parent
    store = ["--store", str(tmp_path / ".plait" / "plait.db")]
    listed = await plait("executions", "list", "--json", *store, cwd=folder)
    (parent,) = json.loads(listed.out)
    resumed = await plait("executions", "resume", parent["id"], *store, cwd=folder)
    assert (resumed.code, resumed.out.strip()) == (0, '"deployed"'), resumed.err
