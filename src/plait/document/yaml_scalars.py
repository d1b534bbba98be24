"""Plain YAML scalars → values, by the core schema of YAML 1.2.

So `on`, `yes`, `no` and dates are text, `012` is twelve, and `0o17`, `0x1F` and `1e3` are
numbers. Quoted and block scalars are always text and do not come here.
"""

from __future__ import annotations

import re

from plait.document.faults import Faults
from plait.document.json_scalars import INT_MAX, INT_MIN
from plait.document.spans import Offsets
from plait.model.json import JsonValue

WORDS: dict[str, JsonValue] = {
    "": None,
    **dict.fromkeys(("~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}

# A plain scalar that starts with none of these is text: most are.
SPECIAL_STARTS = frozenset(["", *"~nNtTfF+-.0123456789"])

# 2**64 - 1 has 20 decimal, 22 octal and 16 hexadecimal digits.
_DIGITS_MAX = 22

_INTEGER = re.compile(r"([-+]?)0*([0-9]*)|0o0*([0-7]*)|0x0*([0-9a-fA-F]*)")
_IS_INTEGER = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_IS_REAL = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")


def is_text(plain: str) -> bool:
    """Tell whether the plain scalar `plain` stands for text.

    >>> [is_text(plain) for plain in ("on", "5s", "12", "null", "")]
    [True, True, False, False, False]
    """
    if plain[:1] not in SPECIAL_STARTS:
        return True
    return plain not in WORDS and not any(
        pattern.fullmatch(plain) for pattern in (_IS_INTEGER, _IS_REAL, _NOT_FINITE)
    )


def resolve(plain: str, place: Offsets, faults: Faults) -> JsonValue:
    """Return the value that the plain scalar `plain` stands for.

    A number that JSON or 64 bits cannot hold is noted as a fault.
    """
    if plain in WORDS:
        return WORDS[plain]
    if _IS_INTEGER.fullmatch(plain):
        return _integer(plain, place, faults)
    if _IS_REAL.fullmatch(plain):
        value = float(plain)
        if abs(value) == float("inf"):
            faults.number_range(plain, place)
        return value
    if _NOT_FINITE.fullmatch(plain):
        faults.not_finite(plain, place)
    return plain


def _integer(plain: str, place: Offsets, faults: Faults) -> int:
    found = _INTEGER.fullmatch(plain)
    assert found is not None
    sign, decimal, octal, hexadecimal = found.groups()
    digits = decimal or octal or hexadecimal or "0"
    base = 8 if octal else 16 if hexadecimal else 10
    # int() of very many digits takes quadratic time, and refuses from 4,300 on.
    value = int(digits, base) if len(digits) <= _DIGITS_MAX else INT_MAX + 1
    value = -value if sign == "-" else value
    if not INT_MIN <= value <= INT_MAX:
        faults.number_range(plain, place)
    return value
