"""Signals and decisions: what a name, a text and a payload from outside may be."""

from __future__ import annotations

import re
from typing import ClassVar, Final

from plait.model.errors import Advice, PlaitError
from plait.model.json import JsonValue, canonical_bytes, is_deeper

SIGNAL_NAME_CHARS_MAX: Final = 200
SIGNAL_NAME_PATTERN: Final = r"^[A-Za-z0-9_][A-Za-z0-9_.:/-]*$"
# What one entry of a journal may hold; whoever has more sends where to find it.
SIGNAL_BYTES_MAX: Final = 256_000
# What the gateway reads of a body. An entry's writer goes 254 levels deep, and the entry, a
# step's response and an output put theirs around a payload.
SIGNAL_DEPTH_MAX: Final = 64

_NAME: Final = re.compile(SIGNAL_NAME_PATTERN.strip("^$"), re.ASCII)


class InvalidSignal(PlaitError):
    """A signal has a name or a payload that no signal can have."""

    code: ClassVar[str] = "signal.invalid"
    advice: ClassVar[Advice] = Advice.FIX_REQUEST


class InvalidDecision(PlaitError):
    """Somebody decides in words, or with a response, that no execution can keep."""

    code: ClassVar[str] = "decision.invalid"
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
        InvalidSignal: The name is none; the payload is not JSON, too large or too deep.
    """
    if not is_signal_name(name):
        raise InvalidSignal(
            f"'{name[:SIGNAL_NAME_CHARS_MAX]}' cannot name a signal: write letters, "
            f"digits, '_', '-', '.', ':' and '/', {SIGNAL_NAME_CHARS_MAX} at most"
        )
    wrong = _fault_of(payload)
    if wrong:
        raise InvalidSignal(f"the payload {wrong}")


def check_decision(told: JsonValue) -> None:
    """Refuse what somebody decides and no execution can keep: response, comment, names.

    Raises:
        InvalidDecision: It is not JSON, too large, or nested too deep.
    """
    wrong = _fault_of(told)
    if wrong:
        raise InvalidDecision(f"what is said with the decision {wrong}")


def _fault_of(value: JsonValue) -> str:
    """Return why a value cannot be kept; empty: it can.

    >>> _fault_of({"paid": True}), _fault_of([[[[]]] * 3])
    ('', '')
    """
    try:
        length = len(canonical_bytes(value))
    except TypeError as error:
        return f"cannot be kept as JSON: {error}"
    if length > SIGNAL_BYTES_MAX:
        return (
            f"has {length} bytes, {SIGNAL_BYTES_MAX} are the most: "
            "send where it can be found"
        )
    if is_deeper(value, SIGNAL_DEPTH_MAX):
        return f"is nested deeper than {SIGNAL_DEPTH_MAX} levels"
    return ""
