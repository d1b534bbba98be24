"""Request bodies: bytes to JSON or the pairs of a form.

Not here: what of JSON is refused (plait.model.strict_json), how large a body may be
(whoever reads the socket), what it must hold (plait.gateway.contract).
"""

from __future__ import annotations

from typing import Final

from plait.gateway.message import Request, percent_decode
from plait.gateway.refusal import Malformed, UnsupportedMediaType
from plait.model import strict_json
from plait.model.json import JsonValue
from plait.model.strict_json import (
    INT_MAX,
    INT_MIN,
    JSON_DEPTH_MAX,
    JsonRefused,
    Path,
    wide_integers,
)

__all__ = [
    "FORM",
    "INT_MAX",
    "INT_MIN",
    "JSON_DEPTH_CEILING",
    "JSON_DEPTH_MAX",
    "Path",
    "body_type",
    "read_form",
    "read_json",
    "read_pairs",
    "wide_integers",
]

# The writer of replies goes 254 levels deep, and the output puts some around an input.
JSON_DEPTH_CEILING: Final = 200
FORM: Final = "application/x-www-form-urlencoded"
_ACCEPTED = f"application/json, any …+json, or {FORM}"


def body_type(request: Request) -> str:
    """Return `json` or `form`.

    Raises:
        UnsupportedMediaType: The body is something else, is compressed, or does not say.

    >>> body_type(Request("POST", "/", "", {b"content-type": b"application/geo+json"}))
    'json'
    """
    coding = request.headers.get(b"content-encoding", b"identity").strip().lower()
    if coding != b"identity":
        raise UnsupportedMediaType("compressed request bodies are not read here")
    told = request.headers.get(b"content-type", b"").decode("latin-1")
    media_type, *parameters = (part.strip().lower() for part in told.split(";"))
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name == "charset" and value.strip('"') not in ("utf-8", "utf8", "us-ascii"):
            raise UnsupportedMediaType("request bodies are read as UTF-8 only")
    if media_type == "application/json" or media_type.endswith("+json"):
        return "json"
    if media_type == FORM:
        return "form"
    said = f"'{media_type[:80]}'" if media_type else "a body without content-type"
    raise UnsupportedMediaType(
        f"{said} is not read here; send {_ACCEPTED}", headers=((b"accept", _ACCEPT),)
    )


_ACCEPT = f"application/json, {FORM}".encode()


def read_json(body: bytes, *, depth_max: int = JSON_DEPTH_MAX) -> JsonValue:
    """Return the value that `body` holds.

    Raises:
        Malformed: It is not JSON, has a key twice, or is nested deeper than `depth_max`.
    """
    try:
        return strict_json.read_json(body, depth_max=depth_max)
    except JsonRefused as refused:
        raise Malformed(f"the body {refused}", refused.details) from None


def read_pairs(text: str) -> dict[str, list[str]]:
    """Return the values of each name of a query or form; names without text are left out.

    Raises:
        ValueError: An escape is broken, or something is not UTF-8.

    >>> read_pairs("tag=a&tag=b+c&empty=&=x&flag")
    {'tag': ['a', 'b c'], 'empty': [''], 'flag': ['']}
    """
    found: dict[str, list[str]] = {}
    for part in text.split("&"):
        name, _, value = part.partition("=")
        if name:
            name = percent_decode(name.replace("+", " "))
            found.setdefault(name, []).append(percent_decode(value.replace("+", " ")))
    return found


def read_form(body: bytes) -> dict[str, list[str]]:
    """Return the values of each name of a form.

    Raises:
        Malformed: It cannot be read.
    """
    try:
        return read_pairs(body.decode("latin-1"))
    except ValueError as error:
        raise Malformed(f"the form cannot be read: {error}") from None
