"""`return`: end the workflow with a value."""

from __future__ import annotations

from typing import ClassVar, Literal

from plait.document.fields import Templated
from plait.document.step import Parts, Step, TemplatePart
from plait.model.json import JsonObject


class ReturnStep(Step):
    """End the whole workflow here; whatever still runs is cancelled."""

    machine: ClassVar[str] = "return"
    ends_scope: ClassVar[bool] = True

    type: Literal["return"]
    value: Templated = None
    """The workflow's output."""

    def parts(self, raw: JsonObject) -> Parts:
        """One template."""
        del raw
        return Parts((TemplatePart("value", ("value",)),))


STEP = ReturnStep
