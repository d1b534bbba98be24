"""`try`: steps whose failure is answered by others."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, ClassVar, Final, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema

from plait.document.error_words import ErrorMatch
from plait.document.fields import IDENTIFIER_SCHEMA, Steps, identifier
from plait.document.step import Parts, ScopePart, Step, TemplatePart, condition_part
from plait.document.steps.switch import Way
from plait.model.json import JsonObject, JsonValue

CATCHES_MAX: Final = 100
BODY: Final = "steps"
FINALLY: Final = "finally"
ERROR: Final = "error"


def _error_name(value: Any) -> str:
    return ERROR if value == ERROR else identifier(value)


ErrorName = Annotated[
    str,
    BeforeValidator(_error_name),
    WithJsonSchema({"anyOf": [{"const": ERROR}, IDENTIFIER_SCHEMA]}),
]


class Catch(Way):
    """Which errors it answers, and how."""

    on: ErrorMatch | None = None
    """Errors that it answers: classes, statuses, codes, or an expression over `error`.
    Default: all."""
    as_: Annotated[ErrorName, Field(alias="as")] = ERROR
    """Under which name its steps see the error."""


class TryStep(Step):
    """Run steps; when one fails for good, run those of the first `catch` that fits.

    The response is what the steps yield, or the `catch`. `caught` is the error that was
    caught, null if there was none.
    """

    machine: ClassVar[str] = "try"
    facts: ClassVar[tuple[str, ...]] = ("caught",)

    type: Literal["try"]
    order: Literal["graph", "sequence"] = "graph"
    """Of the steps: as soon as what they read has settled, or one after the other."""
    steps: Steps
    """What is tried."""
    catch: Annotated[list[Catch], Field(max_length=CATCHES_MAX, default_factory=list)]
    """Of these the first that fits answers a failure. An error that none answers, or that
    is raised in one, is the step's own."""
    finally_: Annotated[Way | None, Field(alias="finally")] = None
    """What runs in any case, before the step ends: after the steps, and after a `catch`.
    Only when the workflow itself ends meanwhile (`return`, a time limit, a cancel) it does
    not. If it fails, so does the step."""

    def problems(self) -> Iterator[tuple[tuple[str | int, ...], str]]:
        """Nothing that answers, or something that never does."""
        if not self.catch and self.finally_ is None:
            yield (), "a `try` needs a `catch` or a `finally`"
        for position, one in enumerate(self.catch[:-1]):
            if one.on is None or one.on == ("any",):
                text = "this answers every error: those behind it never run"
                yield ("catch", position), text

    def parts(self, raw: JsonObject) -> Parts:
        """One scope for the steps, one for each `catch`, one for `finally`."""
        del raw
        words: JsonObject = {
            name: [*one.on] for name, one in self._catches() if isinstance(one.on, tuple)
        }
        names: JsonObject = {name: one.as_ for name, one in self._catches()}
        options: dict[str, JsonValue] = {"catches": names, "on": words}
        return Parts(tuple(self._conditions()), tuple(self._scopes()), options)

    def _catches(self) -> Iterator[tuple[str, Catch]]:
        for number, one in enumerate(self.catch, start=1):
            yield f"catch{number}", one

    def _conditions(self) -> Iterator[TemplatePart]:
        for position, (name, one) in enumerate(self._catches()):
            if isinstance(one.on, str):
                path = ("catch", position, "on")
                yield condition_part(f"on {name}", *path, names=(ERROR,))

    def _scopes(self) -> Iterator[ScopePart]:
        yield ScopePart(BODY, (), self.order)
        for position, (name, one) in enumerate(self._catches()):
            yield ScopePart(name, ("catch", position), one.order, (one.as_,))
        if self.finally_ is not None:
            yield ScopePart(FINALLY, (FINALLY,), self.finally_.order)


STEP = TryStep
