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

WARM_UP_S: Final = 0.5


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
    begun_at = time.perf_counter() + WARM_UP_S
    end_at = begun_at + wanted.seconds
    taken_s: list[float] = []
    number = 0

    async def client() -> None:
        nonlocal number
        while (started_at := time.perf_counter()) < end_at:
            number += 1
            await one(number)
            ended_at = time.perf_counter()
            if begun_at <= ended_at < end_at:
                taken_s.append(ended_at - started_at)

    await asyncio.gather(*(client() for _ in range(wanted.in_flight)))
    p50_ms = median(taken_s) * 1000 if taken_s else None
    return {"per_s": len(taken_s) / wanted.seconds, "p50_ms": p50_ms}


def tell(figures: dict[str, Any]) -> None:
    """Print the figures, for whoever started this process."""
    print(json.dumps(figures), flush=True)
