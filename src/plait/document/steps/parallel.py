"""`parallel`: named branches at the same time."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import BeforeValidator, Field, WithJsonSchema, model_validator

from plait.document.fields import IDENTIFIER_SCHEMA, Identifier, Steps, Strict, Templated
from plait.document.step import Parts, ScopePart, Step
from plait.model.json import JsonObject


def _join(value: Any) -> Any:
    is_count = isinstance(value, int) and not isinstance(value, bool) and value >= 1
    if not is_count and value not in ("all", "any"):
        raise ValueError("should be all, any, or how many branches must complete, from 1")
    return value


Join = Annotated[
    Literal["all", "any"] | int,
    BeforeValidator(_join),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "enum": ["all", "any"]},
                {"type": "integer", "minimum": 1},
            ]
        }
    ),
]


class Branch(Strict):
    """One branch: a scope of its own."""

    description: str | None = None
    """For people."""
    order: Literal["graph", "sequence"] = "graph"
    """`sequence`: one step after the other."""
    steps: Steps
    """What the branch does."""
    output: Templated = None
    """What the branch yields. Default: a mapping from step id to response."""


class ParallelStep(Step):
    """Run branches at the same time; the response maps branch names to their outputs."""

    machine: ClassVar[str] = "parallel"

    type: Literal["parallel"]
    branches: Annotated[
        dict[Identifier, Branch],
        Field(
            min_length=1,
            max_length=1000,
            json_schema_extra={"propertyNames": IDENTIFIER_SCHEMA},
        ),
    ]
    """By name. They do not see each other's steps."""
    join: Join = "all"
    """How many branches must complete: all, any one, or a number. The others are then
    cancelled."""

    @model_validator(mode="after")
    def _join_is_possible(self) -> Self:
        if isinstance(self.join, int) and self.join > len(self.branches):
            raise ValueError(
                f"join: {self.join} needs more branches than the {len(self.branches)} given"
            )
        return self

    def parts(self, raw: JsonObject) -> Parts:
        """One scope per branch."""
        del raw
        count = {"all": len(self.branches), "any": 1}
        join_count = self.join if isinstance(self.join, int) else count[self.join]
        return Parts(
            scopes=tuple(
                ScopePart(name, ("branches", name), branch.order)
                for name, branch in self.branches.items()
            ),
            options={"join_count": join_count},
            scopes_needed=join_count,
        )


STEP = ParallelStep
