"""Load in one process: so many workflows in flight, for so long; what every peer runs."""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, Final

# All begin at once: counting begins when as many have ended as are in flight, so that the
# first, slow ones count for nobody. Who is very slow gets no more than the longer time.
WARM_UP_S: Final = 0.5
WARM_UP_S_MAX: Final = 8.0


@dataclass(frozen=True, slots=True)
class Wish:
    """What one sample is to be of.

    Attributes:
        workflow: `w3` or `w3n`.
        folder: Where the peer may keep its files.
        upstream: The port that W3 calls.
        database: The URL of a database server; empty: SQLite in `folder`.
    """

    workflow: str
    in_flight: int
    seconds: float
    folder: Path
    upstream: int
    database: str


def wish() -> Wish:
    """Return what the command line says."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--workflow", choices=("w3", "w3n"), required=True)
    parser.add_argument("--in-flight", type=int, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--upstream", type=int, default=1)
    parser.add_argument("--database", default="")
    return Wish(**vars(parser.parse_args()))


async def drive(wanted: Wish, one: Callable[[int], Awaitable[None]]) -> dict[str, Any]:
    """Run workflow after workflow, so many at a time; return how fast that was.

    Args:
        one: Runs the workflow of this number from its start to its end.
    """
    # As `plait serve` does when it has started; here for every peer that is Python.
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, *gc.get_threshold()[1:])
    window = Window(wanted)
    number = 0

    async def client() -> None:
        nonlocal number
        while not window.is_over(started_at := time.perf_counter()):
            number += 1
            await one(number)
            window.note(started_at, time.perf_counter())

    await asyncio.gather(*(client() for _ in range(wanted.in_flight)))
    return window.figures()


class Window:
    """The time in which is counted what ends."""

    def __init__(self, wanted: Wish) -> None:
        self._in_flight = wanted.in_flight
        self._seconds = wanted.seconds
        self._opened_at = time.perf_counter()
        self._begun_at = self._opened_at + WARM_UP_S_MAX
        self._ended_count = 0
        self._taken_s: list[float] = []

    def is_over(self, now: float) -> bool:
        """Tell whether nothing more is to be started."""
        return now >= self._begun_at + self._seconds

    def note(self, started_at: float, ended_at: float) -> None:
        """Count a workflow, if it has ended in the window."""
        self._ended_count += 1
        if self._ended_count == self._in_flight:
            warm_at = max(ended_at, self._opened_at + WARM_UP_S)
            self._begun_at = min(warm_at, self._begun_at)
        elif self._begun_at < ended_at < self._begun_at + self._seconds:
            self._taken_s.append(ended_at - started_at)

    def figures(self) -> dict[str, Any]:
        """Return the rate, and the median of how long one took."""
        p50_ms = median(self._taken_s) * 1000 if self._taken_s else None
        return {"per_s": len(self._taken_s) / self._seconds, "p50_ms": p50_ms}


def tell(figures: dict[str, Any]) -> None:
    """Print the figures, for whoever started this process."""
    print(json.dumps(figures), flush=True)
