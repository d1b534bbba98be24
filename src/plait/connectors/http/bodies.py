"""Request bodies: `body`, `form`, `text`, `multipart` or `binary`, as bytes.

Rule 1. The same request gives the same bytes, so a retry repeats what it retries; the
multipart boundary is a hash of the parts.
Rule 2. A body's content is never in an error's text.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Callable, Iterator, Mapping
from typing import TypeAlias, TypeGuard

import orjson

from plait.connectors.egress import InvalidRequest
from plait.connectors.http.fields import field_line, scalar_text
from plait.connectors.http.pairs import encode_pairs

Encoded: TypeAlias = tuple[bytes, str]

_JSON = "application/json"
_TEXT = "text/plain; charset=utf-8"
_BYTES = "application/octet-stream"
BODILESS_METHODS = frozenset({"HEAD", "TRACE"})
_PART_KEYS = frozenset({"name", "filename", "content", "content_base64", "content_type"})


def encode_body(request: Mapping[str, object], content_type: str | None) -> Encoded | None:
    """Return the request's body and its default content type; None when it has none.

    Args:
        content_type: What the request's own Content-Type header says, if it has one.

    Raises:
        InvalidRequest: two bodies, or one that is not what its field's name says.

    >>> encode_body({"form": {"a": 1}}, None)
    (b'a=1', 'application/x-www-form-urlencoded')
    """
    given = [name for name in _ENCODERS if request.get(name) is not None]
    if not given:
        return None
    if len(given) > 1:
        raise InvalidRequest(f"only one of {', '.join(given)} can be the body")
    name = given[0]
    return _ENCODERS[name](request[name], content_type)


def _encode_json(value: object, content_type: str | None) -> Encoded:
    if content_type is not None and "json" not in content_type.lower():
        if isinstance(value, str):
            return _utf8(value, "body"), _TEXT
        raise InvalidRequest(
            "`body` is sent as JSON, but the Content-Type header says otherwise; "
            "use `form`, `text`, `multipart` or `binary`"
        )
    return _json(value, "body"), _JSON


def _json(value: object, what: str) -> bytes:
    try:
        return orjson.dumps(value)
    except TypeError:
        raise InvalidRequest(f"`{what}` cannot be written as JSON") from None


def _utf8(value: object, what: str) -> bytes:
    if not isinstance(value, str):
        raise InvalidRequest(f"`{what}` is not a text")
    try:
        return value.encode()
    except UnicodeEncodeError:
        raise InvalidRequest(f"`{what}` is not valid Unicode") from None


def _base64(value: object, what: str) -> bytes:
    try:
        return base64.b64decode(_utf8(value, what), validate=True)
    except binascii.Error:
        raise InvalidRequest(f"`{what}` is not base64") from None


def _encode_form(value: object, _: str | None) -> Encoded:
    return encode_pairs(value, "form").encode(), "application/x-www-form-urlencoded"


def _encode_text(value: object, _: str | None) -> Encoded:
    return _utf8(value, "text"), _TEXT


def _encode_binary(value: object, _: str | None) -> Encoded:
    return _base64(value, "binary"), _BYTES


def _encode_multipart(value: object, content_type: str | None) -> Encoded:
    if content_type is not None:
        raise InvalidRequest("with `multipart`, leave the Content-Type header out")
    parts = [_encode_part(name, part) for name, part in _named_parts(value)]
    digest = hashlib.blake2b(b"\0".join(parts), digest_size=16).hexdigest()
    boundary = f"plait-{digest}"
    opening = f"--{boundary}\r\n".encode()
    body = b"".join(opening + part + b"\r\n" for part in parts)
    return (
        body + f"--{boundary}--\r\n".encode(),
        f"multipart/form-data; boundary={boundary}",
    )


def _named_parts(value: object) -> Iterator[tuple[str, object]]:
    if isinstance(value, dict):
        yield from value.items()
        return
    if not isinstance(value, list):
        raise InvalidRequest("`multipart` is neither a mapping nor a list")
    for part in value:
        if not isinstance(part, dict) or not isinstance(part.get("name"), str):
            raise InvalidRequest("a part in `multipart` has no name")
        yield part["name"], {"content": None, **part}


def _encode_part(name: str, part: object) -> bytes:
    what = f"multipart '{name}'"
    if not _is_part(part):
        part = {"content": part}
    content, default_type = _part_content(part, what)
    disposition = f'form-data; name="{_quoted(name)}"'
    filename = part.get("filename")
    if filename is not None:
        disposition += f'; filename="{_quoted(scalar_text(filename, what))}"'
    content_type = part.get("content_type") or default_type
    lines = field_line("Content-Disposition", disposition)
    if content_type is not None:
        lines += field_line("Content-Type", content_type)
    return _utf8(lines + "\r\n", what) + content


def _is_part(value: object) -> TypeGuard[Mapping[str, object]]:
    """Tell a part from a mapping that is itself the content, to be sent as JSON."""
    if not isinstance(value, dict) or not _PART_KEYS.issuperset(value):
        return False
    return "content" in value or "content_base64" in value


def _part_content(part: Mapping[str, object], what: str) -> tuple[bytes, str | None]:
    """Return a part's bytes and default content type; plain text needs none."""
    packed, content = part.get("content_base64"), part.get("content")
    if packed is not None:
        return _base64(packed, what), _BYTES
    if isinstance(content, dict | list):
        return _json(content, what), _JSON
    text = "" if content is None else scalar_text(content, what)
    return _utf8(text, what), _TEXT if part.get("filename") is not None else None


def _quoted(text: str) -> str:
    """Return `text` for between quotes, as browsers write it."""
    return text.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")


_ENCODERS: dict[str, Callable[[object, str | None], Encoded]] = {
    "body": _encode_json,
    "form": _encode_form,
    "text": _encode_text,
    "multipart": _encode_multipart,
    "binary": _encode_binary,
}
