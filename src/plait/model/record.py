"""`record`: a small immutable value, checked by the type checker, free at run time.

A frozen dataclass guards every field write when the program runs, which triples the
cost of making one (0.7 µs against 0.25 µs for five fields), and a step makes six. The
type checker refuses the same writes for nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeVar, dataclass_transform

T = TypeVar("T")


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def record(cls: type[T]) -> type[T]:
    """Make `cls` a slotted dataclass whose fields the type checker holds immutable."""
    return dataclass(slots=True)(cls)
