"""The document's own keys: everything above the steps."""

from __future__ import annotations

import re
from collections import Counter
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, ConfigDict, Field, WithJsonSchema
from pydantic.config import JsonDict
from pydantic.json_schema import SkipJsonSchema

from plait.document.access import EndpointAuth, EndpointRate, RateText
from plait.document.error_words import WORDS, error_word
from plait.document.fields import (
    DurationMs,
    Span,
    Steps,
    Strict,
    Templated,
    is_one_expression,
    without_dots,
)
from plait.document.states import STATE_NAME_SCHEMA, StateName
from plait.document.step import StepSettings
from plait.document.triggers import Webhook

_PATH = re.compile(r"/(?:[A-Za-z0-9_.~!$&'()*+,;=:@%-]+|\{[A-Za-z_]\w*\})?", re.ASCII)
_ESCAPE = re.compile(rb"%([0-9A-Fa-f]{2})")
_HAS_TEMPLATE: JsonDict = {"pattern": re.escape("${")}
_PRIORITY_MAX = 9
# Each start counts those that run, up to so many.
_SIDE_BY_SIDE_MAX = 1_000
_HTTP_STATUS = Annotated[int, Field(ge=200, le=599)]


def _path(value: Any) -> str:
    if not isinstance(value, str) or not value.startswith("/"):
        raise ValueError("a path starts with '/'")
    parts = re.findall(r"/[^/]*", value)
    for part in parts:
        if not _PATH.fullmatch(part):
            raise ValueError(
                f"'{part}' is no path segment: write fixed text or one {{parameter}}"
            )
    if not _is_decodable(value):
        raise ValueError("a '%' is followed by two hexadecimal digits, of UTF-8")
    without_dots(value)
    names = re.findall(r"\{(\w+)\}", value)
    repeated = [name for name, count in Counter(names).items() if count > 1]
    if repeated:
        raise ValueError(f"parameter '{repeated[0]}' stands twice in the path")
    return value


def _status_key(value: Any) -> str:
    if isinstance(value, str) and "${" in value:
        return value
    return error_word(value)


def _is_decodable(path: str) -> bool:
    """Tell whether every `%` of a path is an escape, and the bytes are UTF-8."""
    raw = path.encode()
    try:
        _ESCAPE.sub(lambda found: bytes([int(found[1], 16)]), raw).decode()
    except UnicodeDecodeError:
        return False
    return b"%" not in _ESCAPE.sub(b"", raw)


EndpointPath = Annotated[
    str,
    BeforeValidator(_path),
    WithJsonSchema({"type": "string", "pattern": r"^/"}),
]
StatusKey = Annotated[str, BeforeValidator(_status_key)]


class EndpointCache(Strict):
    """How long the gateway may answer again with the same complete reply."""

    ttl: Span
    """A reply this old is given again without running the workflow."""
    stale_while_revalidate: DurationMs = 0
    """An older one is still given for so long, while a fresh one is made."""


class Endpoint(Strict):
    """Where and how the gateway answers for this workflow."""

    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"] = "GET"
    """A GET endpoint answers HEAD too."""
    path: EndpointPath
    """With {parameters}, which are bound to `input` by name."""
    partial: bool = False
    """True: a failed step with `on_error: continue` leaves its part null, and the reply
    says `Plait-Completed: false`. False: any failed step fails the reply."""
    status: Annotated[
        dict[StatusKey, _HTTP_STATUS],
        Field(
            default_factory=dict,
            json_schema_extra={"propertyNames": {"anyOf": [*WORDS, _HAS_TEMPLATE]}},
        ),
    ]
    """HTTP status by error code, class or upstream status, or by ${ condition }."""
    headers: dict[str, Any] | None = None
    """Headers of the reply; values may be templates."""
    cache: Span | EndpointCache | None = None
    """How long a complete reply may be given again."""
    wait: DurationMs | None = None
    """After this long the caller gets 202 and a link, and the execution goes on in the
    store. Default: a durable workflow answers 202 at once, an express one never."""
    auth: Literal["none", "required"] | EndpointAuth | None = None
    """Who may ask. `none`: everybody; `required`: callers who may start executions of this
    workflow. Default: as the gateway says, `security.required`."""
    rate_limit: RateText | EndpointRate | None = None
    """How often each caller may ask: `100/1m`."""


def _priority(value: Any) -> int | str:
    is_whole = isinstance(value, int) and not isinstance(value, bool)
    if is_whole and 0 <= value <= _PRIORITY_MAX:
        return int(value)
    if isinstance(value, str) and is_one_expression(value):
        return value
    raise ValueError(
        f"a priority is a whole number, 0 to {_PRIORITY_MAX}, or one expression: ${{ … }}"
    )


Priority = Annotated[
    int | str,
    BeforeValidator(_priority),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "integer", "minimum": 0, "maximum": _PRIORITY_MAX},
                {"type": "string", "pattern": r"^\$\{[\s\S]*\}\n?$"},
            ]
        }
    ),
]


class Concurrency(Strict):
    """How many durable executions of this workflow run side by side."""

    key: Templated = None
    """Executions with equal values are counted together. Default: all of the workflow."""
    max: Annotated[int, Field(ge=1, le=_SIDE_BY_SIDE_MAX)] = 1
    """How many run side by side; the others wait for their turn."""


_STATES_MAX = 1_000
_States = Annotated[
    dict[StateName, Any],
    Field(min_length=1, max_length=_STATES_MAX),
    WithJsonSchema(
        {
            "type": "object",
            "minProperties": 1,
            "maxProperties": _STATES_MAX,
            "propertyNames": STATE_NAME_SCHEMA,
            "additionalProperties": {"$ref": "#/$defs/State"},
        }
    ),
]
_STEPS_ONLY: JsonDict = {"initial": False, "states": False}
_STATES_ONLY: JsonDict = {"steps": False, "order": False}


# A name is a segment of addresses, where `.` and `..` lead elsewhere.
_NAME_PATTERN = r"^\.*[A-Za-z0-9_-][A-Za-z0-9_.-]*$"
_NAME_LENGTH_MAX = 200
WorkflowName = Annotated[str, Field(pattern=_NAME_PATTERN, max_length=_NAME_LENGTH_MAX)]


def is_workflow_name(text: str) -> bool:
    """Tell whether a workflow can be called so.

    >>> [is_workflow_name(one) for one in ("a-b", ".a", "..", "a b", "", "a" * 201)]
    [True, True, False, False, False, False]
    """
    is_short = len(text) <= _NAME_LENGTH_MAX
    return is_short and re.fullmatch(_NAME_PATTERN[1:-1], text) is not None


class WorkflowModel(Strict):
    """A workflow document."""

    model_config = ConfigDict(
        json_schema_extra={
            "anyOf": [
                {"required": ["steps"], "properties": _STEPS_ONLY},
                {"required": ["states", "initial"], "properties": _STATES_ONLY},
            ]
        }
    )

    name: WorkflowName
    """Letters, digits, `-`, `_`, `.`; not dots alone."""
    version: str | int | float | None = None
    """For people; Plait tells versions apart by content."""
    description: str | None = None
    """For people."""
    mode: Literal["express", "durable"] = "durable"
    """`express`: answered within the request, nothing stored."""
    input: dict[str, Any] | bool | None = None
    """JSON Schema 2020-12 of the input."""
    defaults: StepSettings | None = None
    """Settings of every call that does not give its own."""
    order: Literal["graph", "sequence"] = "graph"
    """`graph`: each step starts as soon as what it reads has settled."""
    steps: Steps | SkipJsonSchema[None] = None
    """What to do."""
    states: _States | SkipJsonSchema[None] = None
    """In the place of `steps`: the states of a state machine, by name."""
    initial: StateName | SkipJsonSchema[None] = None
    """Of `states`: the one in which an execution begins."""
    output: Templated = None
    """The result. Default: a mapping from step id to response."""
    timeout: Span | None = None
    """The whole execution."""
    on_failure: Literal["stop", "compensate"] = "stop"
    """What to do when a failure was not caught. `compensate`: undo the steps that
    completed, in reverse order, each by its own `compensate`."""
    concurrency: Concurrency | None = None
    """How many durable executions run side by side. Default: any number."""
    priority: Priority = 0
    """Of durable executions, 0 to 9: higher goes first. A number or one ${ expression }."""
    endpoint: Endpoint | None = None
    """Where the gateway answers for this workflow."""
    triggers: Annotated[list[Webhook], Field(default_factory=list, max_length=20)]
    """What starts executions beside the endpoint: signed webhooks."""
    annotations: dict[str, Any] | None = None
    """Tags, notes, positions for the editor; never change meaning."""
