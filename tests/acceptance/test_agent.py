"""From a conversation to a deployed workflow that answers, through the real gateway."""

from __future__ import annotations

import json
import re
from base64 import b64encode
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from plait.testing.upstream import Upstream
from plait.testing.upstream_scripts import reply
from tests.acceptance.cli import ROOT, plait
from tests.acceptance.gateways import GatewayProcess, request_bytes, serving

API = "/api/v1"
SHOP = ROOT / "examples/agent/shop.yaml"
USERS: dict[str, Any] = {
    "openapi": "3.1.0",
    "info": {"title": "Users", "version": "1"},
    "servers": [{"url": "http://service"}],
    "paths": {
        "/users/{id}": {
            "get": {
                "operationId": "getUser",
                "parameters": [
                    {
                        "name": "id",
                        "in": "path",
                        "required": True,
                        "schema": {"type": "string"},
                    }
                ],
                "responses": {"200": {"description": "The user"}},
            }
        }
    },
}


SECURED: dict[str, Any] = {
    **USERS,
    "security": [{"key": []}],
    "components": {"securitySchemes": {"key": {"type": "http", "scheme": "bearer"}}},
}
VAULT = {"PLAIT_VAULT_KEY": b64encode(b"k" * 32).decode()}


def gateway(
    folder: Path, upstream: Upstream, document: Any = USERS
) -> AbstractAsyncContextManager[GatewayProcess]:
    (folder / "users.json").write_text(json.dumps(document))
    settings = {
        **VAULT,
        "PLAIT_STORE_URL": str(folder / "plait.db"),
        "PLAIT_AGENT_OPENAPI": json.dumps({"users": str(folder / "users.json")}),
    }
    return serving(upstreams={"service": upstream}, settings=settings)


async def begun(gateway: GatewayProcess, **wish: str) -> str:
    made = await gateway.ask(f"{API}/session", "POST", body=wish)
    assert made.status == 201, made.body
    return str(json.loads(made.body)["session_id"])


async def events(
    gateway: GatewayProcess, path: str, after: int = 0, **query: str
) -> list[tuple[str, Any]]:
    """Return the events of a stream, read to its end."""
    seen = {"last_event_id": str(after)} if after else {}
    async with gateway.client() as client:
        client.send(request_bytes(f"{API}{path}?{urlencode(query)}", **seen))
        lines = (await client.closed()).decode().splitlines()
    assert lines[0].split()[1] == "200", lines
    kinds = [line[7:] for line in lines if line.startswith("event: ")]
    told = [json.loads(line[6:]) for line in lines if line.startswith("data: ")]
    return list(zip(kinds, told, strict=True))


async def say(gateway: GatewayProcess, session_id: str, message: str) -> str:
    told = await events(
        gateway, "/chat/stream", session_id=session_id, user_message=message
    )
    return "".join(data["content"] for _, data in told)


async def test_what_was_said_is_drafted_deployed_called_and_edited(tmp_path: Path) -> None:
    async with Upstream() as upstream:
        upstream.on("/users/7", reply(json={"name": "Ada"}))
        async with gateway(tmp_path, upstream) as first:
            session = await begun(first, action="create")
            said = "Get the user. Expose it as GET /who. Call it 'who'"
            assert "`user`: GET http://service/users/{id}" in await say(
                first, session, said
            )
        # Another process goes on with the same conversation.
        async with gateway(tmp_path, upstream) as second:
            told = await events(second, "/workflow_generation", session_id=session)
            assert [kind for kind, _ in told] == ["waiting", "start", "draft", "complete"]
            rest = await events(second, "/workflow_generation", after=3, session_id=session)
            assert rest == told[3:]
            made = told[-1][1]
            assert upstream.requests == []
            assert (await second.ask("/who?user_id=7")).status == 404
            wish = {
                "name": made["workflow_id"],
                "workflow_definition": made["data"]["definition"],
                "triggers": [],
            }
            done = await second.ask(f"{API}/workflow/deployments", "POST", body=wish)
            assert done.status == 201, done.body
            assert (await second.ask("/who?user_id=7")).body == b'{"user":{"name":"Ada"}}'
            edit = await begun(second, action="edit", workflow_id=made["workflow_id"])
            await say(second, edit, "add a retry of 3 to user")
            told = await events(second, "/workflow_generation", session_id=edit)
            changes = told[-1][1]["data"]["difference"]["changes"]
            assert changes == [{"change": "changed", "step": "user", "keys": ["retry"]}]


async def test_a_draft_is_deployed_when_its_credential_is_there_for_it(
    tmp_path: Path,
) -> None:
    async def keep(host: str, *more: str) -> None:
        store = f"--store={tmp_path / 'plait.db'}"
        words = ("credentials", "add", "users_token", "--type=bearer", f"--host={host}")
        done = await plait(*words, store, *more, env=VAULT, stdin=b"t0ken\n")
        assert done.code == 0, done.err

    async with Upstream() as upstream:
        upstream.on("/users/7", reply(json={"name": "Ada"}))
        async with gateway(tmp_path, upstream, SECURED) as own:
            session = await begun(own, action="create")
            await say(own, session, "Get the user. Expose it as GET /who. Call it 'who'")
            told = await events(own, "/workflow_generation", session_id=session)
            data = told[-1][1]["data"]
            assert data["credentials"] == ["users_token"]
            name = told[-1][1]["workflow_id"]
            wish = {"name": name, "workflow_definition": data["definition"]}
            target = f"{API}/workflow/deployments"

            async def refused() -> list[str]:
                answer = await own.ask(target, "POST", body=wish)
                assert (answer.status, answer.error_code) == (422, "deployment.invalid")
                found = json.loads(answer.body)["error"]["details"]["diagnostics"]
                return [one["code"] for one in found]

            assert await refused() == ["S001"]
            await keep("http://elsewhere")
            assert await refused() == ["S002"]
            await keep("http://service", "--replace")
            done = await own.ask(target, "POST", body=wish)
            assert done.status == 201, done.body
            assert (await own.ask("/who?user_id=7")).body == b'{"user":{"name":"Ada"}}'
        assert upstream.requests[0].headers["authorization"] == "Bearer t0ken"
        assert "t0ken" not in json.dumps(told)


async def test_the_api_refuses_what_the_agent_refuses(tmp_path: Path) -> None:
    async with Upstream() as upstream, gateway(tmp_path, upstream) as own:
        unknown = {"action": "edit", "workflow_id": "nobody"}
        none = await own.ask(f"{API}/session", "POST", body=unknown)
        assert (none.status, none.error_code) == (404, "workflow.unknown")
        session = await begun(own, action="create")
        gone = await own.ask(f"{API}/workflow_generation?session_id=ses_none")
        assert (gone.status, gone.error_code) == (404, "session.unknown")
        early = await own.ask(f"{API}/workflow_generation?session_id={session}")
        assert (early.status, early.error_code) == (409, "session.empty")


@pytest.mark.parametrize("path", ["/api/v1/x", "/health", "/~acme/x"])
async def test_what_is_complete_can_be_deployed_whatever_path_was_wished_for(
    tmp_path: Path, path: str
) -> None:
    async with Upstream() as upstream, gateway(tmp_path, upstream) as own:
        session = await begun(own, action="create")
        await say(own, session, f"Get the user. Expose it as GET {path}")
        told = await events(own, "/workflow_generation", session_id=session)
        kinds = [kind for kind, _ in told]
        assert kinds == ["waiting", "start", "draft", "debugging", "complete"]
        made = told[-1][1]
        assert f"GET {path} belongs to" in " ".join(made["data"]["unresolved"])
        wish = {
            "name": made["workflow_id"],
            "workflow_definition": made["data"]["definition"],
        }
        path = f"{API}/workflow/deployments"
        assert (await own.ask(path, "POST", body=wish)).status == 201


# -- plait draft -----------------------------------------------------------------------


async def test_a_draft_is_printed_and_runs_as_it_is(tmp_path: Path) -> None:
    said = "Get the order and the customer in parallel. Launch a rocket."
    done = await plait("draft", said, "--openapi", SHOP, "-o", "w.yaml", cwd=tmp_path)
    assert done.code == 0
    assert "wrote w.yaml" in done.lines
    assert "needs the credential `shop_token`" in done.lines
    assert "unresolved: Which operation does 'Launch a rocket'?" in done.lines
    checked = await plait("validate", "w.yaml", cwd=tmp_path)
    assert checked.code == 0, checked.out


async def test_an_edit_is_shown_and_written(tmp_path: Path) -> None:
    file = tmp_path / "w.yaml"
    text = "name: w\nsteps:\n  - {id: a, type: set, value: 1}  # one\n"
    file.write_text(text)
    shown = await plait("draft", "disable a", "--edit", file, cwd=tmp_path)
    assert "+  - {id: a, type: set, value: 1, disabled: true}  # one" in shown.out
    assert file.read_text() == text
    await plait("draft", "disable a", "--edit", file, "-o", file, cwd=tmp_path)
    assert file.read_text() == text.replace("1}", "1, disabled: true}")


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["x", "--openapi", "none.yaml"], 2, "none.yaml cannot be read"),
        (["x", "--openapi", "bad.yaml"], 2, "it has no `paths`"),
        (["x", "--edit", "none.yaml"], 2, "none.yaml: cannot be read"),
        (["sing a song"], 1, "unresolved: Which operation does 'sing a song'?"),
    ],
)
async def test_what_cannot_be_drafted_is_told(
    tmp_path: Path, arguments: list[str], code: int, said: str
) -> None:
    (tmp_path / "bad.yaml").write_text("a: 1\n")
    done = await plait("draft", *arguments, cwd=tmp_path)
    assert done.code == code
    assert said in done.err


async def test_events_can_be_read_by_programs(tmp_path: Path) -> None:
    done = await plait("draft", "ship the order", "--openapi", SHOP, "--json", cwd=tmp_path)
    told = [json.loads(line) for line in done.out.splitlines()]
    assert [one["type"] for one in told] == ["draft", "complete"]
    assert told[-1]["data"]["name"] == "ship-shipment"


async def test_the_guide_shows_what_really_comes() -> None:
    page = (ROOT / "docs/guides/agent.md").read_text("utf-8")
    said = re.findall(r'plait draft "(.*?)" (--\w+) (\S+)\n', page)
    document, told = re.findall(r"```(?:yaml)?\n([#n].*?)```", page, re.DOTALL)
    first = await plait("draft", *said[0], cwd=ROOT)
    assert first.out == document
    assert first.err == told
    second = await plait("draft", *said[1], cwd=ROOT)
    assert "+    retry: {max_attempts: 3}" in second.out
