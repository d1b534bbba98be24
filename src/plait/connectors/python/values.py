"""What functions take and return, as JSON: copied, never shared.

Rule. A value that JSON cannot hold is refused at its place, not bent: a set has no order,
and NaN would come back from a journal as null.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from datetime import date, datetime, time
from decimal import Decimal
from enum import Enum
from pathlib import PurePath
from typing import Any, Final
from uuid import UUID

from pydantic import BaseModel

from plait.model.json import JsonValue

_DEPTH_MAX: Final = 60
_INT_MIN: Final = -(2**63)
_INT_MAX: Final = 2**64 - 1


class NoJson(ValueError):
    """A value is none that JSON can hold; the text says which, and where."""


def as_json(value: Any, *, at: str = "", depth: int = 0) -> JsonValue:
    """Return `value` as JSON, a copy of it through and through.

    Dataclasses and pydantic models become objects, tuples lists, enums their values;
    moments, UUIDs, decimals and paths become text.

    Raises:
        NoJson: Something in it cannot be kept.

    >>> as_json({"at": date(2026, 1, 2), "of": (1, 2.5, None)})
    {'at': '2026-01-02', 'of': [1, 2.5, None]}
    >>> as_json({"seen": [{1, 2}]})
    Traceback (most recent call last):
    plait.connectors.python.values.NoJson: a set at seen[0], which JSON cannot hold
    """
    if depth > _DEPTH_MAX:
        raise NoJson(f"something nested deeper than {_DEPTH_MAX} levels")
    kind = type(value)
    if value is None or kind is bool:
        return value  # type: ignore[no-any-return]
    # By type first: most values are what JSON has, and asking each whether it is an enum
    # doubles the cost of a small one.
    if kind is str:
        return _text(value, at)
    if kind is int or kind is float:
        return _number(value, at)
    if isinstance(value, str) and not isinstance(value, Enum):
        return _text(value, at)
    if isinstance(value, (int, float)) and not isinstance(value, Enum):
        return _number(value, at)
    if isinstance(value, (list, tuple)):
        return [
            one if _is_plain(one) else as_json(one, at=f"{at}[{index}]", depth=depth + 1)
            for index, one in enumerate(value)
        ]
    if isinstance(value, Mapping):
        return {
            _key(key, at): one
            if _is_plain(one)
            else as_json(one, at=f"{at}.{key}" if at else key, depth=depth + 1)
            for key, one in value.items()
        }
    return as_json(_plainer(value, at), at=at, depth=depth + 1)


def _is_plain(value: Any) -> bool:
    """Tell whether a value is JSON as it is; what is not may be after all."""
    kind = type(value)
    if kind is int:
        return _INT_MIN <= value <= _INT_MAX  # type: ignore[no-any-return]
    if kind is str:
        return value.isascii()  # type: ignore[no-any-return]
    return value is None or kind is bool


def _plainer(value: Any, at: str) -> Any:
    if isinstance(value, Enum):
        return value.value
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = dataclasses.fields(value)
        return {field.name: getattr(value, field.name) for field in fields}
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json", by_alias=True)
    if isinstance(value, (datetime, date, time)):
        return value.isoformat()
    if isinstance(value, (UUID, Decimal, PurePath)):
        return str(value)
    raise NoJson(f"a {type(value).__name__}{_where(at)}, which JSON cannot hold")


def _text(value: str, at: str) -> str:
    try:
        value.encode()
    except UnicodeEncodeError:
        raise NoJson(f"half a surrogate pair{_where(at)}") from None
    return str(value)


def _number(value: float, at: str) -> int | float:
    if isinstance(value, int):
        if not _INT_MIN <= value <= _INT_MAX:
            raise NoJson(f"an integer{_where(at)} that does not fit 64 bits")
        return int(value)
    if not math.isfinite(value):
        raise NoJson(f"the number {value}{_where(at)}, which JSON cannot hold")
    return float(value)


def _key(key: Any, at: str) -> str:
    if not isinstance(key, str) or isinstance(key, Enum):
        kind = type(key).__name__
        raise NoJson(f"a mapping{_where(at)} with a key that is no text but {kind}")
    return _text(key, at)


def _where(at: str) -> str:
    return f" at {at}" if at else ""
