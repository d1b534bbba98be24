"""`while`: iterations as long as a condition is true."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from plait.document.fields import Condition
from plait.document.loops import NAMES, LoopStep
from plait.document.step import Parts, condition_part
from plait.model.json import JsonObject


class WhileStep(LoopStep):
    """Run steps again and again, as long as `while` is true; tests first.

    The response has `result` (what the last iteration yielded), `iterations` (how many
    ran) and `stopped_by` (`condition` or `break`).
    """

    machine: ClassVar[str] = "while"
    ended_by: ClassVar[tuple[str, bool]] = ("while", False)

    type: Literal["while"]
    while_: Annotated[Condition, Field(alias="while")]
    """Tested before each iteration. Sees `iteration`, the number of the next one from 0,
    and `previous`, what the last one yielded: null before the first."""

    def parts(self, raw: JsonObject) -> Parts:
        """One scope, tested before it runs."""
        del raw
        return self.loop_parts((condition_part("while", names=NAMES),), ())


STEP = WhileStep
