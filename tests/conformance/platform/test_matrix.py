"""Every method of every service, asked by every role and by another tenant.

The methods are those of the descriptors: of a new one it has to be told who may call it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import grpc
import pytest

from plait.assembly import roles
from plait.assembly.sources import read_settings
from plait.model.caller import ANYBODY, LOCAL, ROLES, Caller
from plait.services.methods import METHODS
from plait.services.server import ServiceServer
from plait.services.v1 import agent_pb2, engine_pb2, runtime_pb2
from plait.services.wire import Asked, loaded_object, metadata_of

WAITING: Final = b"""{"name": "waiting", "mode": "durable",
 "steps": [{"id": "paid", "type": "wait", "event": {"name": "paid"}}]}"""
ANY: Final = "anybody"
FREE: Final = ("OK", "NOT_FOUND", "INVALID_ARGUMENT", "FAILED_PRECONDITION", "ABORTED")

# Who may call what, at least. ANY: whoever knows an id, or proves it by a signature.
NEEDED: Final = {
    "engine": {"execute": "operator", "execute_stream": "operator", "run_plan": "operator"},
    "runtime": {
        "validate_definition": "editor",
        "deploy": "editor",
        "list_deployments": "viewer",
        "get_deployment": "viewer",
        "diff_deployment": "viewer",
        "activate_deployment": "editor",
        "undeploy": "editor",
        "find_executions": "viewer",
        "get_execution": ANY,
        "follow_execution": ANY,
        "get_timeline": "viewer",
        "change_execution": "operator",
        "start_plan": "operator",
        "deliver_webhook": ANY,
        "list_triggers": "viewer",
    },
    "agent": {
        "create_session": "editor",
        "stream_chat": "editor",
        "stream_workflow_generation": "editor",
    },
}
CELLS: Final = [
    (service, method, role)
    for service, methods in METHODS.items()
    for method in methods
    for role in (None, *ROLES)
]
# What is found by an id, and so not by another tenant.
BY_ID: Final = [
    *("get_deployment", "diff_deployment", "activate_deployment", "undeploy"),
    *("get_execution", "follow_execution", "get_timeline", "change_execution"),
    *("execute", "execute_stream", "stream_chat", "stream_workflow_generation"),
]


class Asking:
    """Services with a workflow, an execution and a session in them, and who asks them."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._channel = channel
        self.execution_id = self.session_id = ""

    async def fill(self) -> None:
        """Deploy a workflow, begin an execution of it, and a conversation."""
        for version in (WAITING, WAITING.replace(b'"paid"}', b'"settled"}')):
            wanted = runtime_pb2.DeployRequest(name="waiting", definition=version.decode())
            await self.told("runtime", "deploy", LOCAL, wanted)
        order = engine_pb2.ExecuteRequest(workflow="waiting")
        begun = await self.told("engine", "execute", LOCAL, order)
        self.execution_id = begun.execution_id
        wish = agent_pb2.CreateSessionRequest(action="create")
        session = await self.told("agent", "create_session", LOCAL, wish)
        self.session_id = str(loaded_object(session.json)["session_id"])

    def request(self, method: str) -> Any:
        """Return a request that is refused for nothing but who asks."""
        named: Any = {"deployment_id": "waiting"}
        known: Any = {"execution_id": self.execution_id}
        session: Any = {"session_id": self.session_id}
        waiting = WAITING.decode()
        rt, run = runtime_pb2, engine_pb2.RunPlanRequest(plan_hash="sha256:none")
        made: dict[str, Any] = {
            "execute": engine_pb2.ExecuteRequest(workflow="waiting"),
            "execute_stream": engine_pb2.ExecuteRequest(workflow="waiting"),
            "run_plan": run,
            "validate_definition": rt.ValidateDefinitionRequest(definition=waiting),
            "deploy": rt.DeployRequest(name="waiting", definition=waiting),
            "list_deployments": rt.ListDeploymentsRequest(limit=10),
            "get_deployment": rt.GetDeploymentRequest(**named),
            "diff_deployment": rt.DiffDeploymentRequest(**named, old="a", new="b"),
            "activate_deployment": rt.ActivateDeploymentRequest(**named),
            "undeploy": rt.UndeployRequest(**named),
            "find_executions": rt.FindExecutionsRequest(limit=10),
            "get_execution": rt.GetExecutionRequest(**known),
            "follow_execution": rt.FollowExecutionRequest(**known),
            "get_timeline": rt.GetTimelineRequest(**known),
            "change_execution": rt.ChangeExecutionRequest(**known, verb="cancel"),
            "start_plan": rt.StartPlanRequest(run=run),
            "deliver_webhook": rt.DeliverWebhookRequest(path="none", method="POST"),
            "list_triggers": rt.ListTriggersRequest(),
            "create_session": agent_pb2.CreateSessionRequest(action="create"),
            "stream_chat": agent_pb2.StreamChatRequest(**session, message="hello"),
            "stream_workflow_generation": agent_pb2.StreamWorkflowGenerationRequest(
                **session
            ),
        }
        return made[method]

    async def told(self, service: str, name: str, caller: Caller, request: Any) -> Any:
        """Return the answer; of a stream the first."""
        method = METHODS[service][name]
        kind = self._channel.unary_stream if method.is_stream else self._channel.unary_unary
        call: Any = kind(
            method.path,
            request_serializer=method.dump,
            response_deserializer=method.load_reply,
        )(request, metadata=metadata_of(Asked(caller), None))
        if not method.is_stream:
            return await call
        first = await call.read()
        call.cancel()
        return first

    async def status(self, service: str, name: str, caller: Caller) -> str:
        """Return the status that a call ends with."""
        try:
            await self.told(service, name, caller, self.request(name))
        except grpc.aio.AioRpcError as error:
            return str(error.code().name)
        return "OK"


@pytest.fixture
async def asking(tmp_path: Path) -> AsyncIterator[Asking]:
    """All services as a deployment has them, on a socket."""
    store = {"store": {"url": str(tmp_path / "plait.db")}}
    configured = read_settings({}, folder=tmp_path, overrides=store)
    made = {name: build(configured, None, []) for name, build in roles.BUILDERS.items()}
    async with AsyncExitStack() as stack:
        for service in made.values():
            stack.push_async_callback(service.close)
            await service.prepare()
        server = ServiceServer({name: one.servicer for name, one in made.items()})
        port = await server.listen("127.0.0.1:0")
        stack.push_async_callback(server.drain, 0.0)
        channel = grpc.aio.insecure_channel(f"127.0.0.1:{port}")
        stack.push_async_callback(channel.close)
        case = Asking(channel)
        await case.fill()
        yield case


def test_every_method_is_told_who_may_call_it() -> None:
    told = {service: set(methods) for service, methods in NEEDED.items()}
    assert told == {service: set(methods) for service, methods in METHODS.items()}


async def test_every_method_refuses_whom_it_may_not_serve(asking: Asking) -> None:
    wrong = []
    for service, method, role in CELLS:
        needed = NEEDED[service][method]
        caller = Caller("user:ann", role=role)
        if needed == ANY and role is None:
            caller = ANYBODY
        held = -1 if role is None else ROLES.index(role)
        may = needed == ANY or held >= ROLES.index(needed)
        # Whoever may change things would change them for the others: asked, not done.
        if may and method in ("undeploy", "change_execution"):
            continue
        status = await asking.status(service, method, caller)
        if status not in (FREE if may else ("PERMISSION_DENIED",)):
            wrong.append(f"{role} {service}.{method}: {status}")
    assert wrong == []


async def test_what_another_tenant_has_does_not_exist(asking: Asking) -> None:
    stranger = replace(LOCAL, subject="user:eve", tenant="elsewhere")
    found = {
        method: await asking.status(service, method, stranger)
        for service, methods in METHODS.items()
        for method in methods
        if method in BY_ID
    }
    assert found == dict.fromkeys(found, "NOT_FOUND")
    rows = await asking.told(
        "runtime", "find_executions", stranger, asking.request("find_executions")
    )
    assert loaded_object(rows.json)["executions"] == []
    kept = await asking.told(
        "runtime", "list_deployments", stranger, asking.request("list_deployments")
    )
    assert loaded_object(kept.json)["deployments"] == []
