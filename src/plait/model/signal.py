"""Signals: what a name and a payload from outside may be."""

from __future__ import annotations

import re
from typing import ClassVar, Final

from plait.model.errors import Advice, PlaitError
from plait.model.json import JsonValue, canonical_bytes

SIGNAL_NAME_CHARS_MAX: Final = 200
SIGNAL_NAME_PATTERN: Final = r"^[A-Za-z0-9_][A-Za-z0-9_.:/-]*$"
# What one entry of a journal may hold; whoever has more sends where to find it.
SIGNAL_BYTES_MAX: Final = 256_000

_NAME: Final = re.compile(SIGNAL_NAME_PATTERN.strip("^$"), re.ASCII)


class InvalidSignal(PlaitError):
    """A signal has a name or a payload that no signal can have."""

    code: ClassVar[str] = "signal.invalid"
    advice: ClassVar[Advice] = Advice.FIX_REQUEST


def is_signal_name(text: str) -> bool:
    """Tell whether `text` can be a signal's name, or its id.

    >>> [is_signal_name(text) for text in ("paid", "order/17:paid", "", "so sad", "-x")]
    [True, True, False, False, False]
    """
    return len(text) <= SIGNAL_NAME_CHARS_MAX and _NAME.fullmatch(text) is not None


def check_signal(name: str, payload: JsonValue) -> None:
    """Refuse what cannot be sent.

    Raises:
        InvalidSignal: The name is none, or the payload is not JSON or too large.
    """
    if not is_signal_name(name):
        raise InvalidSignal(
            f"'{name[:SIGNAL_NAME_CHARS_MAX]}' cannot name a signal: write letters, "
            f"digits, '_', '-', '.', ':' and '/', {SIGNAL_NAME_CHARS_MAX} at most"
        )
    try:
        length = len(canonical_bytes(payload))
    except TypeError as error:
        raise InvalidSignal(f"the payload cannot be kept as JSON: {error}") from None
    if length > SIGNAL_BYTES_MAX:
        raise InvalidSignal(
            f"the payload has {length} bytes, {SIGNAL_BYTES_MAX} are the most: "
            "send where it can be found"
        )
