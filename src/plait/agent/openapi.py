"""OpenAPI documents: which operations there are to draft with.

Rule 1. Nothing is fetched: a reference to another file or host is left out.
Rule 2. What a document says is text, never a template: an operation whose address holds
        `${` is passed over, so that no document can put an expression into a draft.
Rule 3. Whatever is malformed is passed over by itself; the others count.

OpenAPI 3.0, 3.1 and Swagger 2.0 are read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, ClassVar, Final, Literal, TypeAlias

import orjson
import yaml

from plait.agent.schemas import followed, plain_schema
from plait.agent.words import identifier, nouns, pieces, singular
from plait.model.errors import Advice, PlaitError
from plait.model.json import JsonObject
from plait.model.record import record

# GitHub's own, the largest in wide use, has 12 MB as JSON; reading it takes seconds.
BYTES_MAX: Final = 16 * 1024 * 1024
OPERATIONS_MAX: Final = 2_000
# PyYAML built without libyaml has only its own parser: ten times slower, same values.
_LOADER: Final[Any] = yaml.CSafeLoader if yaml.__with_libyaml__ else yaml.SafeLoader
_METHODS: Final = ("get", "post", "put", "patch", "delete")
_TEXT_MAX: Final = 500
# A credential's name has 100 characters at most.
_NAME_LENGTH_MAX: Final = 80
_SERVER: Final = re.compile(r"https?://[^\s/?#\\@${}]+(?:/[^\s?#\\${}]*)?")
_PATH: Final = re.compile(r"/[^\s?#\\$]*")
_SLOT: Final = re.compile(r"\{([^{}]*)\}")
_HEADER: Final = re.compile(r"[A-Za-z0-9-]{1,60}")

Place: TypeAlias = Literal["path", "query", "header", "body", "whole", "input"]


class OpenapiUnusable(PlaitError):
    """A file is no OpenAPI document."""

    code: ClassVar[str] = "agent.openapi"
    advice: ClassVar[Advice] = Advice.REPORT

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"OpenAPI document '{name}' cannot be used: {reason}")
        self.name = name
        self.reason = reason


@record
class Parameter:
    """One value that an operation takes.

    Attributes:
        place: Where it goes: `body` is one property of an object, `whole` the body itself,
            `input` a property of a workflow's input.
        schema: What it is; may be empty.
    """

    name: str
    place: Place
    schema: JsonObject
    is_required: bool
    description: str = ""


@record
class Shown:
    """What a call has to show: a credential, which the vault has under this name.

    Attributes:
        types: Of which types it can be, the likeliest first.
        place, at: Where an API key goes: `header` or `query`, and its name there.
    """

    name: str
    types: tuple[str, ...]
    place: str = ""
    at: str = ""


@record
class Operation:
    """Something that a step can call.

    Attributes:
        api: Whose it is: the document's name, or the workflow's.
        id: Its `operationId`, or one made of method and path.
        method: `GET`, …; empty: it is a deployed workflow.
        url: Server and path, with `{name}` for path parameters.
        resource: What it is about, in the singular: `order`.
        response: The schema of what it answers; may be empty.
        credential: What a call of it has to show; None: nothing.
    """

    api: str
    id: str
    method: str
    url: str
    summary: str
    description: str
    tags: tuple[str, ...]
    resource: str
    parameters: tuple[Parameter, ...]
    response: JsonObject
    credential: Shown | None = None

    @property
    def is_read(self) -> bool:
        """True when calling it changes nothing."""
        return self.method == "GET"

    @property
    def title(self) -> str:
        """How people are told of it."""
        return f"workflow {self.id}" if not self.method else f"{self.method} {self.url}"


def read_openapi(data: bytes, name: str) -> list[Operation]:
    """Return the operations of an OpenAPI document, in its order.

    Args:
        data: JSON or YAML, UTF-8, at most 16 MB.
        name: What the API is called; of it the names of its credentials are made.

    Raises:
        OpenapiUnusable: It cannot be read, or has no operation that can be called.
    """
    root = _parse(data, name)
    if not isinstance(root.get("paths"), dict):
        raise OpenapiUnusable(name, "it has no `paths`")
    found = list(_Document(root, name).operations())
    if not found:
        raise OpenapiUnusable(name, "no operation in it can be called")
    return found


def _parse(data: bytes, name: str) -> dict[str, Any]:
    if len(data) > BYTES_MAX:
        raise OpenapiUnusable(name, f"it has more than {BYTES_MAX} bytes")
    try:
        root = orjson.loads(data)
    except orjson.JSONDecodeError:
        root = _parse_yaml(data, name)
    if not isinstance(root, dict):
        raise OpenapiUnusable(name, "it is no mapping")
    return root


def _parse_yaml(data: bytes, name: str) -> object:
    loader = _LOADER(data)
    try:
        return loader.get_single_data()
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        first = str(error).partition("\n")[0]
        raise OpenapiUnusable(name, f"it is neither JSON nor YAML: {first}") from None
    finally:
        loader.dispose()


class _Document:
    """One document under reading."""

    def __init__(self, root: dict[str, Any], name: str) -> None:
        self._root = root
        self._name = name
        self._server = self._server_of(root)
        self._keys: dict[tuple[str, str], str] = {}

    def operations(self) -> Iterator[Operation]:
        """Yield what can be called."""
        count = 0
        for path, item in self._root["paths"].items():
            if not isinstance(path, str) or not _PATH.fullmatch(path):
                continue
            item = self._resolved(item)
            for method in _METHODS:
                own = item.get(method)
                if isinstance(own, dict) and count < OPERATIONS_MAX:
                    count += 1
                    yield self._operation(path, method, item, own)

    def _operation(
        self, path: str, method: str, item: dict[str, Any], own: dict[str, Any]
    ) -> Operation:
        server = self._server_of(own) or self._server_of(item) or self._server
        given = own.get("operationId")
        words = [word for word in pieces(path) if word]
        made = identifier([method, *words], fallback=method)
        resource = _resource_of(path)
        return Operation(
            api=self._name,
            id=given[:100] if isinstance(given, str) and given else made,
            method=method.upper(),
            url=(server or f"http://{_host(self._name)}").rstrip("/") + path,
            summary=_text(own.get("summary")),
            description=_text(own.get("description")),
            tags=tuple(_text(tag) for tag in _list(own.get("tags"))[:10] if tag),
            resource=resource,
            parameters=tuple(self._parameters(path, item, own, resource)),
            response=self._response(own),
            credential=self._credential(own),
        )

    def _parameters(
        self, path: str, item: dict[str, Any], own: dict[str, Any], resource: str
    ) -> Iterator[Parameter]:
        stated: dict[tuple[str, str], Parameter] = {}
        for raw in [*_list(item.get("parameters")), *_list(own.get("parameters"))]:
            one = self._resolved(raw)
            name, place = one.get("name"), one.get("in")
            if not isinstance(name, str) or not name or "${" in name:
                continue
            if place == "body":
                yield from self._body(one.get("schema"), True, resource)
            elif place in ("path", "query", "header"):
                schema = one.get("schema") if "schema" in one else one
                stated[place, name] = Parameter(
                    name,
                    place,
                    plain_schema(schema, self._root),
                    place == "path" or one.get("required") is True,
                    _text(one.get("description")),
                )
        for name in dict.fromkeys(_SLOT.findall(path)):
            stated.setdefault(("path", name), Parameter(name, "path", {}, True))
        slots = set(_SLOT.findall(path))
        for (place, name), parameter in stated.items():
            if place == "header" and not _HEADER.fullmatch(name):
                continue
            if place != "path" or name in slots:
                yield parameter
        body = self._resolved(own.get("requestBody"))
        schema = self._json_schema(body.get("content"))
        if schema is not None:
            yield from self._body(schema, body.get("required") is not False, resource)

    def _body(self, raw: object, is_needed: bool, resource: str) -> Iterator[Parameter]:
        schema = plain_schema(raw, self._root)
        properties = schema.get("properties")
        if not isinstance(properties, dict) or not properties:
            yield Parameter(resource or "body", "whole", schema, is_needed)
            return
        required = schema.get("required")
        needed = required if isinstance(required, list) else []
        for name, own in properties.items():
            if isinstance(own, dict) and "${" not in name and not own.get("readOnly"):
                said = own.get("description")
                yield Parameter(name, "body", own, name in needed, _text(said))

    def _response(self, own: dict[str, Any]) -> JsonObject:
        replies = own.get("responses")
        if not isinstance(replies, dict):
            return {}
        for status, raw in sorted(replies.items(), key=lambda pair: str(pair[0])):
            if str(status).startswith("2") or status == "default":
                reply = self._resolved(raw)
                schema = self._json_schema(reply.get("content"))
                return plain_schema(reply.get("schema", schema), self._root)
        return {}

    def _json_schema(self, content: object) -> object:
        if not isinstance(content, dict):
            return None
        for kind, media in content.items():
            if "json" in str(kind) and isinstance(media, dict):
                return media.get("schema", {})
        return None

    def _credential(self, own: dict[str, Any]) -> Shown | None:
        wanted = own.get("security", self._root.get("security"))
        schemes = {
            **_map(self._root.get("securityDefinitions")),
            **_map(_map(self._root.get("components")).get("securitySchemes")),
        }
        options = _list(wanted)
        if not options or {} in options:
            return None
        for name in _map(options[0]):
            found = self._shown(self._resolved(schemes.get(name)))
            if found is not None:
                return found
        return None

    def _shown(self, scheme: dict[str, Any]) -> Shown | None:
        prefix = identifier(pieces(self._name), fallback="api")[:_NAME_LENGTH_MAX]
        kind, named = scheme.get("type"), scheme.get("name")
        if kind == "apiKey" and isinstance(named, str) and _HEADER.fullmatch(named):
            place = "query" if scheme.get("in") == "query" else "header"
            # Of several keys each is a credential: one knows one place to go to.
            count = len(self._keys) + 1
            own = f"{prefix}_key" if count == 1 else f"{prefix}_key_{count}"
            own = self._keys.setdefault((place, named), own)
            return Shown(own, ("api_key",), place, named)
        is_http = kind == "http"
        if kind == "basic" or (is_http and str(scheme.get("scheme")).lower() == "basic"):
            return Shown(f"{prefix}_basic", ("basic",))
        if is_http:
            return Shown(f"{prefix}_token", ("bearer", "oauth2"))
        if kind in ("oauth2", "openIdConnect"):
            return Shown(f"{prefix}_token", ("oauth2", "bearer"))
        return None

    def _resolved(self, raw: object) -> dict[str, Any]:
        return followed(raw, self._root) or {}

    def _server_of(self, holder: dict[str, Any]) -> str:
        for one in _list(holder.get("servers")):
            server = _map(one)
            url, variables = server.get("url"), _map(server.get("variables"))
            if not isinstance(url, str):
                continue
            for name, variable in variables.items():
                url = url.replace(f"{{{name}}}", _text(_map(variable).get("default")))
            if url.startswith("/"):
                url = f"http://{_host(self._name)}{url}"
            return url if _SERVER.fullmatch(url) else ""
        host, base = holder.get("host"), holder.get("basePath", "")
        if isinstance(host, str) and isinstance(base, str):
            schemes = _list(holder.get("schemes"))
            scheme = "http" if schemes and "https" not in schemes else "https"
            url = f"{scheme}://{host}{base}"
            return url if _SERVER.fullmatch(url) else ""
        return ""


def _resource_of(path: str) -> str:
    """Return what a path is about: its last fixed part that is a noun.

    >>> _resource_of("/api/v1/customers/{id}/orders"), _resource_of("/orders/{id}/cancel")
    ('order', 'order')
    """
    parts = [part for part in path.split("/") if part and "{" not in part]
    named = [found for part in parts if (found := nouns(part))]
    kept = [words for words in named if words[-1] not in ("v", "1", "2", "api", "rest")]
    return singular(kept[-1][-1]) if kept else ""


def _host(name: str) -> str:
    return re.sub(r"[^a-z0-9-]+", "-", name.lower()).strip("-") or "api"


def _text(value: object) -> str:
    return value[:_TEXT_MAX] if isinstance(value, str) else ""


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _map(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
