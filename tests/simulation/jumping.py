"""Jumps for random documents: back or ahead, in a sequence that was written without."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

Json = Any


def add_jump(steps: list[Json], lot: Random, next_number: Callable[[], int]) -> None:
    """Let a sequence jump; of those that jump back some read what stands behind them."""
    ids = [step["id"] for step in steps]
    place, to = lot.randint(1, len(steps)), lot.randrange(len(steps))
    jump: Json = {"id": f"s{next_number()}", "type": "goto", "to": ids[to]}
    jump["max_visits"] = lot.choice([1, 2, 3, 4])
    conditions = ["${input.flag}", f"${{{ids[0]}.status == 'completed'}}", True]
    jump["condition"] = lot.choice(conditions if to >= place else conditions[:-1])
    jump |= {"on_error": "continue"} if lot.randrange(2) else {}
    steps.insert(place, jump)
    if to < place and lot.randrange(2):
        step = {"id": f"s{next_number()}", "type": "set"}
        steps.insert(to + 1, {**step, "value": f"${{{ids[place - 1]}.status}}"})
