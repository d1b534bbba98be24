"""`wait`: let time pass, until a moment, or until an event arrives from outside."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import BeforeValidator, ConfigDict, Field, WithJsonSchema, model_validator

from plait.document.durations import (
    WaitFor,
    WaitUntil,
    check_duration,
    check_moment,
)
from plait.document.fields import Condition, Strict
from plait.document.step import Parts, Step, TemplatePart
from plait.model.json import JsonObject
from plait.model.signal import SIGNAL_NAME_CHARS_MAX, SIGNAL_NAME_PATTERN, is_signal_name


def _name(value: Any) -> str:
    if not isinstance(value, str) or not is_signal_name(value):
        raise ValueError(
            "an event's name has letters, digits, '_', '-', '.', ':' and '/' only, "
            f"and at most {SIGNAL_NAME_CHARS_MAX} characters"
        )
    return value


EventName = Annotated[
    str,
    BeforeValidator(_name),
    WithJsonSchema(
        {
            "type": "string",
            "pattern": SIGNAL_NAME_PATTERN,
            "maxLength": SIGNAL_NAME_CHARS_MAX,
        }
    ),
]


class AwaitedEvent(Strict):
    """What arrives from outside, by `plait executions signal`."""

    name: EventName
    """What the sender calls it."""
    match: Condition | None = None
    """Which of that name: an expression over `event` (`name`, `id`, `payload`, `at`) and
    the usual names. Default: any."""
    timeout: WaitFor | None = None
    """The step fails when none has come by then. Default: it waits for ever."""


class WaitStep(Step):
    """Wait: `for` a while, `until` a moment, or for an `event`, whose payload is the
    response; else that is null."""

    model_config = ConfigDict(
        json_schema_extra={
            "oneOf": [{"required": [key]} for key in ("for", "until", "event")]
        }
    )
    machine: ClassVar[str] = "wait"

    type: Literal["wait"]
    duration: Annotated[WaitFor | None, Field(alias="for")] = None
    """How long: a duration, or a template that yields one."""
    until: WaitUntil | None = None
    """Until when: ISO 8601 with a zone, or a template that yields it. A moment that is
    over waits for nothing."""
    event: AwaitedEvent | None = None
    """An event from outside. Only a durable execution can wait for one."""

    @model_validator(mode="after")
    def _one_of_three(self) -> Self:
        if (self.duration, self.until, self.event).count(None) != 2:
            raise ValueError("a wait has one of `for`, `until` and `event`")
        return self

    def parts(self, raw: JsonObject) -> Parts:
        """What is waited for; an event has a machine of its own."""
        del raw
        if self.event is None:
            is_for = self.duration is not None
            key, check = ("for", check_duration) if is_for else ("until", check_moment)
            return Parts((TemplatePart(key, (key,), check=check),))
        templates = [TemplatePart("match", ("event", "match"), names=("event",))]
        if self.event.match is None:
            templates = []
        if self.event.timeout is not None:
            templates.append(TemplatePart("timeout", ("event", "timeout")))
        options: JsonObject = {"name": self.event.name}
        return Parts(
            tuple(templates), options=options, machine="wait_event", waits_outside=True
        )


STEP = WaitStep
