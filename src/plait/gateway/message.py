"""Request and reply, as the gateway sees them, and how a path is decoded.

Not here: how they are read and written (plait.gateway.http1, plait.gateway.asgi).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from urllib.parse import unquote_to_bytes

from plait.ports.message import JSON_TYPE, Reply, Request, error_reply, json_reply

__all__ = [
    "JSON_TYPE",
    "Reply",
    "Request",
    "as_bytes",
    "error_reply",
    "header_texts",
    "json_reply",
    "percent_decode",
]

_BROKEN_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")


def header_texts(headers: Mapping[bytes, bytes]) -> dict[str, str]:
    """Return headers as text, a character for each byte: no header is too odd for that.

    >>> header_texts({b"x-name": b"caf\\xe9"})
    {'x-name': 'café'}
    """
    return {
        name.decode("latin-1"): told.decode("latin-1") for name, told in headers.items()
    }


def as_bytes(headers: Iterable[tuple[str, str]]) -> tuple[tuple[bytes, bytes], ...]:
    """Return headers as a reply has them.

    >>> as_bytes([("retry-after", "2")])
    ((b'retry-after', b'2'),)
    """
    return tuple((name.encode(), told.encode("latin-1")) for name, told in headers)


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
