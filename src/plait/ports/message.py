"""Request and reply, as the gateway and what stands around it see them: no socket.

Rule. Headers are bytes, names lower-case, as they come from and go to the wire: decoding
      what nobody reads would cost more than everything else.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Final

import orjson

from plait.model.json import JsonObject, JsonValue
from plait.model.record import record

JSON_TYPE: Final = (b"content-type", b"application/json")


@record
class Request:
    """One request, read whole.

    Attributes:
        path: As sent, percent-encoded; bytes above 127 as Latin-1.
        query: As sent, without the `?`.
        headers: By lower-case name; repeated ones joined by `, `.
        peer: The address at the other end of the connection, without its port; empty when
            it is not known.
        due_s: When it was its turn, of the monotonic clock; 0: nobody noted it. Between
            that and its handling lies what the process had to do before.
        version: Of HTTP, as the request line says it.
    """

    method: str
    path: str
    query: str
    headers: Mapping[bytes, bytes]
    body: bytes = b""
    peer: str = ""
    due_s: float = 0.0
    version: str = "1.1"


@dataclass(slots=True)
class Reply:
    """What goes back. Headers may be added on the way out.

    Attributes:
        stream: The body's parts as they come, instead of `body`; the connection is closed
            after the last.
        beat: What may stand between two parts of it and means nothing; empty: nothing may.
            It is sent to a client that sends no more, to find out whether it has gone.
    """

    status: int
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    body: bytes = b""
    stream: AsyncIterator[bytes] | None = None
    beat: bytes = b""


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
