"""`repeat`: iterations until a condition is true."""

from __future__ import annotations

from typing import ClassVar, Literal

from plait.document.fields import Condition
from plait.document.loops import NAMES, LoopStep
from plait.document.step import Parts, condition_part
from plait.model.json import JsonObject


class RepeatStep(LoopStep):
    """Run steps again and again, until `until` is true; tests last.

    The response has `result` (what the last iteration yielded), `iterations` (how many
    ran) and `stopped_by` (`condition` or `break`).
    """

    machine: ClassVar[str] = "repeat"
    ended_by: ClassVar[tuple[str, bool]] = ("until", True)

    type: Literal["repeat"]
    until: Condition
    """Tested after each iteration, whose steps it sees."""

    def parts(self, raw: JsonObject) -> Parts:
        """One scope, tested after it has run."""
        del raw
        return self.loop_parts((), (condition_part("until", names=NAMES),))


STEP = RepeatStep
