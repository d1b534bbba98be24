"""`fail`: fail with an error of one's own."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from plait.document.fields import Templated
from plait.document.step import Parts, Step, TemplatePart
from plait.model.json import JsonObject


class FailStep(Step):
    """Fail with the given error; `on_error`, fallbacks and the like apply as ever."""

    machine: ClassVar[str] = "fail"
    ends_scope: ClassVar[bool] = True

    type: Literal["fail"]
    code: Annotated[str, Field(min_length=1, max_length=200)] = "workflow.failed"
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
