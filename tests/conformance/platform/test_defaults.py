"""What the OpenAPI document names as a default, and null where it has that, can be sent."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson

from plait.gateway.message import Request
from tests.conformance.platform.test_roles_over_http import BODIES, Known
from tests.conformance.platform.whole import whole

ADMIN = {b"authorization": b"Bearer admin default", b"content-type": b"application/json"}


async def ask(gateway: Any, method: str, path: str, body: Any = None) -> tuple[int, Any]:
    data = b"" if body is None else orjson.dumps(body)
    path, _, query = path.partition("?")
    reply = await gateway.handle(Request(method, path, query, ADMIN, data))
    return reply.status, orjson.loads(reply.body)


def defaults(document: Any) -> dict[str, tuple[str, str, dict[str, Any]]]:
    """Return method, path and defaults of each operation; null where that may be sent."""
    found = {}
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            content = operation.get("requestBody", {}).get("content", {})
            schema = content.get("application/json", {}).get("schema", {})
            if "$ref" in schema:
                name = schema["$ref"].rpartition("/")[2]
                schema = document["components"]["schemas"][name]
            told = {
                name: one.get("default")
                for name, one in schema.get("properties", {}).items()
                if "default" in one or {"type": "null"} in one.get("anyOf", ())
            }
            found[operation["operationId"]] = (method.upper(), path, told)
    return found


async def test_no_default_is_refused(tmp_path: Path) -> None:
    async with whole(tmp_path, Known()) as gateway:
        _, document = await ask(gateway, "GET", "/openapi.json")
        told = defaults(document)
        assert told["deploy_workflow"][2], "there are some"
        ids = {"deployment_id": "order", "name": "shop", "user": "ann", "key_id": "x"}
        for name, body in BODIES.items():
            method, path, more = told[name]
            if body is None or not more:
                continue
            if name == "signal_execution":
                # The other verbs look at what they were sent before they look for it.
                order = {"workflow": "order", "wait": "0s"}
                _, begun = await ask(gateway, "POST", "/api/v1/workflow/execute", order)
                ids["execution_id"] = begun["execution_id"]
            path = path.format(**{"execution_id": "0" * 32, **ids})
            status, said = await ask(gateway, method, path, {**more, **body})
            assert status != 400, (name, more, said)
