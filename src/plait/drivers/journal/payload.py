"""Payloads: how large what comes from outside may be, and what of it can be searched."""

from __future__ import annotations

from typing import ClassVar, Final

import orjson

from plait.model.errors import Advice, PlaitError
from plait.model.failure import Failure
from plait.model.json import JsonValue

PAYLOAD_BYTES_MAX: Final = 32 * 1024 * 1024
# Read and replayed as a whole by whoever takes the execution up.
HISTORY_BYTES_MAX: Final = 256 * 1024 * 1024
# A list of executions carries their inputs; whoever wants all of one reads its history.
SEARCHED_CHARS_MAX: Final = 65_536


class PayloadTooLarge(PlaitError):
    """An input, or what a call was answered, is larger than a history takes in."""

    code: ClassVar[str] = "limit.payload"
    advice: ClassVar[Advice] = Advice.FIX_REQUEST

    def __init__(self, *, byte_count: int, byte_count_max: int) -> None:
        super().__init__(
            f"a durable execution takes in {byte_count_max} bytes at once, "
            f"this is {byte_count}: `execution.payload_bytes_max` raises it"
        )
        self.byte_count = byte_count


def history_full(bytes_max: int) -> Failure:
    """Return the failure of an execution whose history has grown too large."""
    return Failure(
        "limit.history",
        f"the execution's history holds more than {bytes_max} bytes: raise "
        "`execution.history_bytes_max` and resume it, or restart it with less",
        advice=Advice.FIX_REQUEST,
    )


def searched(value: JsonValue) -> str:
    """Return what of an input can be searched: its JSON text, the first 64 KB of it.

    >>> searched({"name": "Ada"})
    '{"name":"Ada"}'
    """
    return orjson.dumps(value).decode()[:SEARCHED_CHARS_MAX]
