"""Rows of the scorecard, and what each came to."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class Outcome:
    """What one row came to.

    Attributes:
        figures: What was done and measured, in the order in which it is shown.
        broken: What does not hold, in words; empty: the row passes.
    """

    figures: dict[str, Any] = field(default_factory=dict)
    broken: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Scale:
    """How much of each row is done: `share` of the full form, by `workers` processes.

    Rows that only repeat themselves, 1 and 3, stop repeating at `until_s`, a moment of the
    monotonic clock, and tell how far they came.
    """

    share: float = 1.0
    workers: int = 1
    until_s: float = math.inf

    def of(self, full: int, least: int = 1) -> int:
        """Return the share of `full`, but at least `least`."""
        return max(round(full * self.share), least)

    def is_over(self) -> bool:
        """Tell whether it is time to stop repeating."""
        return time.monotonic() > self.until_s


@dataclass(frozen=True, slots=True)
class Row:
    """One row: its number in the scorecard of reliability, and how to run it."""

    number: int
    title: str
    run: Callable[[Scale], Outcome]
