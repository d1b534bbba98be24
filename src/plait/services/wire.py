"""What stands in the metadata of calls, and JSON inside messages.

Not here: errors (plait.services.errors).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final, TypeAlias

import orjson

from plait.model.caller import ROLES, Caller, is_tenant
from plait.model.json import JsonObject, JsonValue
from plait.model.record import record
from plait.model.strict_json import JsonRefused, read_exact_json
from plait.ports.platform import InvalidRequest, Told
from plait.ports.remote import MESSAGE_BYTES_MAX
from plait.services.v1.common_pb2 import Event, JsonReply

CALLER_KEY: Final = "plait-caller-bin"
ERROR_KEY: Final = "plait-error-bin"
TOKEN_KEY: Final = "authorization"
REVISION_KEY: Final = "plait-revision"
ANSWER_KEY: Final = "plait-answer-bytes-max"
# What a call passes on of the request that it is made for.
TRACE_KEYS: Final = frozenset({"traceparent", "tracestate", "baggage", "x-request-id"})
_REVISION = re.compile(r"[0-9]{1,19}", re.ASCII)
_NO_CALLER: Final = (
    "`plait-caller-bin` is no caller: an object of subject, tenant, role, grants"
)

Pairs: TypeAlias = tuple[tuple[str, str], ...]
Metadata: TypeAlias = "list[tuple[str, str | bytes]]"


@record
class Asked:
    """On whose behalf a call is made.

    Attributes:
        trace: Trace context: pairs of header names and values.
        revision: The store's, up to which who calls knows what is deployed; 0: nobody says.
        answer_bytes_max: The largest message that whoever calls takes as an answer.
    """

    caller: Caller
    trace: Pairs = ()
    revision: int = 0
    answer_bytes_max: int = MESSAGE_BYTES_MAX


def metadata_of(asked: Asked, token: str | None) -> Metadata:
    """Return the metadata of a call.

    Args:
        token: What the services share; None: nothing.
    """
    caller = asked.caller
    told = {
        "subject": caller.subject,
        "tenant": caller.tenant,
        "role": caller.role,
        "grants": dict(caller.grants),
    }
    pairs: Metadata = [(CALLER_KEY, orjson.dumps(told))]
    if token is not None:
        pairs.append((TOKEN_KEY, f"Bearer {token}"))
    if asked.revision:
        pairs.append((REVISION_KEY, str(asked.revision)))
    if asked.answer_bytes_max < MESSAGE_BYTES_MAX:
        pairs.append((ANSWER_KEY, str(asked.answer_bytes_max)))
    pairs.extend((name, value) for name, value in asked.trace if name in TRACE_KEYS)
    return pairs


def asked_of(metadata: Iterable[tuple[str, str | bytes]]) -> Asked | None:
    """Return on whose behalf a call is made; None: it does not tell.

    Raises:
        InvalidRequest: What it tells is no caller.

    >>> ann = Asked(Caller("user:ann", "t1", "viewer", {"orders": "editor"}), (), 7)
    >>> asked_of(metadata_of(ann, None)) == ann
    True
    """
    caller: Caller | None = None
    trace: list[tuple[str, str]] = []
    revision, answer_bytes_max = 0, MESSAGE_BYTES_MAX
    for name, value in metadata:
        if name == CALLER_KEY:
            caller = _caller_of(value)
        elif name == REVISION_KEY:
            revision = _revision_of(value)
        elif name == ANSWER_KEY:
            answer_bytes_max = _byte_count(value)
        elif name in TRACE_KEYS and isinstance(value, str):
            trace.append((name, value))
    if caller is None:
        return None
    return Asked(caller, tuple(trace), revision, answer_bytes_max)


def _revision_of(value: str | bytes) -> int:
    """Return a revision; of what is none, 0: to look once more than needed is no harm."""
    is_one = isinstance(value, str) and _REVISION.fullmatch(value) is not None
    return int(value) if is_one else 0


def _byte_count(value: str | bytes) -> int:
    try:
        return min(int(value), MESSAGE_BYTES_MAX)
    except ValueError:
        raise InvalidRequest(f"`{ANSWER_KEY}` is a number") from None


def _caller_of(value: str | bytes) -> Caller:
    try:
        told: Any = orjson.loads(value)
        subject, tenant = told["subject"], told["tenant"]
        role, grants = told["role"], told["grants"]
        roles = [*grants.values()] if role is None else [role, *grants.values()]
    except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError):
        raise InvalidRequest(_NO_CALLER) from None
    # Of nobody, who has no tenant, the name is empty.
    is_somewhere = tenant == "" or is_tenant(tenant)
    if not is_somewhere or not isinstance(subject, str) or not all(map(_is_role, roles)):
        raise InvalidRequest(_NO_CALLER)
    return Caller(subject, tenant, role, grants)


def _is_role(name: object) -> bool:
    return isinstance(name, str) and name in ROLES


def dumped(value: JsonValue) -> bytes:
    """Return a value as it stands in a message; null is nothing."""
    return b"" if value is None else orjson.dumps(value)


def loaded(data: bytes) -> JsonValue:
    """Return the value that a reply holds."""
    value: JsonValue = orjson.loads(data) if data else None
    return value


def loaded_object(data: bytes) -> JsonObject:
    """Return the JSON object that a reply holds; of nothing, the empty one."""
    value = loaded(data)
    return value if isinstance(value, dict) else {}


def given(name: str, data: bytes) -> JsonValue:
    """Return the value in the field `name` of a request; nothing is null.

    Raises:
        InvalidRequest: It is not JSON, or no two readers would read it alike.
    """
    if not data:
        return None
    try:
        return read_exact_json(data)
    except JsonRefused as refused:
        raise InvalidRequest(f"`{name}` {refused}", refused.details) from None


def given_object(name: str, data: bytes) -> JsonObject:
    """Return the JSON object in the field `name` of a request; nothing is the empty one.

    Raises:
        InvalidRequest: It is none.
    """
    value = given(name, data) if data else {}
    if not isinstance(value, dict):
        raise InvalidRequest(f"`{name}` is a JSON object")
    return value


def json_reply(told: Mapping[str, Any]) -> JsonReply:
    """Return a JSON object as a message."""
    return JsonReply(json=orjson.dumps(told))


def event_of(told: Told) -> Event:
    """Return an event as a message."""
    return Event(type=told.type, number=told.number, data=orjson.dumps(told.data))


def told_of(event: Event) -> Told:
    """Return the event that a message holds."""
    return Told(event.type, loaded_object(event.data), event.number)
