"""`switch`: one of several ways, or all that fit."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, ClassVar, Final, Literal

from pydantic import Field

from plait.document.fields import Condition, Identifier, Steps, Strict, Templated
from plait.document.step import Parts, ScopePart, Step, TemplatePart, condition_part
from plait.model.json import JsonObject, JsonValue

CASES_MAX: Final = 1_000
DEFAULT: Final = "default"


class Way(Strict):
    """What is done when no case fits: a scope of its own."""

    description: str | None = None
    """For people."""
    order: Literal["graph", "sequence"] = "graph"
    """`sequence`: one step after the other."""
    steps: Steps
    """What is done."""
    output: Templated = None
    """What it yields. Default: a mapping from step id to response."""


class Case(Way):
    """One case: a condition, and a scope of its own."""

    name: Identifier | None = None
    """For people, paths and `case`. Default: `case1`, `case2`, … by position."""
    when: Condition | None = None
    """Tested when the switch begins. Only a `weighted` case may lack it."""
    priority: Annotated[int, Field(ge=-1_000_000, le=1_000_000)] = 0
    """Higher ones are tested, and listed, first; equal ones in the document's order."""
    weight: Annotated[float, Field(ge=0, le=1e9, allow_inf_nan=False)] = 1
    """`weighted`: its share among the cases whose conditions hold."""


class SwitchStep(Step):
    """Run the case whose condition holds, all that hold, or one by lot.

    The response is what the case yields; of `all_match` a mapping from case to what it
    yields. `case` is the name of the first one taken, `cases` has all of them.
    """

    machine: ClassVar[str] = "switch"
    facts: ClassVar[tuple[str, ...]] = ("case", "cases")

    type: Literal["switch"]
    strategy: Literal["first_match", "all_match", "weighted"] = "first_match"
    """`first_match`: the first whose `when` is true. `all_match`: all of those, at the same
    time. `weighted`: one of those by lot; one execution always draws the same."""
    cases: Annotated[list[Case], Field(min_length=1, max_length=CASES_MAX)]
    """They do not see each other's steps."""
    default: Way | None = None
    """When no case is taken. Without one the response is null, of `all_match` `{}`."""

    def problems(self) -> Iterator[tuple[tuple[str | int, ...], str]]:
        """Names that mean two things, and keys that the strategy does not know."""
        names = self._names()
        for position, (name, case) in enumerate(zip(names, self.cases, strict=True)):
            at = ("cases", position)
            if name == DEFAULT or name in names[:position]:
                yield at, f"there is another case of the name '{name}'"
            if case.when is None and self.strategy != "weighted":
                yield (
                    at,
                    f"case '{name}' has no condition: give it `when`, or make it the "
                    "`default`",
                )
            useless = "priority" if self.strategy == "weighted" else "weight"
            if useless in case.model_fields_set:
                text = f"`{useless}` decides nothing in a switch that is {self.strategy}"
                yield (*at, useless), text
        if self.strategy == "weighted" and not sum(case.weight for case in self.cases):
            yield ("cases",), "the weights sum to zero: no case is ever drawn"

    def _names(self) -> list[str]:
        return [case.name or f"case{n}" for n, case in enumerate(self.cases, start=1)]

    def parts(self, raw: JsonObject) -> Parts:
        """One scope and one condition per case, and the default."""
        del raw
        named = [*zip(self._names(), self.cases, strict=True)]
        by_priority = sorted(named, key=lambda one: -one[1].priority)
        order: list[JsonValue] = [name for name, _ in by_priority]
        weights: JsonObject = {name: case.weight for name, case in named}
        options: JsonObject = {"strategy": self.strategy, "order": order}
        if self.strategy == "weighted":
            options["weights"] = weights
        return Parts(
            templates=tuple(self._conditions()),
            scopes=tuple(self._scopes()),
            options=options,
        )

    def _conditions(self) -> Iterator[TemplatePart]:
        for position, (name, case) in enumerate(
            zip(self._names(), self.cases, strict=True)
        ):
            if case.when is not None:
                yield condition_part(f"when {name}", "cases", position, "when")

    def _scopes(self) -> Iterator[ScopePart]:
        for position, (name, case) in enumerate(
            zip(self._names(), self.cases, strict=True)
        ):
            yield ScopePart(name, ("cases", position), case.order)
        if self.default is not None:
            yield ScopePart(DEFAULT, ("default",), self.default.order)


STEP = SwitchStep
