"""What the models of loops share: their settings, and what they are made of."""

from __future__ import annotations

from typing import Annotated, ClassVar, Final, Literal

from pydantic import Field

from plait.document.durations import WaitFor, check_duration
from plait.document.fields import Condition, Steps, Templated
from plait.document.step import Parts, ScopePart, Step, TemplatePart, condition_part
from plait.model.json import JsonObject

ITERATIONS_MAX: Final = 1_000_000
NAMES: Final = ("iteration", "previous")


class LoopStep(Step):
    """Settings of all loops that go on until a condition says that it is enough.

    Attributes:
        ended_by: The key of that condition, and its value that ends the loop.
    """

    ended_by: ClassVar[tuple[str, bool]]

    inner_names: ClassVar[tuple[str, ...]] = NAMES
    keys_after: ClassVar[tuple[str, ...]] = ("break", "until", "result")

    order: Literal["graph", "sequence"] = "graph"
    """Of the steps: as soon as what they read has settled, or one after the other."""
    steps: Steps
    """What one iteration does."""
    result: Templated = None
    """What one iteration yields; sees its steps. Default: a mapping from step id to
    response."""
    max_iterations: Annotated[int, Field(ge=1, le=ITERATIONS_MAX)] = 100
    """One more and the step fails with `limit.iterations`."""
    delay: WaitFor | None = None
    """Wait between two iterations: a duration, or a template that yields one."""
    break_: Annotated[Condition | None, Field(alias="break")] = None
    """Tested after each iteration, whose steps it sees: true ends the loop."""
    continue_: Annotated[Condition | None, Field(alias="continue")] = None
    """Tested before each iteration: true passes over it."""

    def loop_parts(
        self, before: tuple[TemplatePart, ...], after: tuple[TemplatePart, ...]
    ) -> Parts:
        """Return what the loop is made of, beside conditions of its own."""
        templates = [*before]
        if self.continue_ is not None:
            templates.append(condition_part("continue", names=NAMES))
        if self.delay is not None:
            part = TemplatePart("delay", ("delay",), names=NAMES, check=check_duration)
            templates.append(part)
        if self.break_ is not None:
            after = (condition_part("break", names=NAMES), *after)
        scope = ScopePart("steps", (), self.order, NAMES, "result", after)
        options: JsonObject = {"max_iterations": self.max_iterations}
        return Parts(tuple(templates), (scope,), options=options)
