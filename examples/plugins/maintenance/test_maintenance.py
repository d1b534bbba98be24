"""The middleware keeps the contract of its port, and closes the house."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import plait_maintenance

from plait.ports.message import Reply, Request, json_reply
from plait.ports.plugins import PluginContext
from plait.testing.middleware_suite import MiddlewareSuite


class TestMaintenance(MiddlewareSuite):
    """The contract of the port."""

    middleware = plait_maintenance.MIDDLEWARE
    options: ClassVar = {"file": "/nowhere/maintenance"}


async def answered(request: Request) -> Reply:
    """Answer as a gateway does."""
    return json_reply(200, request.path)


async def test_it_answers_503_while_the_file_is_there_but_for_health(
    tmp_path: Path,
) -> None:
    file = tmp_path / "maintenance"
    told = PluginContext({"file": str(file), "retry_after": 9})
    layer = plait_maintenance.MIDDLEWARE.make(told)
    asked = Request("GET", "/orders", "", {})
    assert (await layer.handle(asked, answered)).status == 200
    file.touch()
    closed = await layer.handle(asked, answered)
    assert closed.status == 503
    assert (b"retry-after", b"9") in closed.headers
    for path in ("/health", "/health/live", "/health/ready"):
        for asked_of in (path, f"/api/v1{path}"):
            health = Request("GET", asked_of, "", {})
            assert (await layer.handle(health, answered)).status == 200, asked_of
    for path in ("/healthy", "/api/v1/healthy", "/api/v1/executions"):
        assert (await layer.handle(Request("GET", path, "", {}), answered)).status == 503
    file.unlink()
    assert (await layer.handle(asked, answered)).status == 200
