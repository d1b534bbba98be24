"""Deployments that another process keeps.

Rule. Who changes one is answered when this process serves that, as everything after it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import orjson

from plait.model.caller import Caller
from plait.model.json import JsonObject
from plait.ports.platform import Wanted
from plait.services.remote.link import Link
from plait.services.v1 import runtime_pb2 as messages
from plait.services.wire import Asked, loaded_object


class RemoteDeployments:
    """Deployments of the runtime (plait.ports.platform, `Deployments`).

    Args:
        on_change: Awaited before a call that may have changed something returns: it serves
            that.
    """

    def __init__(
        self, link: Link, on_change: Callable[[], Awaitable[object]] | None = None
    ) -> None:
        self._link = link
        self._on_change = on_change

    async def validate(self, caller: Caller, wanted: Wanted) -> JsonObject:
        """Return `{valid, diagnostics, name}`. Nothing is kept."""
        request = messages.ValidateDefinitionRequest(**_fields(wanted))
        return await self._told("validate_definition", request, caller, is_safe=True)

    async def deploy(self, caller: Caller, wanted: Wanted) -> JsonObject:
        """Keep a version of a workflow, and serve it from now on."""
        request = messages.DeployRequest(**_fields(wanted))
        return await self._changed("deploy", request, caller)

    async def list(self, caller: Caller, *, after: str, limit: int) -> JsonObject:
        """Return `{deployments, next}`, by name."""
        request = messages.ListDeploymentsRequest(after=after, limit=limit)
        return await self._told("list_deployments", request, caller, is_safe=True)

    async def get(self, caller: Caller, deployment_id: str) -> JsonObject:
        """Return one deployment with its versions and the active definition."""
        request = messages.GetDeploymentRequest(deployment_id=deployment_id)
        return await self._told("get_deployment", request, caller, is_safe=True)

    async def difference(
        self, caller: Caller, deployment_id: str, old: str, new: str
    ) -> JsonObject:
        """Return how two versions differ: `{old, new, changes, text}`."""
        request = messages.DiffDeploymentRequest(
            deployment_id=deployment_id, old=old, new=new
        )
        return await self._told("diff_deployment", request, caller, is_safe=True)

    async def activate(
        self, caller: Caller, deployment_id: str, version: str | None
    ) -> JsonObject:
        """Serve another kept version; None: the one before the active one."""
        request = messages.ActivateDeploymentRequest(
            deployment_id=deployment_id, version=version
        )
        return await self._changed("activate_deployment", request, caller)

    async def undeploy(self, caller: Caller, deployment_id: str) -> JsonObject:
        """Serve it no longer. Executions in flight go on."""
        request = messages.UndeployRequest(deployment_id=deployment_id)
        return await self._changed("undeploy", request, caller)

    async def _changed(self, method: str, request: Any, caller: Caller) -> JsonObject:
        told = await self._told(method, request, caller)
        if self._on_change is not None:
            await self._on_change()
        return told

    async def _told(
        self, method: str, request: Any, caller: Caller, *, is_safe: bool = False
    ) -> JsonObject:
        asked = Asked(caller)
        reply = await self._link.call(method, request, asked, is_safe=is_safe)
        return loaded_object(reply.json)


def _fields(wanted: Wanted) -> dict[str, Any]:
    return {
        "name": wanted.name,
        "definition": wanted.definition,
        "triggers": [orjson.dumps(one) for one in wanted.triggers],
        "description": wanted.description,
        "expected": wanted.expected,
        "is_kept_only": not wanted.activates,
        "triggers_text": wanted.triggers_text,
    }
