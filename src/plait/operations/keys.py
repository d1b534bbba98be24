"""Idempotency keys: what a second start with one may be.

Rule. A workflow that is started by its name may have a new version by then: whoever repeats
      a start after a deploy wants the first execution. A document that comes with its start
      has no versions: another one is another wish.

Not here: finding the first start (plait.ports.journal, `create`).
"""

from __future__ import annotations

from typing import ClassVar

from plait.drivers.journal import Start, started_of
from plait.kernel.codec import load_turn
from plait.model.errors import Advice, PlaitError
from plait.model.json import JsonObject, JsonValue, canonical_bytes
from plait.ports.journal import History


class KeyReused(PlaitError):
    """An idempotency key came again with another input, or another document."""

    code: ClassVar[str] = "request.key_reused"
    advice: ClassVar[Advice] = Advice.FIX_REQUEST

    def __init__(self, execution_id: str, what: str = "input") -> None:
        super().__init__(
            f"execution {execution_id} was started with this idempotency key and another "
            f"{what}; send another key"
        )
        self.details: JsonObject = {"execution_id": execution_id}


def api_trigger(subject: str, *, is_definition: bool) -> JsonObject:
    """Return the trigger of what somebody starts through the API.

    Args:
        is_definition: Its document came with it.

    >>> api_trigger("user:ann", is_definition=False)
    {'type': 'api', 'by': 'user:ann'}
    """
    trigger: JsonObject = {"type": "api", "by": subject}
    return {**trigger, "definition": True} if is_definition else trigger


def check_same(first: History, start: Start, plan_hash: str) -> None:
    """Refuse `start`, with the key of `first`, unless it wants the same.

    Args:
        plan_hash: What `start` would run.

    Raises:
        KeyReused: It has another input; or another document, where either is of one that
            came with it.
    """
    new = first.summary.new
    started = started_of(load_turn(first.entries[0].body)[0])
    if canonical_bytes(started.input) != canonical_bytes(start.input):
        raise KeyReused(new.execution_id)
    has_own = _is_of_definition(started.trigger) or _is_of_definition(start.trigger)
    if has_own and started.plan_hash != plan_hash:
        raise KeyReused(new.execution_id, "document")


def _is_of_definition(trigger: JsonValue) -> bool:
    return (
        isinstance(trigger, dict)
        and trigger.get("type") == "api"
        and trigger.get("definition") is True
    )
