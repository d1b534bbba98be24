"""The page at /docs: every endpoint, its schemas, and a form that tries it.

One page without anything from elsewhere: it works where there is no internet, and its
content security policy allows nothing but itself. Rendered from the OpenAPI document, so
it cannot say anything else.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from html import escape
from importlib.resources import files
from typing import Any, Final

from plait.model.json import JsonObject

_STYLE: Final = (files("plait.gateway") / "docs_page.css").read_text("utf-8")
_SCRIPT: Final = (files("plait.gateway") / "docs_page.js").read_text("utf-8")
_REF_HOPS_MAX = 8
_EXAMPLE_DEPTH_MAX = 5
_TOLD_KEYS: Final = (
    "format", "pattern", "minimum", "maximum", "minLength", "maxLength", "default",
)  # fmt: skip


def _hash(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


CONTENT_SECURITY_POLICY: Final = (
    f"default-src 'none'; style-src 'sha256-{_hash(_STYLE)}'; "
    f"script-src 'sha256-{_hash(_SCRIPT)}'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def render_docs(document: JsonObject) -> str:
    """Return the page that shows an OpenAPI `document`."""
    page = _Page(document)
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>Plait endpoints</title><style>{_STYLE}</style></head><body>"
        f"{page.body()}<script>{_SCRIPT}</script></body></html>"
    )


class _Page:
    def __init__(self, document: Mapping[str, Any]) -> None:
        self._document = document
        self._operations = [
            (method, path, operation)
            for path, methods in document["paths"].items()
            for method, operation in methods.items()
        ]
        # Endpoints of workflows first: they are what the page is opened for.
        self._operations.sort(key=lambda one: "tags" in one[2])

    def body(self) -> str:
        info = self._document["info"]
        count = len(self._operations)
        told = f"{count} endpoint{'s' if count != 1 else ''}"
        sections = "".join(self._section(*operation) for operation in self._operations)
        nothing = "<p>No document with an <code>endpoint</code> is served.</p>"
        return (
            f"<header><h1>{escape(info['title'])}</h1><p>{told} · version "
            f'{escape(info["version"])} · <a href="/openapi.json">openapi.json</a></p>'
            f"</header><main>{self._index()}{sections or nothing}</main>"
        )

    def _index(self) -> str:
        links = "".join(
            f'<li><a href="#{escape(operation["operationId"])}">{_badge(method)}'
            f"<code>{_path(path)}</code></a></li>"
            for method, path, operation in self._operations
        )
        return f"<nav><ul>{links}</ul></nav>" if len(self._operations) > 1 else ""

    def _section(self, method: str, path: str, operation: Mapping[str, Any]) -> str:
        name = escape(operation["operationId"])
        text = escape(operation.get("description", ""))
        return (
            f'<section id="{name}"><h2>{_badge(method)}<code>{_path(path)}</code>'
            f"<small>{name}</small></h2>{f'<p>{text}</p>' if text else ''}"
            f"{self._form(method, path, operation)}{self._replies(operation)}</section>"
        )

    def _form(self, method: str, path: str, operation: Mapping[str, Any]) -> str:
        given = operation.get("parameters", ())
        parameters = [one for one in given if one["in"] in ("path", "query")]
        rows = "".join(self._row(parameter) for parameter in parameters)
        body = self._body_row(operation.get("requestBody"))
        return (
            f'<form data-method="{method.upper()}" data-path="{escape(path)}">'
            f"{f'<table>{rows}</table>' if rows else ''}{body}"
            '<p><button type="submit">Send</button></p>'
            '<div class="answer" hidden></div></form>'
        )

    def _row(self, parameter: Mapping[str, Any]) -> str:
        name = escape(parameter["name"])
        schema = self._resolved(parameter["schema"])
        needed = " required" if parameter["required"] else ""
        field = _input_for(schema, f'name="{name}" data-in="{parameter["in"]}"{needed}')
        text = parameter.get("description", "")
        told = f"{text.removesuffix('.')} · {_told(schema)}" if text else _told(schema)
        mark = "<b>required</b>" if needed else ""
        return (
            f"<tr><th><code>{name}</code><small>{parameter['in']} {mark}</small></th>"
            f"<td>{field}<small>{escape(told)}</small></td></tr>"
        )

    def _body_row(self, body: Mapping[str, Any] | None) -> str:
        described = {} if body is None else body["content"].get("application/json", {})
        if "schema" not in described:  # none, or one that no form can be made for
            return ""
        schema = described["schema"]
        example = json.dumps(self._example(schema), indent=2, ensure_ascii=False)
        return (
            "<label>Body <small>application/json</small>"
            f'<textarea name="body" spellcheck="false">{escape(example)}</textarea></label>'
            f"{_details('Body schema', self._resolved(schema))}"
        )

    def _replies(self, operation: Mapping[str, Any]) -> str:
        rows = "".join(
            self._reply(status, self._resolved(response))
            for status, response in operation["responses"].items()
        )
        return f"<details><summary>Replies</summary><table>{rows}</table></details>"

    def _reply(self, status: str, response: Mapping[str, Any]) -> str:
        content = response.get("content", {}).get("application/json")
        is_success = status < "300"
        schema = content["schema"] if content and is_success else None
        shown = _details("Schema", self._resolved(schema)) if schema else ""
        text = escape(response["description"])
        return f"<tr><th><code>{status}</code></th><td>{text}{shown}</td></tr>"

    def _resolved(self, schema: Any) -> Any:
        for _ in range(_REF_HOPS_MAX):
            if not isinstance(schema, dict) or not isinstance(schema.get("$ref"), str):
                return schema
            found: Any = self._document
            for segment in schema["$ref"][2:].split("/"):
                key = segment.replace("~1", "/").replace("~0", "~")
                found = found.get(key, {}) if isinstance(found, dict) else {}
            schema = found
        return {}

    def _example(self, schema: Any, depth: int = 0) -> Any:
        """Return a value of about the shape that `schema` asks for."""
        schema = self._resolved(schema)
        if not isinstance(schema, dict) or depth > _EXAMPLE_DEPTH_MAX:
            return None
        for given in _given_examples(schema):
            return given
        kind = schema.get("type")
        kind = kind[0] if isinstance(kind, list) and kind else kind
        if kind == "array":
            return [self._example(schema.get("items", {}), depth + 1)]
        if kind == "object" or "properties" in schema:
            properties = schema.get("properties", {})
            return {
                name: self._example(part, depth + 1) for name, part in properties.items()
            }
        return {"string": "", "integer": 0, "number": 0, "boolean": False}.get(str(kind))


def _given_examples(schema: Mapping[str, Any]) -> Iterator[Any]:
    for key in ("const", "default"):
        if key in schema:
            yield schema[key]
    for key in ("examples", "enum"):
        yield from schema.get(key, ())


def _input_for(schema: Any, attributes: str) -> str:
    schema = schema if isinstance(schema, dict) else {}
    values: Iterable[Any] = schema.get("enum", ())
    if schema.get("type") == "boolean":
        values = ("true", "false")
    if values:
        options = "".join(f"<option>{escape(str(value))}</option>" for value in values)
        return f"<select {attributes}><option></option>{options}</select>"
    if schema.get("type") == "array":
        return f'<input {attributes} data-list placeholder="one, two" spellcheck="false">'
    hint = schema.get("default", next(iter(schema.get("examples", ())), ""))
    return f'<input {attributes} placeholder="{escape(str(hint))}" spellcheck="false">'


def _told(schema: Any) -> str:
    """Return a schema's limits in a few words.

    >>> _told({"type": "string", "pattern": "^[0-9]+$", "maxLength": 9})
    'string · pattern ^[0-9]+$ · maxLength 9'
    """
    if not isinstance(schema, dict):
        return ""
    kind = schema.get("type", "")
    words = [" or ".join(kind) if isinstance(kind, list) else str(kind)]
    words.extend(f"{key} {schema[key]}" for key in _TOLD_KEYS if key in schema)
    return " · ".join(word for word in words if word)


def _details(title: str, value: Any) -> str:
    text = escape(json.dumps(value, indent=2, ensure_ascii=False))
    return f"<details><summary>{title}</summary><pre>{text}</pre></details>"


def _badge(method: str) -> str:
    return f'<span class="method {escape(method)}">{escape(method.upper())}</span>'


def _path(path: str) -> str:
    """Return the path as HTML, its parameters marked.

    >>> _path("/users/{id}")
    '/users/<i>{id}</i>'
    """
    return escape(path).replace("{", "<i>{").replace("}", "}</i>")
