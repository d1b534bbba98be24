"""What every step has, and what a step type's model must say about itself.

A model tells the compiler by `parts()` which of its keys are templates, nested scopes and
plain settings; nothing else in the compiler knows about a single type.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Annotated, Any, ClassVar, Literal, get_args

from pydantic import Field, WithJsonSchema

from plait.document.fields import Condition, Identifier, Span, Strict, Templated
from plait.document.policies import (
    Batch,
    Bulkhead,
    Cache,
    CircuitBreaker,
    Hedge,
    IdempotencyKey,
    Once,
    RateLimit,
)
from plait.document.retry import Retry
from plait.expression import Escape
from plait.model.json import JsonObject, JsonValue
from plait.model.record import record

Effect = Literal["read", "keyed", "unsafe"]


@record
class TemplatePart:
    """A key whose value is a template.

    Attributes:
        name: Under which the machine finds it.
        path: Keys that lead to it from the step.
        escape: How values are written into its text.
        without: Keys of the value to leave out, because they are parts of their own.
        default: Its value when the step does not give it.
        may_read_secrets: True for what only a connector sees.
        names: Names that only it sees (`item`, `index`).
        check: Raises ValueError for a value that the machine cannot use. What the document
            itself gives is checked by it, where that reads no names.
    """

    name: str
    path: tuple[str | int, ...]
    escape: Escape = Escape.NONE
    without: tuple[str, ...] = ()
    default: JsonValue = None
    may_read_secrets: bool = False
    names: tuple[str, ...] = ()
    check: Callable[[JsonValue], object] | None = None


def condition_part(
    name: str, *path: str | int, names: tuple[str, ...] = ()
) -> TemplatePart:
    """Return the part that is a condition; without a `path` its name is its key."""
    return TemplatePart(name, path or (name,), names=names, check=_check_bool)


def _check_bool(value: JsonValue) -> None:
    if not isinstance(value, bool):
        raise ValueError("a condition is true or false")


@record
class ScopePart:
    """A nested scope. `path` leads to the mapping that has its `steps`.

    Attributes:
        names: Names that only its templates see (`item`, `index`).
        output_key: Under which the document says what the scope yields; empty: `output`
            beside its steps, unless these are the step's own mapping.
        after: Templates of the step that see what the scope's steps have come to.
    """

    name: str
    path: tuple[str | int, ...]
    order: Literal["graph", "sequence"] = "graph"
    names: tuple[str, ...] = ()
    output_key: str = ""
    after: tuple[TemplatePart, ...] = ()


@record
class Parts:
    """What one step is made of, beside what all steps have.

    Attributes:
        scopes_needed: How many of the scopes must complete for the step to complete; 0
            when that is not known before it runs.
        machine: What runs it, when that is not what its type names.
        waits_outside: True when it waits for somebody outside, as only a durable
            execution can.
    """

    templates: tuple[TemplatePart, ...] = ()
    scopes: tuple[ScopePart, ...] = ()
    options: JsonObject | None = None
    scopes_needed: int = 0
    machine: str = ""
    waits_outside: bool = False


Compensation = Annotated[
    dict[str, Any],
    WithJsonSchema({"type": "object", "required": ["type"]}),
]


class StepSettings(Strict):
    """Settings that `defaults` may give to all calls of a document."""

    timeout: Span | None = None
    """All attempts together."""
    attempt_timeout: Span | None = None
    """Each attempt."""
    retry: Retry | None = None
    """When and how often a failed attempt is made again."""
    cache: Cache | None = None
    """How long an answer may be given again, of calls that only read."""
    hedge: Hedge | None = None
    """When a second call is made because the first is slow, of calls that only read."""
    circuit_breaker: CircuitBreaker | None = None
    """When attempts are refused because too many have failed."""
    rate_limit: RateLimit | None = None
    """How many attempts may begin in a stretch of time."""
    bulkhead: Bulkhead | None = None
    """How many attempts may be under way at a time."""
    on_error: Literal["fail", "continue"] | None = None
    """`continue`: when the step fails for good, its value reads as null and the workflow
    goes on. Default `fail`."""


class Step(StepSettings):
    """What steps of every type have.

    Attributes:
        has_upstream: Of calls: whether there is somebody outside to be protected.
    """

    machine: ClassVar[str]
    facts: ClassVar[tuple[str, ...]] = ()
    takes_defaults: ClassVar[bool] = False
    has_upstream: ClassVar[bool] = True
    ends_scope: ClassVar[bool] = False
    inner_names: ClassVar[tuple[str, ...]] = ()
    holder_names: ClassVar[tuple[str, ...]] = ()
    keys_after: ClassVar[tuple[str, ...]] = ()

    id: Identifier
    """How templates and people name the step."""
    description: str | None = None
    """For people."""
    depends_on: Annotated[list[str], Field(max_length=10_000, default_factory=list)]
    """Steps to wait for although no template reads them."""
    condition: Condition | None = None
    """The step is skipped unless this is true."""
    fallback: Templated = None
    """What answers when the attempts are used up: a value, or a step run in its place."""
    compensate: Compensation | None = None
    """A step that undoes this one, after it has completed. Reads this step, what this
    step could read, and `error`."""
    effect: Effect | None = None
    """Whether the call may be repeated: `read` freely, `keyed` with the same key,
    `unsafe` never. Default: by the call itself."""
    batch: Batch | None = None
    """How single lookups, of this step in many executions, become one bulk call."""
    on_unknown: Literal["pause", "retry", "fail"] | None = None
    """When a worker died during an `unsafe` call: `pause` (default) until a person decides,
    `retry` it all the same, or `fail`."""
    idempotency_key: IdempotencyKey | None = None
    """Sent with every attempt. Default for `keyed` calls: made from execution and step. As
    `key` with `once_for`: the call is made once for all that ask under the key."""
    output: Templated = None
    """Reshapes the response; reads the step's own id."""
    disabled: bool = False
    """True: the step is skipped."""
    annotations: dict[str, Any] | None = None
    """Tags, notes, positions for the editor; never change meaning."""

    @classmethod
    def type_name(cls) -> str:
        """Return the word that stands under `type` in a document."""
        name: str = get_args(cls.model_fields["type"].annotation)[0]
        return name

    def problems(self) -> Iterator[tuple[tuple[str | int, ...], str]]:
        """Yield what is wrong between keys: where, from the step, and in words."""
        yield from ()

    @property
    def key_template(self) -> str | None:
        """The template of its idempotency key, however it is written."""
        key = self.idempotency_key
        return key.key if isinstance(key, Once) else key

    @property
    def jumps_to(self) -> str:
        """The id of the step of the same scope that it leads to; empty: to none."""
        return ""

    def parts(self, raw: JsonObject) -> Parts:
        """Return what the step is made of. `raw` is its mapping as the document has it."""
        raise NotImplementedError

    def own_effect(self, raw: JsonObject) -> Effect:
        """Return the effect when the document names none."""
        del raw
        return "read"
