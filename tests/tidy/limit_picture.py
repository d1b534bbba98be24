"""Draws docs/patterns/rate-limit.svg: the same calls under each limiter.

`python -m tests.tidy.limit_picture` draws it anew; a test proves that it is what the
limiters do. They run on a loop whose clock is virtual.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from plait.resilience.errors import RateLimited
from plait.resilience.rate_limit import (
    FixedWindow,
    LeakyBucket,
    LocalRateLimiter,
    SlidingWindow,
    TokenBucket,
)
from plait.testing.virtual_time import run_virtually
from tests.tidy.tree import ROOT

PICTURE: Final = "docs/patterns/rate-limit.svg"

LIMIT: Final = 4
WAITERS_MAX: Final = 3
# Moments of the calls: sixteen a second, for two seconds.
CALLS_S: Final = tuple((11 + number) / 16 for number in range(32))
END_S: Final = 3.5

WIDTH: Final = 720
LEFT: Final = 130
RIGHT: Final = 90
TOP: Final = 66
ROW: Final = 40

STYLE: Final = """
  text { font: 14px system-ui, sans-serif; fill: #1f2328; }
  .title { font-size: 16px; font-weight: 600; }
  .note { font-size: 12px; fill: #59636e; }
  .passed { fill: #1a7f5a; }
  .came { fill: #afb8c1; }
  .edge { stroke: #d1d9e0; stroke-dasharray: 3 3; }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3; }
    .note { fill: #9198a1; }
    .passed { fill: #3fb984; }
    .came { fill: #59636e; }
    .edge { stroke: #3d444d; }
  }
"""


class LoopClock:
    """The clock of the loop it is made on."""

    def __init__(self) -> None:
        self.now = asyncio.get_running_loop().time

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


def limiters() -> dict[str, Callable[[LoopClock], LocalRateLimiter]]:
    """Return what makes each limiter, by its name in the picture."""
    return {
        "Fixed window": lambda c: FixedWindow(limit=LIMIT, period_s=1, clock=c),
        "Sliding window": lambda c: SlidingWindow(limit=LIMIT, period_s=1, clock=c),
        "Token bucket": lambda c: TokenBucket(limit=LIMIT, period_s=1, clock=c),
        "Leaky bucket": lambda c: LeakyBucket(
            limit=LIMIT, period_s=1, max_queue=WAITERS_MAX, clock=c
        ),
    }


def admissions_s(make: Callable[[LoopClock], LocalRateLimiter]) -> list[float]:
    """Return the moments at which calls pass; those of the leaky bucket may wait first."""
    return run_virtually(_admissions_s(make))


async def _admissions_s(make: Callable[[LoopClock], LocalRateLimiter]) -> list[float]:
    loop = asyncio.get_running_loop()
    begun_s = loop.time()
    limiter = make(LoopClock())
    passed_s: list[float] = []

    async def call(come_s: float) -> None:
        await asyncio.sleep(come_s)
        try:
            timeout = None if isinstance(limiter, LeakyBucket) else 0
            await limiter.acquire_or_wait(timeout=timeout)
        except RateLimited:
            return
        passed_s.append(round(loop.time() - begun_s, 3))

    await asyncio.gather(*(call(come_s) for come_s in CALLS_S))
    return passed_s


def picture() -> str:
    """Return the picture as SVG."""
    rows = {name: admissions_s(make) for name, make in limiters().items()}
    height = TOP + ROW * (len(rows) + 1) + 24
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" '
        f'role="img" aria-label="Which of the same calls each limiter lets pass">',
        f"<style>{STYLE}</style>",
        f'<text class="title" x="0" y="20">Thirty-two calls in two seconds, '
        f"{LIMIT} per second allowed</text>",
        f'<text class="note" x="0" y="42">green: when a call passes; '
        f"the leaky bucket keeps {WAITERS_MAX} waiting; lines: whole seconds</text>",
    ]
    bottom = TOP + ROW * (len(rows) + 1) - 8
    for second in range(int(END_S) + 1):
        at = _x(second)
        parts.append(
            f'<line class="edge" x1="{at}" x2="{at}" y1="{TOP - 12}" y2="{bottom}"/>'
        )
        parts.append(
            f'<text class="note" x="{at}" y="{bottom + 18}" text-anchor="middle">'
            f"{second} s</text>"
        )
    parts += _row(0, "Calls", list(CALLS_S), "came", str(len(CALLS_S)))
    for number, (name, passed_s) in enumerate(rows.items(), start=1):
        parts += _row(number, name, passed_s, "passed", f"{len(passed_s)} pass")
    return "\n".join([*parts, "</svg>"]) + "\n"


def _row(number: int, name: str, moments_s: list[float], kind: str, note: str) -> list[str]:
    y = TOP + ROW * number + 10
    marks = [
        f'<rect class="{kind}" x="{_x(at) - 2:.1f}" y="{y - 11}" width="4" height="22"/>'
        for at in moments_s
    ]
    return [
        f'<text x="0" y="{y + 5}">{name}</text>',
        *marks,
        f'<text class="note" x="{WIDTH}" y="{y + 5}" text-anchor="end">{note}</text>',
    ]


def _x(at_s: float) -> float:
    return round(LEFT + at_s / END_S * (WIDTH - LEFT - RIGHT), 1)


if __name__ == "__main__":
    (ROOT / PICTURE).write_text(picture(), encoding="utf-8")
