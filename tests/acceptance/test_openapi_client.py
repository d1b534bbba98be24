"""From a conversation to an execution's history, by the OpenAPI document alone."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.gateways import serving
from tests.acceptance.openapi_client import OpenapiClient
from tests.acceptance.test_roles import role
from tests.unit.gateway.wires import WAIT_S

FIRST = """\
name: charge
mode: durable
steps: [{id: said, type: set, value: "${input.amount}"}]
output: {paid: "${said.response}"}
"""
SECOND = FIRST.replace("{paid:", "{charged:")
WAITING = """\
name: waiting
mode: durable
steps: [{id: paid, type: wait, event: {name: paid}}]
output: ${paid.response}
"""


async def test_workflows_are_drafted_deployed_run_and_looked_back_at(
    tmp_path: Path,
) -> None:
    settings = {"PLAIT_STORE_URL": str(tmp_path / "plait.db")}
    async with serving(settings=settings) as process:
        client = await asyncio.to_thread(OpenapiClient, *process.address)
        await asyncio.to_thread(_story, client)


@pytest.mark.slow
async def test_the_same_through_four_processes(tmp_path: Path) -> None:
    store = tmp_path / "plait.db"
    async with (
        role("runtime", store=store) as (_, runtime),
        role("engine", store=store, runtime=runtime) as (_, engine),
        role("agent", store=store, runtime=runtime) as (_, agent),
        role("gateway", store=store, engine=engine, runtime=runtime, agent=agent) as (
            gateway,
            _,
        ),
    ):
        client = await asyncio.to_thread(Patient, *gateway.address)
        await asyncio.to_thread(_story, client)


class Patient(OpenapiClient):
    """Waits until the engine, another process, has seen what was deployed."""

    def answer(self, operation_id: str, body: Any = None, **given: Any) -> tuple[int, Any]:
        """Ask again where the engine knows no workflow, or the version before, as yet."""
        until_s = time.monotonic() + WAIT_S
        while True:
            status, told = super().answer(operation_id, body, **given)
            name = body.get("workflow") if isinstance(body, dict) else None
            is_new = status == 404 and name in ("charge", "waiting")
            is_former = status == 200 and told.get("output") == {"paid": 7}
            if not (is_new or is_former) or time.monotonic() > until_s:
                return status, told


def _story(client: OpenapiClient) -> None:
    drafted = _drafts(client)
    _deploys(client, drafted)
    _executes(client)
    _follows(client)


def _drafts(client: OpenapiClient) -> str:
    """Deploy what was drafted; return its name."""
    session = client.call("create_session", {"action": "create"})["session_id"]
    said = "Wait a minute."
    heard = client.events("chat", session_id=session, user_message=said)
    assert {event.type for event in heard} == {"message"}
    assert heard[0].data["content"]
    drafting = client.events("generate_workflow", session_id=session)
    assert [event.type for event in drafting][:2] == ["waiting", "start"]
    again = {"session_id": session, "Last-Event-ID": drafting[-2].id}
    assert client.events("generate_workflow", **again) == drafting[-1:]
    assert drafting[-1].type == "complete"
    made = drafting[-1].data
    wish = {
        "name": made["workflow_id"],
        "workflow_definition": made["data"]["definition"],
        "triggers": [],
    }
    deployed = client.call("deploy_workflow", wish)
    assert deployed["status"] == "active"
    return str(deployed["name"])


def _deploys(client: OpenapiClient, drafted: str) -> None:
    wish = {"name": "charge", "workflow_definition": FIRST, "triggers": []}
    assert client.call("deploy_workflow", wish, validate_only="true")["valid"] is True
    made = client.call("deploy_workflow", wish)
    assert client.call("deploy_workflow", wish)["changed"] is False
    one = {"deployment_id": made["deployment_id"]}
    client.call("update_deployment", {"workflow_definition": SECOND}, **one)
    versions = client.call("list_versions", **one)["versions"]
    new, old = (version["version"] for version in versions)
    compared = client.call("compare_versions", old=old, new=new, **one)
    assert "charged" in compared["text"]
    client.call("roll_back_deployment", {}, **one)
    assert client.call("get_deployment", **one)["version"] == old
    client.call("activate_version", {"version": new}, **one)
    names = [row["name"] for row in client.call("list_deployments")["deployments"]]
    assert names == sorted(["charge", drafted])
    broken = {**wish, "workflow_definition": "steps: 7"}
    status, _ = client.refused("deploy_workflow", broken)
    assert status in (400, 422)


def _executes(client: OpenapiClient) -> None:
    wish = {"workflow": "charge", "input": {"amount": 7}, "wait": "20s"}
    done = client.call("execute_workflow", wish)
    assert (done["status"], done["output"]) == ("completed", {"charged": 7})
    one = {"execution_id": done["execution_id"]}
    assert client.call("get_execution", **one)["output"] == {"charged": 7}
    steps = client.call("get_timeline", **one)["steps"]
    assert [step["step"] for step in steps] == ["said"]
    page = client.call("list_executions", workflow="charge", page=1, page_size=1_000)
    assert page["executions"][0]["id"] == done["execution_id"]
    assert page["total_count"] == len(page["executions"])
    events = client.events("execute_workflow", {**wish, "stream": True})
    assert events[-1].type == "result"
    assert events[-1].data["output"] == {"charged": 7}
    unknown = client.refused("execute_workflow", {"workflow": "chrage"})
    assert unknown == (404, "workflow.unknown")


def _follows(client: OpenapiClient) -> None:
    client.call("deploy_workflow", {"name": "waiting", "workflow_definition": WAITING})
    begun = client.call("execute_workflow", {"workflow": "waiting", "wait": "0s"})
    one = {"execution_id": begun["execution_id"]}
    assert client.call("get_execution", **one)["status"] == "running"
    client.call("signal_execution", {"name": "paid", "payload": {"by": "card"}}, **one)
    ended = client.call("get_execution", wait="20s", **one)
    assert ended["output"] == {"by": "card"}
    events = client.events("follow_execution", **one)
    assert [event.type for event in events] == ["turn", "turn", "end"]
    rest = client.events("follow_execution", **one, **{"Last-Event-ID": events[0].id})
    assert rest == events[1:]
    assert client.refused("cancel_execution", {}, **one)[0] == 409
    other = {"execution_id": client.call("restart_execution", {}, **one)["id"]}
    client.call("cancel_execution", {"reason": "enough"}, **other)
    assert client.call("get_execution", wait="20s", **other)["status"] == "cancelled"
