"""Moments as users write them: ISO 8601 with a zone, `2026-12-24T18:00:00+01:00`."""

from __future__ import annotations

import re
from datetime import datetime

from plait.model.duration import parse_duration_ms

_SHAPE = re.compile(
    r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d(?::\d\d(?:[.,]\d{1,9})?)?(?:[Zz]|[+-]\d\d:?\d\d)",
    re.ASCII,
)
# Past the microsecond the library refuses; nobody waits for a nanosecond.
_TOO_FINE = re.compile(r"([.,]\d{6})\d+", re.ASCII)


def parse_moment_ms(text: str) -> int:
    """Return the moment that `text` names, milliseconds since the Unix epoch.

    Args:
        text: Date, time and zone: `2026-12-24T18:00:00Z`, `2026-12-24T18:00+01:00`.

    Raises:
        ValueError: It is no moment. Without a zone nobody can tell which.

    >>> parse_moment_ms("1970-01-01T00:00:01.5Z"), parse_moment_ms("1970-01-01T01:00+01:00")
    (1500, 0)
    """
    if not _SHAPE.fullmatch(text):
        raise ValueError(
            f"'{text}' is not a moment; write date, time and zone: 2026-12-24T18:00:00Z"
        )
    try:
        moment = datetime.fromisoformat(_TOO_FINE.sub(r"\1", text.upper()))
        return round(moment.timestamp() * 1000)
    except (ValueError, OverflowError):
        raise ValueError(
            f"'{text}' is not a moment: there is no such day, time of day or zone (a zone "
            "is Z, or less than 24 hours from it: +01:00)"
        ) from None


def parse_since_ms(text: str, now_ms: int) -> int:
    """Return the moment that `text` names, or the one that long before `now_ms`.

    Raises:
        ValueError: It is neither a moment nor a duration.

    >>> parse_since_ms("2s", 5000), parse_since_ms("1970-01-01T00:00:01Z", 5000)
    (3000, 1000)
    """
    if _SHAPE.fullmatch(text):
        return parse_moment_ms(text)
    try:
        return now_ms - parse_duration_ms(text)
    except ValueError:
        raise ValueError(
            f"'{text}' is neither a duration (1h, 3d) nor a moment (2026-12-24T18:00:00Z)"
        ) from None
