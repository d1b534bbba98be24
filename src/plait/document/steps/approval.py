"""`approval`: let somebody decide."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Final, Literal, Self

from pydantic import BeforeValidator, Field, WithJsonSchema, model_validator

from plait.document.step import Parts, Step, TemplatePart
from plait.model.json import JsonObject

_APPROVERS_MAX: Final = 1_000


def _approvers(value: Any) -> Any:
    if isinstance(value, str) and "${" in value:
        return value
    is_list = isinstance(value, list) and 0 < len(value) <= _APPROVERS_MAX
    if not is_list or not all(isinstance(name, str) and name for name in value):
        raise ValueError("should be a list of names, or a template that yields one")
    return value


Approvers = Annotated[
    list[str] | str,
    BeforeValidator(_approvers),
    WithJsonSchema(
        {
            "anyOf": [
                {
                    "type": "array",
                    "items": {"type": "string", "minLength": 1},
                    "minItems": 1,
                    "maxItems": _APPROVERS_MAX,
                },
                {"type": "string", "pattern": r"\$\{"},
            ]
        }
    ),
]


class ApprovalStep(Step):
    """Wait until somebody approves or rejects; the response says who decided what.

    Rejected and timed out are answers, not failures: `decision` is `approved`, `rejected`
    or `timed_out`. Only a durable execution can wait for somebody.
    """

    machine: ClassVar[str] = "approval"

    type: Literal["approval"]
    title: Annotated[str, Field(min_length=1)] | None = None
    """What is to be decided, in a few words. Default: the step's id."""
    description: str | None = None
    """What whoever decides should know."""
    approvers: Approvers | None = None
    """Names and roles of those who may decide. Default: anybody."""

    @model_validator(mode="after")
    def _has_one_attempt(self) -> Self:
        for name in ("retry", "attempt_timeout"):
            if getattr(self, name) is not None:
                raise ValueError(f"an approval is asked for once: it takes no `{name}`")
        return self

    def parts(self, raw: JsonObject) -> Parts:
        """What people read, and who they are."""
        del raw
        templates = [
            TemplatePart("title", ("title",), default=self.id),
            TemplatePart("description", ("description",), default=""),
        ]
        if self.approvers is not None:
            templates.append(TemplatePart("approvers", ("approvers",)))
        return Parts(tuple(templates), waits_outside=True)


STEP = ApprovalStep
