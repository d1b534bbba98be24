"""The control plane's routes, made from the table of operations, and their document.

Not here: the table (plait.gateway.control.operations), who calls this and when
(plait.gateway.control.plane).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import UnionType
from typing import Any, Final, TypeAlias

from fastapi import FastAPI
from fastapi.routing import APIRoute
from pydantic import BaseModel

from plait import __version__
from plait.gateway.control import (
    administration,
    conversations,
    executions,
    models,
    workflows,
)
from plait.gateway.control.bridge import Bridge
from plait.gateway.control.operations import OPERATIONS, Operation, verb_operation
from plait.gateway.control.route import ControlRoute

_HANDLERS: Final[Mapping[str, Callable[..., Any]]] = (
    executions.HANDLERS
    | workflows.HANDLERS
    | conversations.HANDLERS
    | administration.HANDLERS
)
# What each replies: by status, its model; None is a stream of events.
_Model: TypeAlias = type[BaseModel] | UnionType
_Replies: TypeAlias = dict[int, _Model | None]
_REPLIES: Final[Mapping[str, _Replies]] = {
    "get_execution": {200: models.Execution},
    "list_executions": {200: models.ExecutionPage},
    "follow_execution": {200: None},
    "get_timeline": {200: models.Timeline},
    **{verb_operation(verb): {200: models.ExecutionRow} for verb in executions.VERB_BODIES},
    "execute_workflow": {200: models.ExecutionResult, 202: models.ExecutionResult},
    "deploy_workflow": {200: models.Deployed | models.Validation, 201: models.Deployed},
    "list_deployments": {200: models.DeploymentPage},
    "get_deployment": {200: models.Deployment},
    "update_deployment": {200: models.Deployed | models.Validation},
    "undeploy_workflow": {200: models.Deployed},
    "list_versions": {200: models.Versions},
    "compare_versions": {200: models.Difference},
    "activate_version": {200: models.Deployed},
    "roll_back_deployment": {200: models.Deployed},
    "list_triggers": {200: models.TriggerList},
    "create_session": {201: models.Session},
    "chat": {200: None},
    "generate_workflow": {200: None},
    "list_credentials": {200: models.CredentialPage},
    "add_credential": {201: models.Credential},
    "get_credential": {200: models.Credential},
    "replace_credential": {200: models.Credential},
    "remove_credential": {200: models.Credential},
    "list_keys": {200: models.KeyList},
    "create_key": {201: models.MadeKey},
    "revoke_key": {200: models.Key},
    "list_users": {200: models.UserList},
    "add_user": {201: models.User},
    "set_password": {200: models.User},
    "remove_user": {200: models.User},
    "list_audit": {200: models.AuditPage},
}
# They answer with events too, when they are asked to.
_STREAMS_TOO: Final = frozenset({"execute_workflow"})
_PHRASES: Final = {200: "Done.", 201: "Made.", 202: "It goes on; `Location` leads to it."}
_BODIES: Final = {
    verb_operation(verb): body for verb, body in executions.VERB_BODIES.items()
}


class App:
    """All of it, once it is needed.

    Attributes:
        bridges: By the name of the operation.
    """

    def __init__(self) -> None:
        self._api = FastAPI(
            title="Plait", version=__version__, openapi_url=None, telemetry=None
        )
        self._api.router.route_class = ControlRoute
        self.bridges = {one.name: self._bridge(one) for one in OPERATIONS}

    def _bridge(self, operation: Operation) -> Bridge:
        first, *others = _REPLIES[operation.name].items()
        self._api.add_api_route(
            operation.template,
            _HANDLERS[operation.name],
            methods=[operation.method],
            operation_id=operation.name,
            name=operation.name,
            tags=[operation.tag],
            summary=(_HANDLERS[operation.name].__doc__ or "").partition("\n")[0],
            status_code=first[0],
            response_model=None,
            responses={
                status: _reply(status, model, operation.name in _STREAMS_TOO)
                for status, model in (first, *others)
            },
            openapi_extra=_extra(operation),
        )
        route = self._api.router.routes[-1]
        assert isinstance(route, APIRoute)
        return Bridge(self._api, route)

    def document(self) -> dict[str, Any]:
        """Return the OpenAPI document of these routes, as FastAPI makes it."""
        return self._api.openapi()


def _reply(status: int, model: _Model | None, streams_too: bool) -> dict[str, Any]:
    described: dict[str, Any] = {"description": _PHRASES[status]}
    if model is not None:
        described["model"] = model
        if not streams_too or status != 200:
            return described
    # What a schema would describe, the text or each event, OpenAPI 3.1 leaves open.
    example = 'event: turn\nid: 1\ndata: {"number": 1}\n\n'
    return {**described, "content": {"text/event-stream": {"example": example}}}


def _extra(operation: Operation) -> dict[str, Any]:
    extra: dict[str, Any] = {"x-plait-role": operation.role}
    body = _BODIES.get(operation.name)
    if body is not None:
        content = {"application/json": {"schema": body.model_json_schema()}}
        extra["requestBody"] = {"required": True, "content": content}
    return extra
