"""Rates as users write them: `100/1m` is a hundred in a minute."""

from __future__ import annotations

import re
from typing import Final

from plait.model.duration import format_ms, parse_duration_ms
from plait.model.record import record

RATE_PATTERN: Final = r"^[1-9]\d{0,8}/"
_RATE: Final = re.compile(r"([1-9]\d{0,8})/(.+)", re.ASCII)


@record
class Rate:
    """So many in so much time, as many of them at once as there are.

    Attributes:
        limit: 1 or more.
        per_ms: 1 or more.
    """

    limit: int
    per_ms: int

    def __str__(self) -> str:
        return f"{self.limit}/{format_ms(self.per_ms)}"


def parse_rate(text: str) -> Rate:
    """Return the rate that `text` names.

    Raises:
        ValueError: It is none, or its time is no time.

    >>> str(parse_rate("100/60s")), parse_rate("5/1h").per_ms
    ('100/1m', 3600000)
    """
    found = _RATE.fullmatch(text)
    if found is None:
        raise ValueError(f"'{text[:40]}' is not a rate; write 100/1m: so many, '/', a time")
    per_ms = parse_duration_ms(found[2])
    if per_ms < 1:
        raise ValueError("the time of a rate should be a millisecond or more")
    return Rate(int(found[1]), per_ms)
