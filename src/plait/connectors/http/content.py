"""From a body's bytes to a JSON value, by content type or by what was asked for.

Rule 1. JSON where the content type says JSON, text where it says text, base64 for the
rest; an empty body is null.
Rule 2. Without a content type, an object or array in JSON is recognised; small services
forget the header.
Rule 3. What is nested deeper than JSON_DEPTH_MAX is refused here, because no later stage
could write it out again.
"""

from __future__ import annotations

import base64
import codecs
import re
from typing import Final, TypeAlias

import orjson

from plait.connectors.http.media import Kind, MediaType
from plait.connectors.http.spec import Decode
from plait.model.json import JsonValue

JSON_DEPTH_MAX: Final = 64

Buffer: TypeAlias = bytes | memoryview


class Unreadable(Exception):
    """The body is not what it should be. The text says how, without quoting it."""


_NOT_BRACKETS = bytes(byte for byte in range(256) if byte not in b"[]{}")
_ONE_BRACKET = bytes.maketrans(b"{}", b"[]")
# Python knows codecs that are no charsets, and slow ones (idna): only these.
_CHARSETS = re.compile(
    r"(?i)utf-?(?:8|16|32)(?:-?[lb]e)?|(?:us-)?ascii|latin-?1|iso-?8859-?[0-9]{1,2}"
    r"|(?:windows-|cp)12[0-9]{2}|shift[_-]?jis|euc-(?:jp|kr)|iso-2022-jp"
    r"|gb(?:2312|k|18030)|big5|koi8-[ru]"
)


def read_content(body: Buffer, media: MediaType, decode: Decode) -> JsonValue:
    """Return `body`, which is of the type `media`, as a JSON value.

    Raises:
        Unreadable: it is not what `decode`, or its content type, says.

    >>> from plait.connectors.http.media import read_media_type
    >>> read_content(b'{"a":1}', read_media_type(b"application/json"), "auto")
    {'a': 1}
    >>> png = read_media_type(b"image/png")
    >>> read_content(b"abc", png, "auto"), read_content(b"", png, "auto")
    ('YWJj', None)
    """
    if decode == "auto":
        # Nearly all replies; a look-up in an Enum costs as much as reading 50 bytes.
        return _read_json(body) if media.is_json and body else _read_auto(body, media)
    if decode == "json":
        return _read_json(body)
    if decode == "text":
        return _read_text(body, media.charset)
    if decode == "binary":
        return base64.b64encode(body).decode("ascii")
    return None


def _read_auto(body: Buffer, media: MediaType) -> JsonValue:
    if not body:
        return None
    if media.kind is Kind.TEXT:
        return _read_text(body, media.charset)
    if media.kind is Kind.UNKNOWN:
        return _guess(bytes(body))
    return base64.b64encode(body).decode("ascii")


def _guess(body: bytes) -> JsonValue:
    """Read a body without a content type: JSON, else text, else base64."""
    if body.lstrip()[:1] in (b"{", b"["):
        try:
            return _read_json(body)
        except Unreadable:
            return _text_or_base64(body)
    return _text_or_base64(body)


def _text_or_base64(body: bytes) -> str:
    try:
        return body.decode()
    except UnicodeDecodeError:
        return base64.b64encode(body).decode("ascii")


def _read_json(body: Buffer) -> JsonValue:
    try:
        value: JsonValue = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        if bytes(body[:3]) == codecs.BOM_UTF8:
            return _read_json(body[3:])
        raise Unreadable(f"it is not valid JSON: {error}") from None
    # Too short to be deep: true for most replies, and seen in no time.
    if len(body) > 2 * JSON_DEPTH_MAX and _is_deep(bytes(body)):
        raise Unreadable(f"its JSON is nested deeper than {JSON_DEPTH_MAX}")
    return value


def _is_deep(body: bytes) -> bool:
    """Return whether valid JSON is nested deeper than allowed.

    Peels the innermost brackets, layer by layer, in C: ten times as fast as walking the
    value. Brackets inside strings can make it look deeper; only then is it walked.
    """
    if body.count(b"[") + body.count(b"{") <= JSON_DEPTH_MAX:
        return False
    layers = body.translate(_ONE_BRACKET, _NOT_BRACKETS)
    for _ in range(JSON_DEPTH_MAX):
        if not layers:
            return False
        layers = layers.replace(b"[]", b"")
    return bool(layers) and _depth_exceeds(orjson.loads(body))


def _depth_exceeds(value: JsonValue) -> bool:
    level = [value] if isinstance(value, dict | list) else []
    for _ in range(JSON_DEPTH_MAX):
        inner = (one.values() if isinstance(one, dict) else one for one in level)
        level = [v for values in inner for v in values if isinstance(v, dict | list)]
    return bool(level)


def _read_text(body: Buffer, charset: str) -> str:
    if not _CHARSETS.fullmatch(charset):
        raise Unreadable("its charset is unknown")
    try:
        return str(body, charset)
    except (UnicodeDecodeError, LookupError):
        raise Unreadable(f"it is not valid {charset}") from None
