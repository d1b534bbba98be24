"""`wait`: let time pass."""

from __future__ import annotations

import re
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema

from plait.document.fields import DURATION_PATTERN
from plait.document.step import Parts, Step, TemplatePart
from plait.model.duration import parse_duration_ms
from plait.model.json import JsonObject


def _wait(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("a duration is text such as 800ms, 2s, 5m, 1h, 3d or ISO 8601")
    if "${" not in value:
        parse_duration_ms(value)
    return value


WaitFor = Annotated[
    str,
    BeforeValidator(_wait),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "pattern": DURATION_PATTERN},
                {"type": "string", "pattern": re.escape("${")},
            ]
        }
    ),
]


class WaitStep(Step):
    """Wait for a while; the response is null."""

    machine: ClassVar[str] = "wait"

    type: Literal["wait"]
    duration: Annotated[WaitFor, Field(alias="for")]
    """How long: a duration, or a template that yields one."""

    def parts(self, raw: JsonObject) -> Parts:
        """One template."""
        del raw
        return Parts((TemplatePart("for", ("for",), check=_wait),))


STEP = WaitStep
