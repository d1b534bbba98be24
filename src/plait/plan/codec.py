"""Plans as bytes: one canonical form, whose hash is the plan's identity.

Rule 1. A field at its default is left out, so a later version may add fields without
        changing the hash of plans that do not use them.
Rule 2. `FORMAT` changes when old readers would misread new bytes; they then refuse.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields, replace
from typing import Any, ClassVar, Final

import orjson

from plait.expression import Template
from plait.model.errors import Advice, PlaitError
from plait.model.json import JsonValue
from plait.model.place import Place
from plait.plan.nodes import Endpoint, Lane, Node, Plan, RetryPolicy, Scope, Webhook
from plait.plan.policies import (
    BatchPolicy,
    BreakerPolicy,
    BulkheadPolicy,
    CachePolicy,
    HedgePolicy,
    OncePolicy,
    Policies,
    RateLimitPolicy,
    RetryBudget,
)

FORMAT: Final = 1


class PlanUnreadable(PlaitError):
    """Bytes that should hold a plan do not, or hold one of a newer format."""

    code: ClassVar[str] = "plan.unreadable"
    advice: ClassVar[Advice] = Advice.REPORT

    def __init__(self, reason: str) -> None:
        super().__init__(f"this is no plan that this version can run: {reason}")
        self.reason = reason


def dump_plan(plan: Plan) -> bytes:
    """Return the bytes of `plan`; equal plans in equal order give equal bytes.

    Keys are not sorted: branches begin, and outputs are written, in the document's order,
    and whoever loads the plan has to conclude what its author's process concluded.
    """
    body = _dump(replace(plan, content_hash=""))
    return orjson.dumps({"format": FORMAT, "plan": body})


def hash_plan(plan: Plan) -> Plan:
    """Return `plan` with its content hash filled in."""
    return replace(plan, content_hash=_hash_of(dump_plan(plan)))


def load_plan(data: bytes) -> Plan:
    """Return the plan that `data` holds; `dump_plan(load_plan(data)) == data`.

    Raises:
        PlanUnreadable: `data` is damaged, or of a format newer than this version's.
    """
    try:
        outer = orjson.loads(data)
        written_format = outer["format"]
    except (orjson.JSONDecodeError, TypeError, KeyError) as error:
        raise PlanUnreadable("it is not the JSON of a plan") from error
    if written_format != FORMAT:
        raise PlanUnreadable(f"format {written_format}, this version reads {FORMAT}")
    try:
        plan: Plan = _load(Plan, outer["plan"])
    except (TypeError, KeyError, ValueError, AttributeError) as error:
        raise PlanUnreadable(f"a part is missing or malformed: {error}") from error
    return replace(plan, content_hash=_hash_of(data))


def _hash_of(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


def _dump(value: Any) -> JsonValue:
    if type(value) in _SCALARS:
        plain: JsonValue = value
        return plain
    if isinstance(value, Template):
        return {"template": value.dump()}
    if type(value) in _DEFAULTS:
        return _dump_fields(value)
    if isinstance(value, Mapping):
        return {key: _dump(item) for key, item in value.items()}
    return [_dump(item) for item in value]


def _dump_fields(value: Any) -> JsonValue:
    dumped: dict[str, JsonValue] = {}
    for name, default in _DEFAULTS[type(value)].items():
        content = getattr(value, name)
        # Most fields hold the very object that is their default: no need to compare.
        if content is not default and content != default:
            dumped[name] = _dump(content)
    return dumped


def _defaults_of(kind: type[Any]) -> dict[str, object]:
    return {
        field.name: field.default_factory()
        if field.default_factory is not MISSING
        else field.default
        for field in fields(kind)
    }


def _load(kind: type, body: Mapping[str, Any]) -> Any:
    readers = _READERS[kind]
    return kind(
        **{
            name: readers[name](content) if name in readers else _frozen(content)
            for name, content in body.items()
        }
    )


def _frozen(content: Any) -> Any:
    if isinstance(content, list):
        return tuple(_frozen(item) for item in content)
    return content


def _template(content: Mapping[str, Any] | None) -> Template | None:
    return None if content is None else Template.load(content["template"])


def _required_template(content: Mapping[str, Any]) -> Template:
    return Template.load(content["template"])


def _part(kind: type) -> Callable[[Any], Any]:
    """Return what reads a part of the given kind, which may not be there."""
    return lambda content: None if content is None else _load(kind, content)


def _scope(content: Mapping[str, Any] | None) -> Any:
    return None if content is None else _load(Scope, content)


def _nodes(content: list[Mapping[str, Any]]) -> tuple[Any, ...]:
    return tuple(_load(Node, node) for node in content)


def _status(content: list[list[Any]]) -> tuple[tuple[str | Template, int], ...]:
    return tuple(
        (match if isinstance(match, str) else _required_template(match), status)
        for match, status in content
    )


def _webhooks(content: list[Mapping[str, Any]]) -> tuple[Any, ...]:
    return tuple(_load(Webhook, one) for one in content)


def _raw(content: Any) -> Any:
    return content


_SCALARS: Final = frozenset({str, int, float, bool, type(None)})
_DEFAULTS: Final = {
    kind: _defaults_of(kind)
    for kind in (
        Plan,
        Scope,
        Node,
        Endpoint,
        Lane,
        Webhook,
        RetryPolicy,
        RetryBudget,
        Policies,
        CachePolicy,
        BatchPolicy,
        BreakerPolicy,
        RateLimitPolicy,
        BulkheadPolicy,
        HedgePolicy,
        OncePolicy,
    )
}

_READERS: Final[dict[type, dict[str, Callable[[Any], Any]]]] = {
    Plan: {
        "scope": _scope,
        "input_schema": _raw,
        "endpoint": _part(Endpoint),
        "lane": _part(Lane),
        "priority_from": _template,
        "webhooks": _webhooks,
    },
    Webhook: {},
    Lane: {"key": _template},
    Scope: {"nodes": _nodes, "output": _template},
    Endpoint: {"status": _status, "headers": _template},
    RetryPolicy: {"when": _template, "budget": _part(RetryBudget)},
    RetryBudget: {},
    Policies: {
        "cache": _part(CachePolicy),
        "batch": _part(BatchPolicy),
        "circuit_breaker": _part(BreakerPolicy),
        "rate_limit": _part(RateLimitPolicy),
        "bulkhead": _part(BulkheadPolicy),
        "hedge": _part(HedgePolicy),
        "once": _part(OncePolicy),
    },
    BatchPolicy: {},
    CachePolicy: {"key": _template, "user": _template},
    BreakerPolicy: {},
    RateLimitPolicy: {"key": _template},
    BulkheadPolicy: {"key": _template},
    HedgePolicy: {},
    OncePolicy: {},
    Node: {
        "place": lambda c: Place(*c),
        "condition": _template,
        "retry": _part(RetryPolicy),
        "fallback_value": _template,
        "fallback_scope": _scope,
        "compensate_scope": _scope,
        "policies": _part(Policies),
        "idempotency_key": _template,
        "output": _template,
        "templates": lambda c: {k: _required_template(v) for k, v in c.items()},
        "scopes": lambda c: {k: _load(Scope, v) for k, v in c.items()},
        "options": _raw,
    },
}
