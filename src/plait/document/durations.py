"""Durations and moments that a document gives, or a template of it."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated, Any

from pydantic import BeforeValidator, WithJsonSchema

from plait.document.fields import DURATION_PATTERN
from plait.model.duration import parse_duration_ms
from plait.model.json import JsonObject
from plait.model.moment import parse_moment_ms

_TEMPLATE_SCHEMA: JsonObject = {"type": "string", "pattern": re.escape("${")}


def _text_or_template(what: str, parse: Callable[[str], int]) -> Callable[[Any], str]:
    def check(value: Any) -> str:
        if not isinstance(value, str):
            raise ValueError(what)
        if "${" not in value:
            parse(value)
        return value

    return check


check_duration = _text_or_template(
    "a duration is text such as 800ms, 2s, 5m, 1h, 3d or ISO 8601", parse_duration_ms
)
check_moment = _text_or_template(
    "a moment is text such as 2026-12-24T18:00:00Z", parse_moment_ms
)


WaitFor = Annotated[
    str,
    BeforeValidator(check_duration),
    WithJsonSchema(
        {"anyOf": [{"type": "string", "pattern": DURATION_PATTERN}, _TEMPLATE_SCHEMA]}
    ),
]
WaitUntil = Annotated[
    str,
    BeforeValidator(check_moment),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "pattern": r"^\d{4}-\d\d-\d\d[Tt ]"},
                _TEMPLATE_SCHEMA,
            ]
        }
    ),
]
