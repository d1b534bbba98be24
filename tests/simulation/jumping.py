"""Jumps for random documents: in sequences, and from handler to handler of a route."""

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


def add_transitions(handlers: dict[str, Json], lot: Random) -> Json:
    """Return a route of `handlers`: each may hand over to any, a few times."""
    names = [*handlers]
    for handler in handlers.values():
        last = handler["steps"][-1]["id"]
        whens = ["${iteration < 1}", "${iteration < 3}", "${input.flag}"]
        whens += [f"${{{last}.status == 'completed'}}", f"${{{last}.error == null}}"]
        ways = [
            {"to": lot.choice(names), "when": lot.choice(whens)}
            for _ in range(lot.randint(0, 2))
        ]
        handler["next"] = ways
    step: Json = {"handlers": handlers, "max_hops": lot.choice([1, 2, 3])}
    return {**step, "start": lot.choice(names)} if lot.randrange(2) else step
