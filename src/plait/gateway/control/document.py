"""The control plane's part of the OpenAPI document: FastAPI's, with what it cannot know.

It knows parameters, bodies and replies from the handlers. Which errors there are, in which
shape, who may ask, and what is answered without FastAPI is said here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Any, Final

from plait.gateway.control.operations import PREFIX, TAGS
from plait.model.json import JsonObject, JsonValue
from plait.model.record import record

_SYSTEM: Final = "system"
_WEBHOOK: Final = "webhooks"
_TAGS: Final = {
    **TAGS,
    _WEBHOOK: "Start executions from outside.",
    _SYSTEM: "How the gateway itself is.",
}
# FastAPI's own shape of errors, which nothing here has.
_FOREIGN: Final = ("HTTPValidationError", "ValidationError")
_ERRORS: Final[dict[int, str]] = {
    401: "Who asks cannot be told.",
    403: "Who asks may not.",
    404: "There is no such thing, or it is not yours.",
    409: "Something stands in the way that may stand otherwise tomorrow.",
    429: "Too often, or too much.",
}
_EVERY: Final = (400, 401, 403, 404, 429, 431, 500, 502, 503, 504)
_WITH_BODY: Final = (409, 413, 415, 422, 507)
_SECURITY: Final[JsonObject] = {
    "bearer": {
        "type": "http",
        "scheme": "bearer",
        "description": "An API key (`plait_…`) or a JSON Web Token.",
    },
    "apiKey": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
}
# The last: a gateway that listens on its own machine only asks nobody who they are.
_ANY_OF: Final[list[JsonValue]] = [{"bearer": []}, {"apiKey": []}, {}]


@record
class ControlPart:
    """What the control plane adds to the document.

    Attributes:
        errors: Replies in the error shape that endpoints of workflows have not, by status.
    """

    paths: Mapping[str, JsonObject] = field(default_factory=dict)
    schemas: JsonObject = field(default_factory=dict)
    operation_ids: frozenset[str] = frozenset()
    errors: Mapping[int, str] = field(default_factory=dict)
    security_schemes: JsonObject = field(default_factory=dict)
    tags: list[JsonValue] = field(default_factory=list)


def control_part(made: Mapping[str, Any]) -> ControlPart:
    """Return the part that FastAPI's document `made` becomes."""
    paths: dict[str, JsonObject] = {path: {} for path in made["paths"]}
    for path, operations in made["paths"].items():
        for method, operation in operations.items():
            paths[path][method] = _operation(method, operation)
    paths |= _built_in()
    schemas = made.get("components", {}).get("schemas", {})
    ids = {str(one["operationId"]) for many in paths.values() for one in _objects(many)}
    return ControlPart(
        paths,
        {name: schema for name, schema in schemas.items() if name not in _FOREIGN},
        frozenset(ids),
        _ERRORS,
        _SECURITY,
        [{"name": name, "description": text} for name, text in _TAGS.items()],
    )


def _objects(many: JsonObject) -> list[JsonObject]:
    return [one for one in many.values() if isinstance(one, dict)]


def _operation(method: str, made: Mapping[str, Any]) -> JsonObject:
    has_body = method in ("post", "put", "patch", "delete")
    responses = {key: one for key, one in made["responses"].items() if key != "422"}
    for status in (*_EVERY, *(_WITH_BODY if has_body else ())):
        responses[str(status)] = {"$ref": f"#/components/responses/{status}"}
    ordered = {key: responses[key] for key in sorted(responses)}
    return {**made, "responses": ordered, "security": _ANY_OF}


def _built_in() -> dict[str, JsonObject]:
    """Return what is answered without FastAPI: health, metrics and webhooks."""
    alive = _told("health", "Tell how the gateway is.", {"200": _json("It answers.")})
    ready = _told(
        "health_ready",
        "Tell whether the gateway takes requests.",
        {"200": _json("It does."), "503": _json("It starts, drains, or lacks its store.")},
    )
    text: JsonObject = {"text/plain": {"schema": {"type": "string"}}}
    metrics = _told(
        "metrics",
        "Tell what was counted and measured, in Prometheus' text format.",
        {"200": {"description": "The metrics.", "content": text}},
    )
    return {
        f"{PREFIX}/health": {"get": alive},
        f"{PREFIX}/health/ready": {"get": ready},
        f"{PREFIX}/metrics": {"get": metrics},
        "/webhooks/{path}": {"post": _webhook()},
    }


def _told(name: str, summary: str, responses: JsonObject) -> JsonObject:
    return {
        "operationId": name,
        "tags": [_SYSTEM],
        "summary": summary,
        "responses": responses,
    }


def _json(description: str) -> JsonObject:
    content: JsonObject = {"application/json": {"schema": {"type": "object"}}}
    return {"description": description, "content": content}


def _webhook() -> JsonObject:
    statuses = (400, 401, 404, 409, 413, 429, 500, 503)
    replies: JsonObject = {
        str(one): {"$ref": f"#/components/responses/{one}"} for one in statuses
    }
    path: JsonObject = {
        "name": "path",
        "in": "path",
        "required": True,
        "schema": {"type": "string"},
    }
    return {
        "operationId": "deliver_webhook",
        "tags": [_WEBHOOK],
        "summary": "Start an execution by a trigger of a deployed workflow.",
        "description": (
            "Takes any body. The sender shows itself by a Standard Webhooks signature; "
            "a delivery that comes again starts nothing."
        ),
        "parameters": [path],
        "requestBody": {"content": {"*/*": {"schema": {}}}},
        "responses": {"202": _json("It is kept."), **replies},
    }
