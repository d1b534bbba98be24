"""`saga`: steps that all happen, or are undone."""

from __future__ import annotations

from typing import ClassVar, Literal

from plait.document.fields import Steps
from plait.document.step import Parts, ScopePart, Step
from plait.model.json import JsonObject


class SagaStep(Step):
    """Run steps; when one fails, undo those that completed, in reverse order.

    A step is undone by its `compensate`. The response maps step ids to responses.
    """

    machine: ClassVar[str] = "saga"

    type: Literal["saga"]
    order: Literal["graph", "sequence"] = "sequence"
    """`graph`: each step starts as soon as what it reads has settled. Default: one after
    the other."""
    steps: Steps
    """What is done, and undone by their `compensate`."""

    def parts(self, raw: JsonObject) -> Parts:
        """One scope."""
        del raw
        return Parts(scopes=(ScopePart("steps", (), self.order),), scopes_needed=1)


STEP = SagaStep
