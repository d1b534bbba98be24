"""What an endpoint's output looks like, as far as its plan tells: keys that the template
names, types of constants, and what `input` says of what is read from it.

Nothing is claimed of what services answer.

Not here: the rest of the OpenAPI document (plait.gateway.openapi).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import orjson

from plait.drivers.schemas import Schemas
from plait.expression import Template
from plait.model.json import JsonObject, JsonValue
from plait.plan import Node, Plan, Scope

_INPUT_PATH = re.compile(r"\s*\$\{\s*input((?:\.[A-Za-z_]\w*)+)\s*\}\s*", re.ASCII)
_ONE_EXPRESSION = re.compile(r"\s*\$\{.*\}\s*", re.DOTALL)


def output_schema(plan: Plan) -> JsonObject:
    """Return a JSON Schema of the output of `plan`; inner references as in its input's."""
    if any(node.kind == "return" for node in nodes_of(plan.scope)):
        return {}
    if plan.scope.output is not None:
        return _shape(source_of(plan.scope.output), plan.input_schema)
    properties: JsonObject = {node.id: {} for node in plan.scope.nodes}
    return {"type": "object", "properties": properties}


def source_of(template: Template) -> JsonValue:
    """Return the value that `template` was made of, its expressions as texts."""
    dumped = template.dump()
    assert isinstance(dumped, dict)
    source: JsonValue = orjson.loads(str(dumped["source"]))
    return source


def nodes_of(scope: Scope) -> Iterator[Node]:
    """Yield every node of `scope`, and of the scopes inside its nodes."""
    for node in scope.nodes:
        yield node
        for inner in node.scopes.values():
            yield from nodes_of(inner)


def _shape(source: JsonValue, input_schema: Any) -> JsonObject:
    """Return a schema of what `source` renders to.

    >>> _shape({"id": "${input.id}", "n": 1, "x": ["${a.response}"]},
    ...        {"properties": {"id": {"type": "string"}}})["properties"]
    {'id': {'type': 'string'}, 'n': {'type': 'integer'}, 'x': {'type': 'array'}}
    """
    match source:
        case dict():
            shapes: JsonObject = {k: _shape(v, input_schema) for k, v in source.items()}
            return {"type": "object", "required": [*source], "properties": shapes}
        case list():
            return {"type": "array"}
        case str():
            return _text_shape(source, input_schema)
        case bool():
            return {"type": "boolean"}
        case int():
            return {"type": "integer"}
        case float():
            return {"type": "number"}
        case None:
            return {"type": "null"}


def _text_shape(text: str, input_schema: Any) -> JsonObject:
    path = _INPUT_PATH.fullmatch(text)
    if path is not None:
        return _input_shape(path[1][1:].split("."), input_schema)
    return {} if _ONE_EXPRESSION.fullmatch(text) else {"type": "string"}


def _input_shape(keys: list[str], schema: Any) -> JsonObject:
    """Return the schema of what `keys` lead to in the input; {} if it does not say."""
    found, schemas = schema, Schemas(schema)
    for key in keys:
        found = schemas.part(found, key)
    return found if isinstance(found, dict) else {}
