"""`sequence`: steps one after the other."""

from __future__ import annotations

from typing import ClassVar, Literal

from plait.document.fields import Steps
from plait.document.step import Parts, ScopePart, Step
from plait.model.json import JsonObject


class SequenceStep(Step):
    """Run steps one after the other; the response maps step ids to responses."""

    machine: ClassVar[str] = "sequence"

    type: Literal["sequence"]
    steps: Steps
    """In the order in which they run."""

    def parts(self, raw: JsonObject) -> Parts:
        """One scope."""
        del raw
        return Parts(scopes=(ScopePart("steps", (), "sequence"),), scopes_needed=1)


STEP = SequenceStep
