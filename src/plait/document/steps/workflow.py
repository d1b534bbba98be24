"""`workflow`: run another workflow as a step."""

from __future__ import annotations

from typing import Annotated, ClassVar, Final, Literal

from pydantic import Field

from plait.document.fields import Strict, Templated
from plait.document.step import Effect, Parts, Step, TemplatePart
from plait.model.json import JsonObject

# Ten years: a child takes as long as it takes, unless the step says `timeout`.
_TIMEOUT_MS_DEFAULT: Final = 10 * 365 * 24 * 3_600_000


class WorkflowRequest(Strict):
    """Which workflow, and with what."""

    name: Annotated[str, Field(min_length=1, max_length=1_000)]
    """Its `name`; may be a template."""
    input: Templated = None
    """What it gets as `input`."""
    wait: bool = True
    """False: start it and go on at once; the response is `execution_id`."""


class WorkflowStep(Step):
    """Run another workflow; the response is its output."""

    machine: ClassVar[str] = "call"
    has_upstream: ClassVar[bool] = False

    type: Literal["workflow"]
    request: WorkflowRequest
    """Which workflow, and with what."""

    def parts(self, raw: JsonObject) -> Parts:
        """One template; no time limit of its own."""
        del raw
        return Parts(
            (TemplatePart("request", ("request",)),),
            options={"timeout_ms_default": _TIMEOUT_MS_DEFAULT},
        )

    def own_effect(self, raw: JsonObject) -> Effect:
        """The child is found again by its id, however often it is asked for."""
        del raw
        return "keyed"


STEP = WorkflowStep
