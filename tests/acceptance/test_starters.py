"""Who or what started an execution: told by the API and the command line, kept with it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.acceptance.cli import plait
from tests.acceptance.gateways import GatewayProcess, serving
from tests.acceptance.test_webhooks import SECRET, signed

CALLED = """\
name: called
steps: [{id: how, type: set, value: "${trigger.type}"}]
output: ${how.response}
"""
ASKED = """\
name: asked
endpoint: {method: POST, path: /asked, wait: 20s, auth: required}
triggers: [{type: webhook, path: /asked, secret: shop}]
steps:
  - {id: how, type: set, value: "${trigger.type}"}
  - {id: child, type: workflow, request: {name: called}}
output: {how: "${how.response}", child: "${child.response}"}
"""
EXECUTIONS = "/api/v1/executions"


async def shown(gateway: GatewayProcess, execution_id: str, key: str) -> Any:
    answer = await gateway.ask(f"{EXECUTIONS}/{execution_id}?wait=20s", X_API_Key=key)
    assert answer.status == 200
    return json.loads(answer.body)


async def latest(gateway: GatewayProcess, workflow: str, key: str) -> str:
    answer = await gateway.ask(f"{EXECUTIONS}?workflow={workflow}&limit=1", X_API_Key=key)
    (row,) = json.loads(answer.body)["executions"]
    found: str = row["id"]
    return found


async def test_everything_that_starts_an_execution_is_told_with_it(tmp_path: Path) -> None:
    documents = tmp_path / "documents"
    documents.mkdir()
    for text in (ASKED, CALLED):
        (documents / f"{len(text)}.yaml").write_text(text)
    store = f"--store={tmp_path / '.plait' / 'plait.db'}"
    key = (await plait("keys", "create", "ci", "--role=admin", store)).out.strip()
    by = f"key:{key.split('_')[1]}"
    arguments = {"arguments": [store], "settings": {"PLAIT_SECRET_SHOP": SECRET}}
    async with serving(documents, **arguments) as gateway:  # type: ignore[arg-type]
        # A request.
        answer = await gateway.ask("/asked", "POST", body={}, X_API_Key=key, Cookie="a=b")
        assert json.loads(answer.body) == {"how": "http", "child": "workflow"}
        first = await latest(gateway, "asked", key)
        told = await shown(gateway, first, key)
        http = {"type": "http", "by": by, "method": "POST", "path": "/asked"}
        assert told["started_by"] == http
        assert key not in json.dumps(told)
        # A step of it.
        child = await shown(gateway, await latest(gateway, "called", key), key)
        assert child["started_by"] == {
            "type": "workflow",
            "step": "child",
            "execution_id": first,
        }
        # The API.
        wish = {"workflow": "called", "mode": "durable", "wait": "20s"}
        path = "/api/v1/workflow/execute"
        answer = await gateway.ask(path, "POST", body=wish, X_API_Key=key)
        made = await shown(gateway, json.loads(answer.body)["execution_id"], key)
        assert made["started_by"] == {"type": "api", "by": by}
        # A webhook.
        hook = signed(b"{}", "msg_7")
        answer = await gateway.ask("/webhooks/asked", "POST", body=b"{}", **hook)
        hooked = await shown(gateway, json.loads(answer.body)["execution_id"], key)
        assert hooked["started_by"] == {"type": "webhook", "path": "/asked", "id": "msg_7"}
        # One begun again from another: by whom, and its templates see what they saw.
        for verb, body in (("restart", {}), ("fork", {"from": "how"})):
            answer = await gateway.ask(
                f"{EXECUTIONS}/{first}/{verb}", "POST", body=body, X_API_Key=key
            )
            again = await shown(gateway, json.loads(answer.body)["id"], key)
            assert again["started_by"] == {"type": verb, "by": by, "execution_id": first}
            assert again["output"]["how"] == "http"
            assert again["parent"] == first
        # Who knows the id alone is not told.
        anybody = await gateway.ask(f"{EXECUTIONS}/{first}", X_Forwarded_For="10.0.0.1")
        assert (anybody.status, "started_by" in json.loads(anybody.body)) == (200, False)


async def test_the_command_line_tells_it_too_also_of_an_archive(tmp_path: Path) -> None:
    (tmp_path / "w.yaml").write_text(CALLED)
    done = await plait("run", "w.yaml", "--durable", cwd=tmp_path)
    assert (done.code, done.out) == (0, '"cli"\n'), done.err
    rows = json.loads((await plait("executions", "list", "--json", cwd=tmp_path)).out)
    (first,) = [row["id"] for row in rows]
    assert (await plait("executions", "restart", first, cwd=tmp_path)).code == 0

    async def told(*more: str) -> dict[str, Any]:
        rows = json.loads(
            (await plait("executions", "list", "--json", *more, cwd=tmp_path)).out
        )
        found = {}
        for row in rows:
            one = await plait(
                "executions", "show", row["id"], "--json", *more, cwd=tmp_path
            )
            found[row["id"]] = json.loads(one.out)["started_by"]
        return found

    before = await told()
    again = next(one for one in before if one != first)
    who = before[first]["by"]
    assert who.startswith("cli")
    assert before == {
        first: {"type": "cli", "by": who},
        again: {"type": "restart", "by": who, "execution_id": first},
    }
    text = (await plait("executions", "show", again, cwd=tmp_path)).out
    assert f"by         {who} (restart {first})\n" in text
    archive = (await plait("executions", "export", "--all", cwd=tmp_path)).out
    there = "--store=other.db"
    taken = await plait(
        "executions", "import", "-", there, cwd=tmp_path, stdin=archive.encode()
    )
    assert taken.code == 0, taken.err
    assert await told(there) == before
