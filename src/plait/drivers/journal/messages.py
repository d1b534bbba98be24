"""Messages: what executions are told while somebody holds them, as bytes and as events.

A message is JSON with a `verb`.
"""

from __future__ import annotations

import logging
from typing import Any, ClassVar, Final

import orjson

from plait.kernel.events import (
    ApprovalDecided,
    CancelRequested,
    CompensationRequested,
    OutsideEvent,
    SignalReceived,
)
from plait.model.errors import PlaitError
from plait.model.json import JsonValue
from plait.ports.journal import Message

NOT_WANTED: Final = "the workflow that it belongs to went on without it"

logger = logging.getLogger("plait.journal")

_DECISION: Final = ("step", "decision", "by", "comment", "roles")


class MessageUnreadable(PlaitError):
    """Nobody could read a message to an execution: it was put aside, and is kept."""

    code: ClassVar[str] = "journal.message_unreadable"

    def __init__(self, message: Message) -> None:
        name = message.execution_id
        super().__init__(
            f"message {message.message_id} to execution {name} cannot be read and is put "
            f"aside; `plait executions show {name}` shows it: say once more what it said"
        )
        self.message = message


def event_of(message: Message, now_ms: int) -> OutsideEvent:
    """Return the event that a message is for the kernel."""
    content: dict[str, Any] = orjson.loads(message.body)
    match content.pop("verb"):
        case "signal":
            signal_id, name = content["id"], content["name"]
            is_refused = content.get("refused", False)
            return SignalReceived(signal_id, name, content["payload"], now_ms, is_refused)
        case "compensate":
            return CompensationRequested(content["reason"], False, now_ms)
        case "decide":
            return ApprovalDecided(**content, at_ms=now_ms)
        case "cancel":
            return CancelRequested(content["reason"], now_ms)
        case verb:
            raise ValueError(f"nobody here knows the verb {verb!r}")


def readable(message: Message, now_ms: int) -> OutsideEvent | None:
    """Return the event that a message is; None: this version cannot read it.

    A newer version may have sent it. It is told in the log; where it is kept, see
    plait.ports.journal.Append.put_aside.
    """
    try:
        return event_of(message, now_ms)
    except Exception as error:
        unreadable = MessageUnreadable(message)
        reason = f"{type(error).__name__}: {error}"
        told = {"execution_id": message.execution_id, "code": unreadable.code}
        logger.error("%s: %s (%s)", unreadable.code, unreadable, reason, extra=told)
        return None


def cancel_message(
    execution_id: str, reason: str, message_id: str, *, compensates: bool = False
) -> Message:
    """Return the message that asks for an execution's end, perhaps with what it did."""
    verb = "compensate" if compensates else "cancel"
    return _message(message_id, execution_id, verb=verb, reason=reason)


def given_up_message(child_id: str) -> Message:
    """Return the message that ends a child; told again, it is the same message."""
    return cancel_message(child_id, NOT_WANTED, f"parent-{child_id}")


def signal_message(
    execution_id: str,
    name: str,
    payload: JsonValue,
    signal_id: str,
    *,
    refused_count: int = 0,
) -> Message:
    """Return the message that brings a signal; of one id it is the same message.

    Args:
        refused_count: How often it was refused: sent anew, it is another message.
    """
    told: dict[str, JsonValue] = {"id": signal_id, "name": name, "payload": payload}
    again = f" {refused_count}" if refused_count else ""
    return _message(f"signal:{signal_id}{again}", execution_id, verb="signal", **told)


def refused_message(
    execution_id: str, name: str, payload: JsonValue, signal_id: str, message_id: str
) -> Message:
    """Return the message that lets a signal be recorded whose sender was refused.

    The id is another one than the signal's message has: that may still be sent and taken.
    """
    told: dict[str, JsonValue] = {"id": signal_id, "name": name, "payload": payload}
    return _message(message_id, execution_id, verb="signal", refused=True, **told)


def decision_message(
    execution_id: str, decided: ApprovalDecided, message_id: str
) -> Message:
    """Return the message that brings a decision."""
    told = {name: getattr(decided, name) for name in _DECISION}
    return _message(message_id, execution_id, verb="decide", **told)


def _message(message_id: str, execution_id: str, **told: JsonValue) -> Message:
    return Message(message_id, execution_id, orjson.dumps(told))
