"""The `python` step type: how a document asks for a function."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from plait.connectors.python.functions import NAME_CHARS_MAX, NAME_PATTERN
from plait.document import Step
from plait.document.fields import Strict
from plait.document.step import Effect, Parts, TemplatePart
from plait.model.json import JsonObject


class PythonRequest(Strict):
    """Which function, with what."""

    function: Annotated[str, Field(pattern=f"^{NAME_PATTERN}$", max_length=NAME_CHARS_MAX)]
    """The name under which the function is registered: `shop.stock.reserve`. Never a
    template: what may run is written in the document."""
    arguments: Annotated[dict[str, Any] | list[Any], Field(default_factory=dict)]
    """A mapping from parameter to value, or a list of values in the order of the
    parameters; values may be templates. Default: none."""
    wait_for_worker: bool = False
    """Where the function is not registered, leave the call to a worker that has it, instead
    of failing. Of durable executions only: an express one would wait in vain, and fails."""


class PythonStep(Step):
    """Call a function of this process, and return what it returns."""

    machine: ClassVar[str] = "call"
    takes_defaults: ClassVar[bool] = True

    type: Literal["python"]
    request: PythonRequest
    """What to call."""

    def parts(self, raw: JsonObject) -> Parts:
        """One template: the request."""
        del raw
        part = TemplatePart("request", ("request",), may_read_secrets=True)
        return Parts(templates=(part,))

    def own_effect(self, raw: JsonObject) -> Effect:
        """Nobody can see from here what a function does: it is given a key."""
        return "keyed"
