"""Starters: who or what started an execution, as its trigger says.

Rule 1. It stands in the history's first entry, under what templates read as `trigger`: so
        every store has it, and an archive takes it along.
Rule 2. Nothing of it is a secret: of a key its id, of a request no header.
Rule 3. One that was begun again from another keeps the trigger of that, for its templates;
        who did so stands beside it, under `again`.
"""

from __future__ import annotations

from typing import Final

from plait.model.json import JsonObject, JsonValue

_AGAIN: Final = "again"
# In the order in which people read them.
_SHOWN: Final = ("type", "by", "method", "path", "id", "alert", "step", "execution_id")


def started_by(trigger: JsonValue) -> JsonObject | None:
    """Return who or what started an execution with this trigger; None: it does not say.

    >>> started_by({"type": "http", "path": "/x", "by": "key:k3v7", "headers": {"a": "b"}})
    {'type': 'http', 'by': 'key:k3v7', 'path': '/x'}
    >>> started_by(begun_again({"type": "cli"}, "restart", "7f3a", "user:ann"))
    {'type': 'restart', 'by': 'user:ann', 'execution_id': '7f3a'}
    """
    if not isinstance(trigger, dict):
        return None
    again = trigger.get(_AGAIN)
    told = again if isinstance(again, dict) else trigger
    return {name: told[name] for name in _SHOWN if told.get(name) is not None} or None


def begun_again(trigger: JsonValue, verb: str, execution_id: str, by: str) -> JsonValue:
    """Return the trigger of an execution that comes of another.

    Args:
        trigger: That of the other.
        verb: What made it: `restart`, `fork`.
        execution_id: The other's.
        by: Who wanted it; empty: nobody says, and nothing is noted.

    >>> begun_again({"type": "cli"}, "fork", "7f3a", "user:ann")["type"]
    'cli'
    """
    if not by or not (trigger is None or isinstance(trigger, dict)):
        return trigger
    again: JsonObject = {"type": verb, "by": by, "execution_id": execution_id}
    return {**(trigger or {}), _AGAIN: again}
