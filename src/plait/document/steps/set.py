"""`set`: give a name to a value."""

from __future__ import annotations

from typing import ClassVar, Literal

from plait.document.fields import Templated
from plait.document.step import Parts, Step, TemplatePart
from plait.model.json import JsonObject


class SetStep(Step):
    """Compute a value; it becomes the step's response."""

    machine: ClassVar[str] = "set"

    type: Literal["set"]
    value: Templated
    """The response."""

    def parts(self, raw: JsonObject) -> Parts:
        """One template."""
        del raw
        return Parts((TemplatePart("value", ("value",)),))


STEP = SetStep
