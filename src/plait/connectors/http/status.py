"""A reply with a status that the request does not expect, as a failure.

Rule. The failure shows what the other side said (the first 2 KB), and where; it does not
show what was sent: the URL stands without its query.
"""

from __future__ import annotations

import time
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Final

from plait.connectors.http.content import Unreadable, read_content
from plait.connectors.http.head import RETRY_AFTER, Head
from plait.connectors.http.media import Kind, MediaType
from plait.model.errors import Advice
from plait.model.failure import Failure
from plait.model.json import JsonValue

SHOWN_BYTES_MAX: Final = 2048
_PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})
# Ten digits of seconds are three centuries; more would only be a large number.
_SECONDS_DIGITS_MAX: Final = 10


def status_failure(
    method: str, url: str, head: Head, body: bytes, *, is_cut: bool
) -> Failure:
    """Return the failure for a reply with an unexpected status.

    Args:
        url: As it may be shown.
        body: Unpacked; all of it, or its beginning when `is_cut`.
    """
    status = head.status
    shown, is_truncated = _shown(body, head.media, is_cut=is_cut)
    details: dict[str, JsonValue] = {
        "status_code": status,
        "url": url,
        "body": shown,
        "body_truncated": is_truncated,
    }
    return Failure(
        code=f"connector.http.{status}",
        message=f"{method} {url} answered {status}{_phrase(status)}",
        details=details,
        advice=_advice(status),
        retry_after_ms=retry_after_ms(head.first(RETRY_AFTER), now_s=time.time()),
    )


def _phrase(status: int) -> str:
    try:
        return f" {HTTPStatus(status).phrase}"
    except ValueError:
        return ""


def _advice(status: int) -> Advice:
    if status in _PASSING:
        return Advice.RETRY
    return Advice.FIX_REQUEST if 400 <= status < 500 else Advice.REPORT


def _shown(body: bytes, media: MediaType, *, is_cut: bool) -> tuple[JsonValue, bool]:
    """Return the body as an error shows it, and whether that is only its beginning."""
    if not is_cut and len(body) <= SHOWN_BYTES_MAX:
        try:
            return read_content(body, media, "auto"), False
        except Unreadable:
            return body.decode(errors="replace"), False
    if media.kind is Kind.BINARY:
        return None, True
    return body[:SHOWN_BYTES_MAX].decode(errors="replace"), True


def retry_after_ms(value: bytes | None, *, now_s: float) -> int | None:
    """Return a Retry-After header's wish in milliseconds; None if it has none.

    Args:
        value: Seconds, or a date.
        now_s: Seconds since the Unix epoch.

    >>> retry_after_ms(b"3", now_s=0)
    3000
    >>> retry_after_ms(b"Thu, 01 Jan 1970 00:01:00 GMT", now_s=59.5)
    500
    """
    if value is None:
        return None
    if value.isdigit():
        return int(value[:_SECONDS_DIGITS_MAX]) * 1000
    try:
        due_at_s = parsedate_to_datetime(value.decode("latin-1")).timestamp()
    except (ValueError, OverflowError):
        return None
    return max(0, round((due_at_s - now_s) * 1000))
