"""Limiters: what one question costs, beside limits, pyrate-limiter and aiolimiter.

Processor time, in one process. Side by side stand those that admit the same calls, asked
the same way: plainly, or with `await`. Each round takes a sample of each, and the lowest
counts: all that differs from round to round is what the machine does besides.
"""

from __future__ import annotations

import argparse
import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable
from time import process_time
from typing import Any, Final

from benchmarks.harness.processes import BenchmarkFailed
from benchmarks.harness.report import machine_line, table, versions, write_results
from benchmarks.resilience.limiter_peers import ADMITTED, REFUSED, WAITED, WAYS, Way
from plait.resilience.errors import RateLimited

CALLS: Final = 20_000
HOUR_S: Final = 3_600.0
# As many pass at once, and as many again have to wait so long.
WAITERS: Final = 1_000
WAIT_S: Final = 0.1
LIBRARIES: Final = ("plait", "limits", "pyrate-limiter", "aiolimiter")


def run(options: argparse.Namespace) -> None:
    """Measure every way that is installed; print and write µs per question."""
    ways = [way for way in WAYS if way.is_here]
    for way in ways:
        _prove(way)
    samples: dict[tuple[str, str], list[float]] = defaultdict(list)
    for number in range(options.rounds):
        first = number % len(ways)
        for way in (*ways[first:], *ways[:first]):
            for outcome in way.outcomes:
                asked = "await" if way.waits else "plain"
                case = f"{way.strategy}, {asked}, {outcome}"
                samples[case, way.library].append(_sample_us(way, outcome))
    figures = {key: round(min(taken), 3) for key, taken in samples.items()}
    _print(figures, options.rounds)
    for library in sorted(set(LIBRARIES) - {way.library for way in ways}):
        print(f"{library} is not installed: `make .venv/benchmarks`")
    told = [{"case": c, "library": name, "us": us} for (c, name), us in figures.items()]
    found = {"versions": versions(*LIBRARIES), "figures": told}
    print(f"\nwritten to {write_results('limiters', found)}")


def _prove(way: Way) -> None:
    """Raise unless of three calls two pass a limit of two, as far as they need not wait."""
    asked = 3 if REFUSED in way.outcomes else 2
    ask = way.make(2, HOUR_S)
    passed = asyncio.run(_passed(ask, asked)) if way.waits else _passed_plainly(ask, asked)
    if passed != [True, True, False][:asked]:
        told = f"{way.library} lets pass {passed} of {asked} calls by its {way.strategy}"
        raise BenchmarkFailed(told)


def _passed_plainly(ask: Callable[[], object], count: int) -> list[bool]:
    return [bool(ask()) for _ in range(count)]


async def _passed(ask: Any, count: int) -> list[bool]:
    """Return the same of a way that answers None for admitted, or raises for refused."""
    passed = []
    for _ in range(count):
        try:
            passed.append(await ask() is not False)
        except RateLimited:
            passed.append(False)
    return passed


def _sample_us(way: Way, outcome: str) -> float:
    if outcome == WAITED:
        ask: Any = way.make(WAITERS, WAIT_S)
        return asyncio.run(_tasks_us(ask))
    ask = way.make(CALLS if outcome == ADMITTED else 1, HOUR_S)
    if way.waits:
        return asyncio.run(_awaited_us(ask))
    ask()
    begun_s = process_time()
    for _ in range(CALLS - 1):
        ask()
    return (process_time() - begun_s) / (CALLS - 1) * 1e6


async def _awaited_us(ask: Callable[[], Awaitable[object]]) -> float:
    await ask()
    begun_s = process_time()
    for _ in range(CALLS - 1):
        try:
            await ask()
        except RateLimited:
            continue
    return (process_time() - begun_s) / (CALLS - 1) * 1e6


async def _tasks_us(ask: Callable[[], Awaitable[object]]) -> float:
    """Return the same for a task each, of which half have to wait in line."""
    begun_s = process_time()
    await asyncio.gather(*(ask() for _ in range(2 * WAITERS)))
    return (process_time() - begun_s) / (2 * WAITERS) * 1e6


def _print(figures: dict[tuple[str, str], float], rounds: int) -> None:
    lines = []
    for (case, library), us in sorted(figures.items(), key=_ours_first):
        ours = figures[case, "plait"]
        lines.append([case, library, f"{us:.2f}", f"{us / ours:.1f}"])
    print(f"{machine_line()}\nlowest of {rounds}, {CALLS:,} calls each\n")
    print(table(["limiter", "library", "µs", "times Plait"], lines))


def _ours_first(figure: tuple[tuple[str, str], float]) -> tuple[str, bool, str]:
    (case, library), _ = figure
    return case, library != "plait", library
