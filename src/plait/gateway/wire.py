"""Replies as bytes of HTTP/1.1."""

from __future__ import annotations

from http import HTTPStatus
from typing import Final

from plait.gateway.message import Reply

_LINES: Final = {
    int(status): f"HTTP/1.1 {int(status)} {status.phrase}\r\ndate: ".encode()
    for status in HTTPStatus
}
# Statuses whose replies have no body, and no length of one either.
_BODILESS: Final = (204, 304)


def render_reply(reply: Reply, *, date: bytes, is_last: bool, has_body: bool) -> bytes:
    """Return the bytes that send `reply`.

    Args:
        date: The value of the `Date` header.
        is_last: The connection is closed after it.
        has_body: False for the reply to HEAD, which only tells the body's length.

    >>> render_reply(Reply(204), date=b"now", is_last=True, has_body=True)
    b'HTTP/1.1 204 No Content\\r\\ndate: now\\r\\nconnection: close\\r\\n\\r\\n'
    """
    status = reply.status
    parts = [_LINES.get(status) or b"HTTP/1.1 %d \r\ndate: " % status, date]
    for name, value in reply.headers:
        parts += (b"\r\n", name, b": ", value)
    if is_last:
        parts.append(b"\r\nconnection: close")
    if status in _BODILESS or reply.stream is not None:
        parts.append(b"\r\n\r\n")
    else:
        parts.append(b"\r\ncontent-length: %d\r\n\r\n" % len(reply.body))
        if has_body:
            parts.append(reply.body)
    return b"".join(parts)
