"""What a limiter is built with and asked for, checked where it is said.

Each message names the argument, its value and what would do.
"""

from __future__ import annotations

import math


def whole(argument: str, value: int, what: str) -> int:
    """Return `value`, a whole number of 1 or more.

    >>> whole("limit", 0, "calls per period")
    Traceback (most recent call last):
    ValueError: limit is 0: give a whole number of calls per period, 1 or more
    """
    if type(value) is not int or value < 1:
        raise ValueError(
            f"{argument} is {value!r}: give a whole number of {what}, 1 or more"
        )
    return value


def or_limit(argument: str, value: int | None, limit: int) -> int:
    """Return `value`, calls that may come at once; the limit of a period if not given."""
    whole("limit", limit, "calls per period")
    return limit if value is None else whole(argument, value, "calls")


def seconds(argument: str, value: float) -> float:
    """Return `value`, a finite number of seconds above 0."""
    if not _is_number(value) or not math.isfinite(value) or value <= 0:
        raise ValueError(f"{argument} is {value!r}: give seconds, more than 0")
    return float(value)


def patience(argument: str, value: float | None) -> float | None:
    """Return `value`: seconds, 0 for not at all, None for as long as it takes."""
    if value is None:
        return None
    if not _is_number(value) or not value >= 0:
        raise ValueError(
            f"{argument} is {value!r}: give seconds, 0 for no wait, or None for any"
        )
    return float(value) if math.isfinite(value) else None


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
