"""`route`: handlers that hand over to each other, level by level."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, ClassVar, Final, Literal

from pydantic import Field

from plait.document.fields import (
    IDENTIFIER_SCHEMA,
    Condition,
    Identifier,
    Steps,
    Strict,
    Templated,
)
from plait.document.nearest import nearest_hint
from plait.document.step import Parts, ScopePart, Step, TemplatePart, condition_part
from plait.model.json import JsonObject, JsonValue

NAMES: Final = ("previous", "iteration")
HOPS_MAX: Final = 100


class Handover(Strict):
    """Who is next, and when."""

    to: Identifier
    """The name of a handler."""
    when: Condition | None = None
    """Sees the handler's steps. Only the last transition may lack it: it is for all that is
    left."""


class Handler(Strict):
    """What one level does, and to whom it hands over."""

    description: str | None = None
    """For people."""
    order: Literal["graph", "sequence"] = "graph"
    """`sequence`: one step after the other."""
    steps: Steps
    """What it does. They see what the handler before yielded as `previous` (null for the
    first), and how often it was handed over before, from 0, as `iteration`."""
    output: Templated = None
    """What it yields. Default: a mapping from step id to response."""
    next: Annotated[list[Handover], Field(max_length=1_000, default_factory=list)]
    """The first whose `when` is true is taken; none: this handler has the answer."""


class RouteStep(Step):
    """Let handlers work one after the other, each saying who is next.

    The response is what the last one yielded; `handler` is its name, and `path` has the
    names of all, in the order of their turns.
    """

    machine: ClassVar[str] = "route"
    facts: ClassVar[tuple[str, ...]] = ("handler", "path")
    holder_names: ClassVar[tuple[str, ...]] = NAMES

    type: Literal["route"]
    handlers: Annotated[
        dict[Identifier, Handler],
        Field(
            min_length=1,
            max_length=1_000,
            json_schema_extra={"propertyNames": IDENTIFIER_SCHEMA},
        ),
    ]
    """By name. They do not see each other's steps."""
    start: Identifier | None = None
    """Who is first. Default: the first of the handlers."""
    max_hops: Annotated[int, Field(ge=1, le=HOPS_MAX)] = 10
    """How often it is handed over at most; once more and the step fails with
    `limit.hops`."""

    def problems(self) -> Iterator[tuple[tuple[str | int, ...], str]]:
        """Names of nobody."""
        if self.start is not None and self.start not in self.handlers:
            yield ("start",), self._nobody(self.start)
        for name, handler in self.handlers.items():
            at = ("handlers", name, "next")
            for position, one in enumerate(handler.next):
                if one.to not in self.handlers:
                    yield (*at, position, "to"), self._nobody(one.to)

    def _nobody(self, name: str) -> str:
        hint = nearest_hint(name, self.handlers) or f"there are {', '.join(self.handlers)}"
        return f"no handler is called '{name}': {hint}"

    def parts(self, raw: JsonObject) -> Parts:
        """One scope per handler, with the conditions of its transitions."""
        del raw
        following: JsonObject = {
            name: [one.to for one in handler.next]
            for name, handler in self.handlers.items()
        }
        start: JsonValue = self.start or next(iter(self.handlers))
        options: JsonObject = {
            "start": start,
            "next": following,
            "max_hops": self.max_hops,
            "max_iterations": self.max_hops + 1,
        }
        scopes = (_scope(name, handler) for name, handler in self.handlers.items())
        return Parts(scopes=tuple(scopes), options=options)


def transition_name(handler: str, position: int) -> str:
    """Return under which name the machine finds the `when` of a transition.

    >>> transition_name("triage", 0)
    'triage 1'
    """
    return f"{handler} {position + 1}"


def _scope(name: str, handler: Handler) -> ScopePart:
    path: tuple[Any, ...] = ("handlers", name)
    after: list[TemplatePart] = []
    for position, one in enumerate(handler.next):
        if one.when is not None:
            where = (*path, "next", position, "when")
            after.append(
                condition_part(transition_name(name, position), *where, names=NAMES)
            )
    return ScopePart(name, path, handler.order, NAMES, "", tuple(after))


STEP = RouteStep
