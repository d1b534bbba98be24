"""`fail`: fail with an error of one's own."""

from __future__ import annotations

import re
from typing import Annotated, ClassVar, Final, Literal

from pydantic import AfterValidator, Field, WithJsonSchema

from plait.document.fields import Templated
from plait.document.step import Parts, Step, TemplatePart
from plait.model.failure import CODE_PATTERN
from plait.model.json import JsonObject

_CODE: Final = re.compile(CODE_PATTERN, re.ASCII)


def _code(value: str) -> str:
    if "${" not in value and not _CODE.fullmatch(value):
        raise ValueError("a code is words between dots: order.out_of_stock")
    return value


ErrorCode = Annotated[
    str,
    Field(min_length=1, max_length=200),
    AfterValidator(_code),
    WithJsonSchema(
        {
            "type": "string",
            "minLength": 1,
            "maxLength": 200,
            "pattern": rf"^{CODE_PATTERN}$|\$\{{",
        }
    ),
]


class FailStep(Step):
    """Fail with the given error; `on_error`, fallbacks and the like apply as ever."""

    machine: ClassVar[str] = "fail"
    ends_scope: ClassVar[bool] = True

    type: Literal["fail"]
    code: ErrorCode = "workflow.failed"
    """Stable, for programs: `order.out_of_stock`."""
    message: str = "the workflow failed on purpose"
    """For people."""
    details: Templated = None
    """Facts for programs."""

    def parts(self, raw: JsonObject) -> Parts:
        """Three templates."""
        del raw
        return Parts(
            (
                TemplatePart("code", ("code",), default=self.code),
                TemplatePart("message", ("message",), default=self.message),
                TemplatePart("details", ("details",), default={}),
            )
        )


STEP = FailStep
