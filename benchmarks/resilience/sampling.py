"""One side's sample: microseconds of processor time per call, for each of its cases.

A side is a module that makes calls; run as a program it prints its figures as JSON. All
sides are measured by this one loop, each in a process of its own.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from time import process_time
from typing import Any, Final, TypeAlias

# What is called again and again. It raises what its case is about, or nothing.
Call: TypeAlias = "Callable[[], Awaitable[Any]]"
Cases: TypeAlias = "Mapping[str, Callable[[], Awaitable[Call]]]"

NOTHING: Final = "nothing"
BREAKER: Final = "breaker, closed"
REFUSED: Final = "breaker, open"
RETRY: Final = "retry, no failure"
THIRD: Final = "retry, third attempt"
HIT: Final = "cache, hit"
MISS: Final = "cache, miss"
COLLAPSED: Final = "collapse, alone"
STACK: Final = "stack"

CALLS: Final = 4_000
ROUNDS: Final = 7


class Down(Exception):
    """What a call fails with where its case needs that."""


async def nothing() -> None:
    """Do what is protected: nothing."""


def failing_twice() -> Call:
    """Return a function that fails twice, succeeds, fails twice, and so on."""
    made = 0

    async def call() -> None:
        nonlocal made
        made += 1
        if made % 3:
            raise Down

    return call


async def fail() -> None:
    """Fail."""
    raise Down


def tell(cases: Cases) -> None:
    """Measure `cases`; print the lowest figure of each as JSON."""
    print(json.dumps(asyncio.run(_measure(cases))))


async def _measure(cases: Cases) -> dict[str, float]:
    figures = {}
    for name, make in cases.items():
        call = await make()
        loop = _refused_us if name == REFUSED else _us
        await loop(call)
        figures[name] = round(min([await loop(call) for _ in range(ROUNDS)]), 3)
    return figures


async def _us(call: Call) -> float:
    begun_at = process_time()
    for _ in range(CALLS):
        await call()
    return (process_time() - begun_at) / CALLS * 1e6


async def _refused_us(call: Call) -> float:
    """Measure calls of which each must be refused."""
    refused = 0
    begun_at = process_time()
    for _ in range(CALLS):
        try:
            await call()
        except Exception:
            refused += 1
    taken_s = process_time() - begun_at
    if refused != CALLS:
        raise RuntimeError(f"{CALLS - refused} calls were let through")
    return taken_s / CALLS * 1e6
