"""Durations that templates yield, and what is wrong with those that are none."""

from __future__ import annotations

from plait.model.duration import parse_duration_ms
from plait.model.errors import Advice
from plait.model.failure import Failure
from plait.model.json import JsonValue, canonical_bytes


def duration_ms(value: JsonValue) -> int:
    """Return the milliseconds that a template's value names.

    Text only, as in a document: a bare 5 could be seconds or milliseconds.

    Raises:
        ValueError: It names none.
    """
    if isinstance(value, str):
        return parse_duration_ms(value)
    raise ValueError(
        f"{shown(value)} is not a duration, which is text; write ${{…}}ms or ${{…}}s "
        "around a number, or yield text such as 800ms, 2s, 5m, 1h, 3d or ISO 8601"
    )


def duration_failure(error: ValueError) -> Failure:
    """Return the failure of a step whose template yielded no duration."""
    return Failure("wait.duration", str(error), advice=Advice.FIX_REQUEST)


def shown(value: JsonValue) -> str:
    """What it is, as JSON; of what may be long, the kind."""
    if isinstance(value, (list, dict)):
        return "a list" if isinstance(value, list) else "a mapping"
    return canonical_bytes(value).decode()
