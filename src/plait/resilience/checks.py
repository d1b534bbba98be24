"""Checks of the arguments that policies are constructed with.

Each names the argument, what it was, and what it may be.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import TypeGuard


def check_count(argument: str, value: object, *, least: int = 1) -> None:
    """Refuse what is no whole number of at least `least`.

    >>> check_count("max_attempts", 0)
    Traceback (most recent call last):
    ValueError: max_attempts is 0; give a whole number of at least 1
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        message = f"{argument} is {value!r}; give a whole number of at least {least}"
        raise ValueError(message)


def check_seconds(argument: str, value: object, *, zero: bool = False) -> None:
    """Refuse what is no finite time; 0 only where `zero` says so."""
    if _is_number(value) and (value > 0 or (zero and value == 0)):
        return
    least = "0 or more" if zero else "more than 0"
    raise ValueError(f"{argument} is {value!r}; give seconds, {least}")


def check_patience(argument: str, value: float | None) -> float | None:
    """Return a time to wait: seconds, 0 for no wait; None, as infinity is, for any.

    >>> check_patience("timeout", float("inf")) is None
    True
    """
    if value is None or value == math.inf:
        return None
    if not _is_number(value) or value < 0:
        message = f"{argument} is {value!r}; give seconds, 0 for no wait, or None for any"
        raise ValueError(message)
    return float(value)


def check_share(argument: str, value: object, *, zero: bool = False) -> None:
    """Refuse what is no share: above 0 (or 0, where `zero` says so) and at most 1."""
    if _is_number(value) and (0 < value <= 1 or (zero and value == 0)):
        return
    least = "from 0 to 1" if zero else "above 0 and at most 1"
    raise ValueError(f"{argument} is {value!r}; give a share {least}")


def check_factor(argument: str, value: object) -> None:
    """Refuse what is no finite number of at least 1."""
    if not _is_number(value) or value < 1:
        raise ValueError(f"{argument} is {value!r}; give a number of at least 1")


def check_choice(argument: str, value: str, choices: Collection[str]) -> None:
    """Refuse what is none of `choices`."""
    if value not in choices:
        known = ", ".join(choices)
        raise ValueError(f"{argument} is {value!r}; it can be {known}")


def _is_number(value: object) -> TypeGuard[float]:
    return (
        isinstance(value, int | float)
        and not isinstance(value, bool)
        and math.isfinite(value)
    )
