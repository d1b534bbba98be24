"""Idempotency keys: what a second start with one may be.

Not here: finding the first start (plait.ports.journal, `create`).
"""

from __future__ import annotations

from typing import ClassVar

from plait.drivers.journal import started_of
from plait.kernel.codec import load_turn
from plait.model.errors import Advice, PlaitError
from plait.model.json import JsonObject, JsonValue, canonical_bytes
from plait.ports.journal import History


class KeyReused(PlaitError):
    """An idempotency key came again with another input."""

    code: ClassVar[str] = "request.key_reused"
    advice: ClassVar[Advice] = Advice.FIX_REQUEST

    def __init__(self, execution_id: str) -> None:
        super().__init__(
            f"execution {execution_id} was started with this idempotency key and another "
            "input; send another key"
        )
        self.details: JsonObject = {"execution_id": execution_id}


def check_same(first: History, value: JsonValue) -> None:
    """Refuse a start with the key of `first` unless `value`, its input, is the same.

    Raises:
        KeyReused: It is another one.
    """
    started = started_of(load_turn(first.entries[0].body)[0])
    if canonical_bytes(started.input) != canonical_bytes(value):
        raise KeyReused(first.summary.new.execution_id)
