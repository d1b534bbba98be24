"""What CEL's run-time errors mean: which code, which path, in words without values.

The library's texts may hold values (`Key not found in map : "…"` shows a computed key),
so nothing of them is passed on but the names of types and functions.

Not here: failures of paths that need no CEL (plait.expression.getter).
"""

from __future__ import annotations

import re
from collections.abc import Container, Mapping, Sequence
from typing import Any, Final, NamedTuple

from plait.expression.catalogue import FUNCTIONS
from plait.expression.errors import (
    BadText,
    DivideByZero,
    ExpressionError,
    NoSuchIndex,
    NoSuchKey,
    OverBudget,
    Overflow,
    WrongType,
)
from plait.expression.getter import Missing, explain_step
from plait.expression.paths import Read
from plait.expression.problems import shown_operator
from plait.expression.reads import EACH, Trail

UNBOUND: Final = re.compile(r'UNKNOWN: No value with name "v(\d+)" found')
_KEY: Final = re.compile(r'Key not found in map : "(.*)"', re.DOTALL)
_STATUS: Final = re.compile(r"^[A-Z_]+: ")
_OVERLOAD: Final = re.compile(
    r"No matching overloads found : (?:\(([^)]*)\)\.)?([^(\s]+)(?:\(([^)]*)\))?"
)


class Fault(NamedTuple):
    """What a failure is: the error to raise and its message."""

    error: type[ExpressionError]
    message: str


# What the library's text begins with; it may go on with values.
_KINDS: Final[tuple[tuple[str, type[ExpressionError], str], ...]] = (
    ("Key not found", NoSuchKey, "an object has no such key"),
    ("optional.none() dereference", NoSuchKey, "an optional holds nothing"),
    ("Index error: index=", NoSuchIndex, "a list has no such index"),
    ("index out of range", NoSuchIndex, "an index is out of range"),
    ("<string>.", NoSuchIndex, "an index is outside the text"),
    ("cannot slice", NoSuchIndex, "a slice reaches beyond the list"),
    ("divide by zero", DivideByZero, "an integer is divided by zero"),
    ("modulus by zero", DivideByZero, "the remainder of a division by zero"),
    ("integer overflow", Overflow, "an integer is out of range"),
    ("unsigned integer overflow", Overflow, "an unsigned integer is out of range"),
    ("timestamp overflow", Overflow, "a time is out of range"),
    ("duration overflow", Overflow, "a duration is out of range"),
    ("double out of", Overflow, "a double is out of the range of an integer"),
    ("int64 out of", Overflow, "an integer is out of the range of uint"),
    ("uint64 out of", Overflow, "an unsigned integer is out of the range of int"),
    ("Duration ", Overflow, "a duration is out of range"),
    ("Timestamp ", Overflow, "a time is out of range"),
    ("Iteration budget", OverBudget, "its loops go round more than 10,000 times"),
    ("Applying SELECT", WrongType, "a key is asked of something that is no object"),
    ("Invalid container", WrongType, "an index is asked of what is no list and no object"),
    ("Index error: expected", WrongType, "the index of a list must be an integer"),
    ("sort(): ", WrongType, "only values of one type can be sorted: try double(…)"),
    ("duplicate key", WrongType, "an object is given the same key twice"),
    ("Invalid map key", WrongType, "the key of an object must be text"),
    ("Unsupported map key", WrongType, "the key of an object must be text"),
    ("flatten(): ", WrongType, "flatten() takes no negative level"),
    ("math.bitShift", WrongType, "a shift by a negative number"),
    ("uuid ", WrongType, "uuid() needs `execution` as its first argument"),
    ("invalid regular", BadText, "the pattern is not a valid RE2 pattern"),
    ("regular expression", BadText, "the pattern is too large"),
    ("Invalid timezone", BadText, "there is no such time zone"),
    ("invalid base64", BadText, "text is no base64"),
    ("malformed UTF-8", BadText, "bytes are no text"),
    ("cannot convert", BadText, "text cannot be read as a number"),
    ("Type conversion", BadText, "text cannot be read as a boolean"),
    ("String to Timestamp", BadText, "text cannot be read as a time (RFC 3339)"),
    ("String to Duration", BadText, "text cannot be read as a duration"),
    ("index ", BadText, "a format asks for more values than it is given"),
    ("unrecognized format", BadText, "a format is not valid"),
    ("unexpected end of format", BadText, "a format is not valid"),
    ("precision", BadText, "a format has too large a precision"),
    ("only ", BadText, "a format does not suit its value"),
)


def fault_of(text: str, keys: Container[str] = ()) -> Fault:
    """Return what the library's error `text` means.

    Args:
        keys: Keys that may be shown; any other may be a value.

    >>> fault_of('NOT_FOUND: Key not found in map : "secret"').message
    'an object has no such key'
    >>> fault_of('NOT_FOUND: Key not found in map : "sku"', {"sku"}).message
    "an object has no key 'sku'"
    """
    text = _STATUS.sub("", text)
    if (key := _KEY.fullmatch(text)) and key[1] in keys:
        return Fault(NoSuchKey, f"an object has no key '{key[1]}'")
    if overload := _OVERLOAD.match(text):
        target, function, types = overload.groups()
        return _overload(function, ", ".join(filter(None, (target, types))))
    for start, error, message in _KINDS:
        if text.startswith(start):
            return Fault(error, message)
    if " clause " in text:
        return Fault(BadText, "a format does not suit its value")
    return Fault(ExpressionError, "it failed in a way that has no name yet")


def missing_below(
    error: type[ExpressionError],
    trails: Sequence[Trail],
    roots: Sequence[Read],
    values: Mapping[int, Any],
) -> Missing | None:
    """Return the first read of `trails` that fails with `error`, if there is one.

    Args:
        roots: Per slot, its path.
        values: Per slot that has one, its value.
    """
    for trail in trails:
        if trail.slot not in values:
            continue
        missing = _walk(values[trail.slot], roots[trail.slot], trail, 0)
        if missing is not None and missing.error is error:
            return missing
    return None


def _walk(value: Any, above: Read, trail: Trail, depth: int) -> Missing | None:
    if depth == len(trail.steps):
        return None
    step = trail.steps[depth]
    if step == EACH:
        return _walk_each(value, above, trail, depth)
    path = (*above, step)
    missing = explain_step(value, path)
    if missing is not None:
        is_asked = depth >= trail.optional_from and missing.error is not WrongType
        return None if is_asked else missing
    return _walk(value[step], path, trail, depth + 1)


def _walk_each(value: Any, above: Read, trail: Trail, depth: int) -> Missing | None:
    if not isinstance(value, list):
        return None
    for index, item in enumerate(value):
        missing = _walk(item, (*above, index), trail, depth + 1)
        if missing is not None:
            return missing
    return None


def _overload(function: str, types: str) -> Fault:
    shown = shown_operator(function)
    match function:
        case "<iter_range>":
            text = "a loop needs a list or an object"
        case "<jump_condition>":
            text = "what stands before '?' is neither true nor false"
        case "_&&_" | "_||_" | "!_":
            text = f"{shown} needs values that are true or false"
        case _ if types:
            text = f"{shown} does not take ({types})"
        case "@in":
            text = "'in' needs a list or an object behind it"
        case _:
            text = f"{shown} does not suit what it is given{_told_of(function)}"
    return Fault(WrongType, text.replace("int64", "int"))


def _told_of(function: str) -> str:
    """The library names no types of what is inside a list: say what would suit."""
    told = next((one for one in FUNCTIONS if one.name == function), None)
    return "" if told is None else f": {told.signature}: {told.summary}".removesuffix(".")
