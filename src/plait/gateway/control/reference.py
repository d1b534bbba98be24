"""docs/reference/api.md, made from the OpenAPI document.

python -m plait.gateway.control.reference > docs/reference/api.md
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any, Final

from plait.gateway.control.app import App
from plait.gateway.openapi import build_openapi

_HEAD: Final = """\
# The API

<!-- Made by `python -m plait.gateway.control.reference`; a test compares. -->

The control plane: what every `plait serve` answers under `/api/v1`, beside the endpoints of
its workflows. The same, with all models, stands at `/openapi.json`, and at `/docs` with a
form to try each.

Bodies are JSON objects, sent with `Content-Type: application/json`; a key that nobody
knows is refused, and so is a parameter of a query. Every error is
`{"error": {"code", "message", "details"}}`, its codes are those of [errors](errors.md);
what does not fit is told with all places at once in `details.violations`.
`Authorization: Bearer …` or `X-API-Key: …` says who asks; a gateway that listens on its own
machine only asks nobody. The role is what the caller needs at least, on the workflow that
it is about or on all.

Streams are server-sent events. Each has a type, most an `id`: whoever comes back with it
in `Last-Event-ID` misses nothing. A comment every 15 seconds keeps the connection open;
what goes wrong after the first event is an event `error`. When the gateway stops, streams
end; but an express execution, which runs for its listener alone, has
`gateway.drain_timeout` to come to its `result`, and ends with `request.cut_off` after that.

What an execution looks like, and what its verbs do, stands in
[the executions API](executions-api.md).
"""


def page() -> str:
    """Return the page as Markdown."""
    return _HEAD + "".join(_sections(build_openapi((), App().document())))


def _sections(document: Any) -> Iterator[str]:
    operations = [
        (method.upper(), path, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]
    schemas = document["components"]["schemas"]
    for tag in document["tags"]:
        yield f"\n## {tag['name'].capitalize()}\n\n{tag['description']}\n"
        for method, path, operation in operations:
            if tag["name"] in operation["tags"]:
                yield _section(method, path, operation, schemas)


def _section(method: str, path: str, operation: Any, schemas: Any) -> str:
    lines = [f"\n### {method} {path}\n", _text(operation)]
    role = operation.get("x-plait-role")
    if role:
        lines.append(f"Role: {role}. Operation: `{operation['operationId']}`.\n")
    rows = [*_parameters(operation, schemas), *_body(operation, schemas)]
    if rows:
        lines.append("| what | where | meaning |\n|---|---|---|\n" + "".join(rows))
    replies = ", ".join(_replies(operation))
    lines.append(f"Reply: {replies}.\n")
    return "\n".join(lines)


def _text(operation: Any) -> str:
    """Return the description; of many operations it is the summary alone."""
    said: str = operation.get("description") or operation["summary"]
    return said.strip() + "\n"


def _parameters(operation: Any, schemas: Any) -> Iterator[str]:
    for one in operation.get("parameters", ()):
        schema = _resolved(one["schema"], schemas)
        told = one.get("description") or schema.get("description", "")
        yield _row(one["name"], one["in"], told, schema, is_needed=one.get("required"))


def _body(operation: Any, schemas: Any) -> Iterator[str]:
    content = operation.get("requestBody", {}).get("content", {})
    body = _resolved(content.get("application/json", {}).get("schema", {}), schemas)
    needed = body.get("required", ())
    for name, schema in body.get("properties", {}).items():
        told = _resolved(schema, schemas)
        text = told.get("description", "")
        yield _row(name, "body", text, told, is_needed=name in needed)


def _row(name: str, where: str, text: str, schema: Any, *, is_needed: bool | None) -> str:
    mark = ", needed" if is_needed and where != "path" else ""
    told = " ".join(text.split()).replace("|", "\\|")
    kinds = _kinds(schema)
    said = f"{kinds}. {told}" if told else f"{kinds}."
    return f"| `{name}` | {where}{mark} | {said} |\n"


def _kinds(schema: Any) -> str:
    """Return what kind of value a schema takes, in words.

    >>> _kinds({"anyOf": [{"type": "string"}, {"type": "null"}]})
    'string'
    >>> _kinds({"enum": ["create", "edit"], "type": "string"})
    '`create` or `edit`'
    """
    if "enum" in schema:
        return " or ".join(f"`{one}`" for one in schema["enum"])
    if "anyOf" in schema:
        kinds = [_kinds(one) for one in schema["anyOf"] if one.get("type") != "null"]
        return " or ".join(kinds)
    if schema.get("type") == "array":
        return f"list of {_kinds(schema.get('items', {}))}"
    return str(schema.get("type", "any JSON"))


def _replies(operation: Any) -> Iterator[str]:
    for status, reply in operation["responses"].items():
        if int(status) >= 400:
            continue
        model = _model(reply)
        yield f"{status} {model}".rstrip()


def _model(reply: Any) -> str:
    content = reply.get("content", {})
    schemas = [one.get("schema", {}) for one in content.values()]
    choices = [one for schema in schemas for one in schema.get("anyOf", [schema])]
    names = [one["$ref"].rpartition("/")[2] for one in choices if "$ref" in one]
    if "text/event-stream" in content:
        names.append("events")
    return f"({', '.join(names)})" if names else ""


def _resolved(schema: Any, schemas: Any) -> Any:
    name = schema.get("$ref", "").rpartition("/")[2]
    return schemas[name] if name else schema


if __name__ == "__main__":
    sys.stdout.write(page())
