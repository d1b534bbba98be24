"""The `http` step's request: one model for validation, schema, form and reference.

Rule. Any value may be a template until the call is made; what it renders to is checked
then (request), by the same limits.

Not here: building the bytes (request, bodies), reading replies (content).
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import (
    AfterValidator,
    ConfigDict,
    Field,
    WithJsonSchema,
    model_validator,
)
from pydantic.config import JsonDict

from plait.connectors.egress import InvalidRequest, read_host
from plait.connectors.http.expect import read_expect
from plait.connectors.http.literal import check_body, check_headers
from plait.connectors.http.templated import OrTemplate, is_template
from plait.connectors.http.url import read_url
from plait.document.fields import Strict

BODY_BYTES_MAX = 10 * 1024 * 1024
BODY_BYTES_CEILING = 2**31
REDIRECT_COUNT_MAX = 3
BODY_FIELDS = ("body", "form", "text", "multipart", "binary")

Method: TypeAlias = Literal[
    "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "QUERY"
]
Decode: TypeAlias = Literal["auto", "json", "text", "binary", "none"]

_READS = frozenset({"GET", "HEAD", "OPTIONS", "TRACE", "QUERY"})
_SCALAR: JsonDict = {"type": ["string", "number", "boolean", "null"]}
_PAIRS: JsonDict = {
    "type": "object",
    "additionalProperties": {"anyOf": [_SCALAR, {"type": "array", "items": _SCALAR}]},
}
_STATUS: JsonDict = {
    "anyOf": [
        {"type": "integer", "minimum": 200, "maximum": 599},
        {"type": "string", "pattern": "^[2-5](?:[xX]{2}|[0-9]{2}(?:-[2-5][0-9]{2})?)$"},
    ]
}
_SERVER_NAME = r"^[^.\s]+(\.[^.\s]+)*\.?$|\$\{"
_STATUSES: JsonDict = {
    "anyOf": [_STATUS, {"type": "array", "minItems": 1, "items": _STATUS}]
}


def _check_pairs(value: dict[str, Any]) -> dict[str, Any]:
    for name, items in value.items():
        for item in items if isinstance(items, list) else [items]:
            if not isinstance(item, str | int | float | None):
                raise ValueError(f"'{name}' is neither text, number, boolean nor null")
    return value


def _check_expect(value: Any) -> Any:
    read_expect(value)
    return value


def _check_url(value: str) -> str:
    if not is_template(value):
        try:
            read_url(value)
        except InvalidRequest as error:
            raise ValueError(str(error)) from error
    return value


def read_server_name(text: str) -> str:
    """Return the one spelling of a name that a certificate is to hold.

    Raises:
        InvalidRequest: it is neither a host name nor an address.

    >>> read_server_name("API.Example."), read_server_name("::1")
    ('api.example', '::1')
    """
    try:
        return read_host(f"[{text}]" if ":" in text else text).name
    except InvalidRequest:
        raise InvalidRequest("`tls.server_name` is neither a name nor an address") from None


def _check_server_name(value: str) -> str:
    if not is_template(value):
        try:
            read_server_name(value)
        except InvalidRequest as error:
            raise ValueError(str(error)) from error
    return value


def _only_one_body(schema: JsonDict) -> None:
    given: JsonDict = {"not": {"type": "null"}}
    schema["allOf"] = [
        {"not": {"required": [one, two], "properties": {one: given, two: given}}}
        for one, two in combinations(BODY_FIELDS, 2)
    ]


Pairs: TypeAlias = Annotated[
    dict[str, Any], AfterValidator(_check_pairs), WithJsonSchema(_PAIRS), OrTemplate
]


Headers: TypeAlias = Annotated[
    dict[str, Any],
    AfterValidator(_check_pairs),
    AfterValidator(check_headers),
    WithJsonSchema(_PAIRS),
    OrTemplate,
]


class HttpPart(Strict):
    """One part of a multipart body that is given as a list."""

    name: str
    """The field's name."""
    filename: str | None = None
    """Makes the part a file."""
    content: Any = None
    """Text, number or boolean, or a mapping or list, which is sent as JSON."""
    content_base64: str | None = None
    """Bytes in base64, instead of `content`."""
    content_type: str | None = None
    """Media type; by default none, application/json or application/octet-stream, as the
    content is text, JSON or bytes, and text/plain for a file of text."""


class HttpTls(Strict):
    """How the server has to prove who it is. No templates here."""

    verify: bool = True
    """False takes any certificate: whoever is on the way can read and change everything."""
    ca_file: str | None = None
    """PEM file of the authorities to trust instead of the system's."""
    server_name: (
        Annotated[
            str,
            AfterValidator(_check_server_name),
            WithJsonSchema({"type": "string", "pattern": _SERVER_NAME}),
        ]
        | None
    ) = None
    """The name that the certificate must hold; by default the URL's host."""


class HttpRequest(Strict):
    """Call one HTTP endpoint; the step's response is the decoded body.

    Beside `response`, the step's value has `status_code` and `headers` (lower-case
    names; a header that is repeated has its values joined by a comma).
    """

    model_config = ConfigDict(json_schema_extra=_only_one_body)

    method: Annotated[Method, OrTemplate] = "GET"
    """The method."""
    url: Annotated[
        str,
        AfterValidator(_check_url),
        WithJsonSchema({"type": "string", "pattern": r"^[hH][tT][tT][pP][sS]?://|\$\{"}),
    ]
    """Absolute URL, http or https. A host that stands here literally, in a file of the
    operator, may be private; one out of a template, or of a document that came over the
    API, has to be public, unless the operator's egress settings allow it."""
    params: Pairs | None = None
    """Query parameters. A list repeats its name; null is left out."""
    headers: Headers | None = None
    """Request headers. A list repeats its name; null is left out."""
    body: Any = None
    """Sent as JSON. A string is sent as it is if `headers` names another content type."""
    form: Pairs | None = None
    """Sent as application/x-www-form-urlencoded. A list repeats its name."""
    text: str | None = None
    """Sent as it is, by default as text/plain."""
    multipart: Annotated[dict[str, Any] | list[HttpPart], OrTemplate] | None = None
    """Sent as multipart/form-data: a mapping from name to value, or to a part (`filename`,
    `content` or `content_base64`, `content_type`), or a list of parts with names."""
    binary: str | None = None
    """Bytes in base64, by default sent as application/octet-stream."""
    expect: Annotated[
        Any, AfterValidator(_check_expect), WithJsonSchema(_STATUSES), OrTemplate
    ] = "2xx"
    """Statuses that count as success: `200`, `"2xx"`, `"200-204"`, or a list of these.
    Any other is the failure `connector.http.<status>`."""
    decode: Annotated[Decode, OrTemplate] = "auto"
    """What the response becomes. `auto`: by content type, JSON, text, or base64 for the
    rest; an empty body is null; without a content type JSON objects and arrays are
    recognised. `json`, `text`, `binary` (base64) insist; `none` drops the body."""
    redirects: Annotated[int, Field(ge=0, le=REDIRECT_COUNT_MAX), OrTemplate] = 0
    """How many redirects to follow. A redirect to another origin gets none of the
    `headers` but a few harmless ones, and its host has to be public."""
    max_bytes: Annotated[int, Field(ge=0, le=BODY_BYTES_CEILING), OrTemplate] = (
        BODY_BYTES_MAX
    )
    """The largest body to accept, unpacked, in bytes."""
    tls: HttpTls | None = None
    """How the server has to prove who it is; by default the system's authorities."""

    @model_validator(mode="after")
    def _one_body(self) -> HttpRequest:
        given = [name for name in BODY_FIELDS if getattr(self, name) is not None]
        if len(given) > 1:
            raise ValueError(f"only one of {', '.join(given)} can be the body")
        for name in given:
            value = getattr(self, name)
            if name == "multipart" and isinstance(value, list):
                value = [part.model_dump() for part in value]
            check_body(name, value, method=self.method, headers=self.headers)
        return self


def default_effect(request: Mapping[str, object]) -> Literal["read", "keyed"]:
    """Return the effect of a step that declares none, by its request's method.

    A method out of a template is not known yet, so it may change something.

    >>> default_effect({"url": "http://h"}), default_effect({"method": "POST"})
    ('read', 'keyed')
    """
    method = request.get("method", "GET")
    return "read" if isinstance(method, str) and method.upper() in _READS else "keyed"
