"""Route × role × tenant, over HTTP: generated from the OpenAPI document.

A route that has no sample here fails the build, and so does one that lets somebody further
than the role that the document names, or shows anything of another tenant.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from plait.gateway.app import Gateway
from plait.gateway.message import Reply, Request
from plait.model.caller import DEFAULT_TENANT, ROLES, Caller
from plait.ports.identity import Unauthenticated
from tests.conformance.platform.whole import whole

ORDER = """\
name: order
mode: durable
steps: [{id: paid, type: wait, event: {name: paid}}]
output: ${paid.response}
"""
VERBS: Mapping[str, Any] = {
    "cancel_execution": {},
    "rollback_execution": {},
    "resume_execution": {},
    "restart_execution": {},
    "fork_execution": {"from": "paid"},
    "signal_execution": {"name": "paid"},
    "approve_execution": {},
    "reject_execution": {},
    "decide_execution": {"as": "fail"},
}
DEPLOYMENT: Mapping[str, Any] = {"workflow_definition": ORDER, "triggers": []}
CREDENTIAL: Mapping[str, Any] = {
    "type": "bearer",
    "hosts": ["api.example.com"],
    "fields": {"token": "s3cr3t"},
}
PASSWORD = "correct horse battery"
# What each operation is asked with; those that end something stand last.
BODIES: Mapping[str, Any] = {
    "list_audit": None,  # first: whoever asks sees what they themselves have tried
    "get_execution": None,
    "list_executions": None,
    "follow_execution": None,
    "get_timeline": None,
    "execute_workflow": {"workflow": "order", "wait": "0s"},
    "deploy_workflow": {"name": "order", **DEPLOYMENT},
    "list_deployments": None,
    "get_deployment": None,
    "update_deployment": DEPLOYMENT,
    "list_versions": None,
    "compare_versions": None,
    "activate_version": {"version": "v1"},
    "roll_back_deployment": {},
    "list_triggers": None,
    "create_session": {"action": "create"},
    "chat": None,
    "generate_workflow": None,
    "list_credentials": None,
    "add_credential": {"name": "shop", **CREDENTIAL},
    "get_credential": None,
    "replace_credential": CREDENTIAL,
    "list_keys": None,
    "create_key": {"name": "ci", "role": "viewer", "expires_in": "1h"},
    "list_users": None,
    "add_user": {"name": "ann", "role": "viewer", "password": PASSWORD},
    "set_password": {"password": PASSWORD},
    **VERBS,
    "undeploy_workflow": None,
    "remove_credential": None,
    "revoke_key": None,
    "remove_user": None,
}
# Whoever knows an execution's id may ask these: they are told how it ended, and no more.
PUBLIC = {"get_execution", "follow_execution"}
# These begin something of one's own; there is nothing of another tenant to see.
BEGINS = {
    *("deploy_workflow", "create_session", "add_credential", "create_key", "add_user"),
}


class Known:
    """Knows callers by `Bearer ROLE TENANT`."""

    async def authenticate(self, headers: Mapping[str, str], peer: str) -> Caller:
        """Return who asks."""
        words = headers.get("authorization", "").split()
        if not words:
            raise Unauthenticated("show who you are")
        return Caller(f"user:{words[1]}", words[2], words[1] if words[1] in ROLES else None)


@dataclass
class Scene:
    """A gateway with an execution, a deployment and a session of the default tenant."""

    gateway: Gateway
    ids: dict[str, str]
    operations: dict[str, tuple[str, str, str]]

    async def ask(
        self, name: str, role: str | None, tenant: str, more: str = ""
    ) -> tuple[int, bytes]:
        """Ask one operation; return status and body, of a stream its beginning.

        Args:
            more: A query of which no parameter is needed.
        """
        method, path, query = self.operations[name]
        query = query or more
        headers = {b"authorization": f"Bearer {role} {tenant}".encode()} if role else {}
        body = BODIES[name]
        if method in ("POST", "PUT"):  # a DELETE is described without a body
            headers[b"content-type"] = b"application/json"
        data = b"" if body is None else orjson.dumps(body)
        target, asked = path.format(**self.ids), query.format(**self.ids)
        reply = await self.gateway.handle(Request(method, target, asked, headers, data))
        return reply.status, await _beginning(reply)


async def _beginning(reply: Reply) -> bytes:
    if reply.stream is None:
        return reply.body
    stream: Any = reply.stream
    try:
        return bytes(await anext(stream))
    finally:
        await stream.aclose()


def _ways(document: Any) -> list[tuple[str, str, str]]:
    """Return operations with their roles, each plain and once with every parameter that
    makes it another: that only tries, say.
    """
    asked = {
        operation["operationId"]: operation.get("parameters", ())
        for methods in document["paths"].values()
        for operation in methods.values()
    }
    found = []
    for name, role in _roles(document):
        found.append((name, role, ""))
        found += [
            (name, role, f"{one['name']}=true")
            for one in asked[name]
            if one["in"] == "query" and one["schema"].get("type") == "boolean"
        ]
    return found


def _operations(document: Any) -> dict[str, tuple[str, str, str]]:
    """Return method, path and query of every operation that has a role."""
    found = {}
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            if "x-plait-role" not in operation:
                continue
            query = "&".join(
                f"{one['name']}={{{one['name']}}}"
                for one in operation.get("parameters", ())
                if one["in"] == "query" and one["required"]
            )
            found[operation["operationId"]] = (method.upper(), path, query)
    return found


@asynccontextmanager
async def scene(folder: Path) -> AsyncIterator[Scene]:
    async with whole(folder, Known()) as gateway:
        yield await _filled(gateway)


async def _filled(gateway: Gateway) -> Scene:
    asked = await gateway.handle(Request("GET", "/openapi.json", "", {}))
    operations = _operations(orjson.loads(asked.body))
    case = Scene(gateway, {"user_message": "hello"}, operations)

    async def done(name: str) -> Any:
        status, body = await case.ask(name, "admin", DEFAULT_TENANT)
        assert status < 300, (name, body)
        return orjson.loads(body)

    deployed = await done("deploy_workflow")
    version = deployed["version"]
    case.ids |= {"deployment_id": deployed["deployment_id"], "old": version, "new": version}
    case.ids["execution_id"] = (await done("execute_workflow"))["execution_id"]
    case.ids["name"] = (await done("add_credential"))["name"]
    case.ids["key_id"] = (await done("create_key"))["id"]
    case.ids["user"] = (await done("add_user"))["name"]
    case.ids["session_id"] = (await done("create_session"))["session_id"]
    return case


async def test_every_operation_has_a_sample(tmp_path: Path) -> None:
    async with scene(tmp_path) as case:
        assert BODIES.keys() == case.operations.keys()
        assert {name for name, _ in _roles(await _document(case))} == BODIES.keys()


async def test_nobody_gets_further_than_their_role(tmp_path: Path) -> None:
    async with scene(tmp_path) as case:
        ways = _ways(await _document(case))
        assert ("deploy_workflow", "editor", "validate_only=true") in ways
        for name, needed, more in ways:
            enough = ROLES.index(needed)
            for role in ("none", *ROLES[:enough]):
                status, body = await case.ask(name, role, DEFAULT_TENANT, more)
                if name in PUBLIC:
                    assert (status, b"input" in body) == (200, False), (name, role, body)
                else:
                    assert status == 403, (name, role, status, body)
                    assert orjson.loads(body)["error"]["code"] == "request.forbidden"
            if name not in PUBLIC:
                assert (await case.ask(name, None, ""))[0] == 401


async def test_nothing_of_another_tenant_exists(tmp_path: Path) -> None:
    async with scene(tmp_path) as case:
        secrets = [case.ids["execution_id"], case.ids["session_id"], "order"]
        for name in BODIES:
            if name in BEGINS:
                continue
            status, body = await case.ask(name, "admin", "elsewhere")
            _, path, query = case.operations[name]
            is_of_one = "{" in path + query or name == "execute_workflow"
            assert status == (404 if is_of_one else status), (name, status, body)
            assert status in (200, 404), (name, status, body)
            if status == 200:
                assert not any(one.encode() in body for one in secrets), (name, body)


async def test_each_role_is_enough_for_what_names_it(tmp_path: Path) -> None:
    for number, role in enumerate(ROLES):
        folder = tmp_path / str(number)
        folder.mkdir()
        async with scene(folder) as case:
            for name, needed, more in _ways(await _document(case)):
                if ROLES.index(needed) > number:
                    continue
                status, body = await case.ask(name, role, DEFAULT_TENANT, more)
                assert status not in (401, 403), (name, role, body)
                assert status < 500, (name, role, body)


async def _document(case: Scene) -> Any:
    reply = await case.gateway.handle(Request("GET", "/openapi.json", "", {}))
    return orjson.loads(reply.body)


def _roles(document: Any) -> list[tuple[str, str]]:
    """Return the operations with their roles, in the order of the samples."""
    found = {
        operation["operationId"]: operation["x-plait-role"]
        for methods in document["paths"].values()
        for operation in methods.values()
        if "x-plait-role" in operation
    }
    return [(name, found[name]) for name in BODIES if name in found]
