"""Media types: whether a Content-Type header means JSON, text or bytes."""

from __future__ import annotations

import re
from enum import Enum
from typing import NamedTuple


class Kind(Enum):
    """What a media type holds."""

    JSON = "json"
    TEXT = "text"
    BINARY = "binary"
    UNKNOWN = "unknown"


class MediaType(NamedTuple):
    """A content type, read."""

    kind: Kind
    charset: str
    is_json: bool = False


_CHARSET = re.compile(r";\s*charset\s*=\s*\"?([A-Za-z0-9_.:-]+)", re.IGNORECASE)
_TEXT_TYPES = re.compile(
    r"text/.*|application/(?:.*\+)?xml|.*\+xml|application/(?:x-)?(?:javascript|ecmascript"
    r"|yaml|www-form-urlencoded|sql|graphql)|.*\+yaml"
    r"|application/x-(?:ndjson|jsonlines|www-form-urlencoded)"
)
_JSON_TYPES = re.compile(r"application/(?:.*\+)?json|text/json|.*\+json")
_UNKNOWN = MediaType(Kind.UNKNOWN, "utf-8")

_types: dict[bytes, MediaType] = {}
_TYPE_COUNT_MAX = 256


def read_media_type(content_type: bytes | None) -> MediaType:
    """Return what a Content-Type header says.

    >>> read_media_type(b"application/problem+json").kind
    <Kind.JSON: 'json'>
    >>> read_media_type(b"text/html; charset=ISO-8859-1").charset
    'ISO-8859-1'
    """
    if not content_type:
        return _UNKNOWN
    known = _types.get(content_type)
    if known is None:
        if len(_types) >= _TYPE_COUNT_MAX:
            _types.clear()
        known = _types[content_type] = _read_media_type(content_type.decode("latin-1"))
    return known


def _read_media_type(text: str) -> MediaType:
    name = text.partition(";")[0].strip().lower()
    charset = match[1] if (match := _CHARSET.search(text)) else "utf-8"
    if _JSON_TYPES.fullmatch(name):
        return MediaType(Kind.JSON, charset, is_json=True)
    if _TEXT_TYPES.fullmatch(name):
        return MediaType(Kind.TEXT, charset)
    return MediaType(Kind.BINARY, charset)
