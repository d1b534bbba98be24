"""Rows of the scorecard, and what each came to."""

from __future__ import annotations

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
    """How much of each row is done: `share` of the full form, by `workers` processes."""

    share: float = 1.0
    workers: int = 1

    def of(self, full: int, least: int = 1) -> int:
        """Return the share of `full`, but at least `least`."""
        return max(round(full * self.share), least)


@dataclass(frozen=True, slots=True)
class Row:
    """One row: its number in the scorecard of reliability, and how to run it."""

    number: int
    title: str
    run: Callable[[Scale], Outcome]
