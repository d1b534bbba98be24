"""`goto`: go on with another step of the same sequence."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, ClassVar, Final, Literal

from pydantic import Field

from plait.document.fields import Identifier
from plait.document.loops import ITERATIONS_MAX
from plait.document.step import Parts, Step
from plait.model.json import JsonObject

# What a jump has no use for: it calls nothing, takes no time and yields what it yields.
_USELESS: Final = (
    "timeout attempt_timeout retry fallback compensate effect on_unknown idempotency_key "
    "output"
).split()


class GotoStep(Step):
    """Go on with another step of the same sequence, before or behind this one.

    The response has `to`, and `visit`: how often that step will have begun.
    """

    machine: ClassVar[str] = "goto"

    type: Literal["goto"]
    to: Identifier
    """The id of the step to go on with. It stands in the same scope."""
    max_visits: Annotated[int, Field(ge=1, le=ITERATIONS_MAX)] = 100
    """That step begins so often at most, the first time included; once more and this one
    fails with `limit.visits`."""

    @property
    def jumps_to(self) -> str:
        """The id of the step that it leads to."""
        return self.to

    def problems(self) -> Iterator[tuple[tuple[str | int, ...], str]]:
        """Settings of steps that do something."""
        for key in _USELESS:
            if key in self.model_fields_set:
                yield (key,), f"'{key}' has no meaning for a `goto`"

    def parts(self, raw: JsonObject) -> Parts:
        """Nothing but settings."""
        del raw
        return Parts(options={"to": self.to, "max_visits": self.max_visits})


STEP = GotoStep
