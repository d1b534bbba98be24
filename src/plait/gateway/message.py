"""Request and reply, as the gateway sees them: no socket, no protocol.

Rule. Headers are bytes, names lower-case, as they come from and go to the wire: decoding
      what nobody reads would cost more than everything else here.

Not here: how they are read and written (plait.gateway.http1, plait.gateway.asgi).
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import unquote_to_bytes

import orjson

from plait.model.json import JsonObject, JsonValue
from plait.model.record import record

JSON_TYPE: Final = (b"content-type", b"application/json")

_BROKEN_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")


@record
class Request:
    """One request, read whole.

    Attributes:
        path: As sent, percent-encoded; bytes above 127 as Latin-1.
        query: As sent, without the `?`.
        headers: By lower-case name; repeated ones joined by `, `.
        peer: The address at the other end of the connection, without its port; empty when
            it is not known.
    """

    method: str
    path: str
    query: str
    headers: Mapping[bytes, bytes]
    body: bytes = b""
    peer: str = ""


@dataclass(slots=True)
class Reply:
    """What goes back. Headers may be added on the way out.

    Attributes:
        stream: The body's parts as they come, instead of `body`; the connection is closed
            after the last.
    """

    status: int
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    body: bytes = b""
    stream: AsyncIterator[bytes] | None = None


def json_reply(status: int, value: JsonValue) -> Reply:
    """Return a reply whose body is `value`."""
    return Reply(status, [JSON_TYPE], orjson.dumps(value))


def error_reply(
    status: int, *, code: str, message: str, details: JsonObject | None = None
) -> Reply:
    """Return a reply in the one error shape.

    >>> error_reply(404, code="request.not_found", message="nothing is here").body
    b'{"error":{"code":"request.not_found","message":"nothing is here","details":{}}}'
    """
    error: JsonObject = {"code": code, "message": message, "details": details or {}}
    return json_reply(status, {"error": error})


def percent_decode(text: str) -> str:
    """Return `text` with its %XX escapes decoded, once, as UTF-8.

    Raises:
        ValueError: An escape is broken, or the bytes are not UTF-8.

    >>> percent_decode("caf%C3%A9%2Fbar%2520")
    'café/bar%20'
    """
    if "%" not in text and text.isascii():
        return text
    if _BROKEN_ESCAPE.search(text):
        raise ValueError("a '%' is not followed by two hexadecimal digits")
    try:
        return unquote_to_bytes(text.encode("latin-1")).decode("utf-8")
    except UnicodeDecodeError:
        raise ValueError("its bytes are not UTF-8") from None
