"""OpenAPI 3.1 for all endpoints: generated from plans, so it cannot lag behind them.

Not here: the control plane's part (plait.gateway.control.document), what an output looks
like (plait.gateway.output_schema), the page that shows it all (plait.gateway.docs_page).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final

from plait import __version__
from plait.gateway.binding import METHODS_WITH_BODY
from plait.gateway.body import FORM
from plait.gateway.contract import InputContract
from plait.gateway.control.document import ControlPart, control_part
from plait.gateway.moved_schema import Move
from plait.gateway.output_schema import nodes_of, output_schema
from plait.gateway.routes import parameter_names
from plait.gateway.schema_parts import without_properties
from plait.model.json import JsonObject, JsonValue
from plait.plan import Endpoint, Plan

_TEXT: Final[JsonObject] = {"type": "string"}
_ALWAYS: Final = (400, 431, 500, 502, 503, 504)
_WITH_BODY: Final = (413, 415)
_OWN_FAILURE: Final = 422
_NO_SPACE: Final = 507


def build_openapi(
    plans: Sequence[Plan], control: Mapping[str, Any] | None = None
) -> JsonObject:
    """Return the OpenAPI document of the endpoints of `plans`.

    Args:
        control: The document of the control plane, which goes in with them.
    """
    told = control_part(control) if control is not None else ControlPart()
    paths: dict[str, JsonObject] = {}
    schemas: JsonObject = {"Error": _ERROR}
    taken = set(told.operation_ids)
    for plan in plans:
        endpoint = plan.endpoint
        if endpoint is None:
            continue
        operation_id = _free_name(plan.name, taken)
        name = f"{operation_id}.input"
        move = Move(plan.input_schema, f"#/components/schemas/{name}")
        if plan.input_schema is not None:
            schemas[name] = move.of(plan.input_schema)
        operation = _operation(plan, endpoint, operation_id, move)
        paths.setdefault(endpoint.path, {})[endpoint.method.lower()] = operation
    for path, operations in told.paths.items():
        paths.setdefault(path, {}).update(operations)
    components: JsonObject = {
        "schemas": schemas | told.schemas,
        "headers": _HEADERS,
        "responses": _RESPONSES
        | {str(status): error_response(text) for status, text in told.errors.items()},
    }
    document: JsonObject = {
        "openapi": "3.1.0",
        "info": {"title": "Plait", "version": __version__, "description": _ABOUT},
        "paths": {path: paths[path] for path in sorted(paths)},
        "components": components,
    }
    if control is not None:
        components["securitySchemes"] = told.security_schemes
        document["tags"] = told.tags
    return document


def _operation(plan: Plan, endpoint: Endpoint, operation_id: str, move: Move) -> JsonObject:
    contract = InputContract(plan.input_schema)
    in_path = parameter_names(endpoint.path)
    takes_body = endpoint.method in METHODS_WITH_BODY
    operation: JsonObject = {"operationId": operation_id, "summary": plan.name}
    if plan.description:
        operation["description"] = plan.description
    if plan.version:
        operation["x-plait-version"] = plan.version
    parameters = list(_parameters(contract, in_path, move, with_query=not takes_body))
    if parameters:
        operation["parameters"] = [*parameters]
    if takes_body:
        operation["requestBody"] = _request_body(contract, in_path, move)
    operation["responses"] = _responses(plan, endpoint, move, takes_body=takes_body)
    return operation


def _parameters(
    contract: InputContract, in_path: Sequence[str], move: Move, *, with_query: bool
) -> Iterator[JsonObject]:
    known = contract.properties
    for name in in_path:
        schema = known.get(name, _TEXT)
        yield _parameter(name, "path", schema, move, is_required=True)
    if not with_query:
        return
    required = move.schemas.required(contract.schema)
    for name, schema in known.items():
        if name not in in_path:
            yield _parameter(name, "query", schema, move, is_required=name in required)


def _parameter(
    name: str, place: str, schema: JsonValue, move: Move, *, is_required: bool
) -> JsonObject:
    parameter: JsonObject = {"name": name, "in": place, "required": is_required}
    if isinstance(schema, dict) and isinstance(schema.get("description"), str):
        parameter["description"] = schema["description"]
    parameter["schema"] = move.of(schema)
    return parameter


def _request_body(
    contract: InputContract, in_path: Sequence[str], move: Move
) -> JsonObject:
    schema: JsonValue = contract.schema if contract.schema is not None else {}
    if in_path:
        schema = without_properties(move.schemas, schema, in_path)
    moved = move.of(schema)
    content: JsonObject = {"application/json": {"schema": moved}}
    if contract.may_be_object:
        content[FORM] = {"schema": moved}
    needed = {*move.schemas.required(contract.schema)} - {*in_path}
    return {"required": bool(needed), "content": content}


def _responses(
    plan: Plan, endpoint: Endpoint, move: Move, *, takes_body: bool
) -> JsonObject:
    statuses = {*_ALWAYS, *(_WITH_BODY if takes_body else ())}
    if any(node.kind == "fail" for node in nodes_of(plan.scope)):
        statuses.add(_OWN_FAILURE)
    responses: JsonObject = {"200": _success(plan, move)}
    if plan.mode == "durable" or endpoint.wait_ms is not None:
        responses["202"] = _ACCEPTED
        statuses.add(_NO_SPACE)
    for status in statuses:
        responses[str(status)] = {"$ref": f"#/components/responses/{status}"}
    for what, status in endpoint.status:
        if status < 400:
            responses.setdefault(str(status), _success(plan, move, status))
        elif str(status) not in responses:
            told = what if isinstance(what, str) else "a condition of the document"
            responses[str(status)] = error_response(f"{_phrase(status)} ({told})")
    return {key: responses[key] for key in sorted(responses)}


def _success(plan: Plan, move: Move, status: int = 200) -> JsonObject:
    response: JsonObject = {"description": _phrase(status), "headers": _header_refs()}
    if status not in (204, 205, 304):
        schema = move.of(output_schema(plan))
        response["content"] = {_media_type(plan.endpoint): {"schema": schema}}
    return response


def _media_type(endpoint: Endpoint | None) -> str:
    """Return the type of a reply's body, as far as it is known before there is one."""
    headers = endpoint.headers if endpoint is not None else None
    for name, value in (headers.entries() if headers is not None else {}).items():
        said = value.render({}) if value.is_constant else None
        if name.lower() == "content-type" and isinstance(said, str):
            return said.strip()
    return "application/json"


def error_response(description: str) -> JsonObject:
    """Return the description of a reply in the one error shape."""
    schema: JsonObject = {"$ref": "#/components/schemas/Error"}
    return {
        "description": description,
        "headers": _header_refs(),
        "content": {"application/json": {"schema": schema}},
    }


def _header_refs() -> JsonObject:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in _HEADERS}


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return f"Status {status}"


def _free_name(name: str, taken: set[str]) -> str:
    candidate, number = name, 1
    while candidate in taken:
        number += 1
        candidate = f"{name}-{number}"
    taken.add(candidate)
    return candidate


def _plain_headers(headers: Iterable[tuple[str, str]]) -> JsonObject:
    return {name: {"description": text, "schema": _TEXT} for name, text in headers}


_ABOUT: Final = (
    "Endpoints answered by workflows. Every error has the same shape; "
    "`error.code` is stable, `error.message` is for people."
)
_HEADERS: Final = _plain_headers(
    (
        ("Plait-Completed", "`true` when every part of the reply is there."),
        ("Plait-Execution-Id", "Names the execution that made the reply."),
        ("Server-Timing", "When each step began and how long it took, in milliseconds."),
        ("X-Request-Id", "The request's own id, or a new one."),
    )
)
_ERROR: Final[JsonObject] = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["code", "message", "details"],
            "properties": {
                "code": {"type": "string", "examples": ["connector.timeout"]},
                "message": {"type": "string"},
                "details": {
                    "type": "object",
                    "properties": {
                        "step": {"type": "string"},
                        "attempts": {"type": "integer"},
                        "violations": {
                            "type": "array",
                            "items": {
                                "type": "object",
                                "properties": {"path": _TEXT, "message": _TEXT},
                            },
                        },
                    },
                },
            },
        }
    },
}
_ACCEPTED: Final[JsonObject] = {
    "description": "It goes on; `links.self` tells how, with `?wait=30s` at its end.",
    "headers": {"Location": {"description": "The execution.", "schema": _TEXT}},
    "content": {
        "application/json": {
            "schema": {
                "type": "object",
                "properties": {
                    "execution_id": _TEXT,
                    "status": _TEXT,
                    "links": {"type": "object", "properties": {"self": _TEXT}},
                },
            }
        }
    },
}
_MEANINGS: Final = {
    400: "The request does not fit; details.violations names every place.",
    413: "The body is too large.",
    415: "The body is in a form that is not read here.",
    422: "The workflow itself says no.",
    431: "Request line and headers together are too large.",
    500: "The workflow or the gateway is at fault.",
    502: "A called service failed.",
    503: "Too much is under way, or a called service is known to be down.",
    504: "The time was up.",
    507: "The store has no space left; nothing was begun.",
}
_RESPONSES: Final[JsonObject] = {
    str(status): error_response(text) for status, text in _MEANINGS.items()
}
