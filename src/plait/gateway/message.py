"""Request and reply, as the gateway sees them, and how a path is decoded.

Not here: how they are read and written (plait.gateway.http1, plait.gateway.asgi).
"""

from __future__ import annotations

import re
from urllib.parse import unquote_to_bytes

from plait.ports.message import JSON_TYPE, Reply, Request, error_reply, json_reply

__all__ = [
    "JSON_TYPE",
    "Reply",
    "Request",
    "error_reply",
    "json_reply",
    "percent_decode",
]

_BROKEN_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")


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
