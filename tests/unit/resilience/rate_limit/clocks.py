"""Clocks for tests of limiters."""

from __future__ import annotations


class HandClock:
    """Stands still until it is moved; begins where a machine that has run a month is."""

    def __init__(self) -> None:
        self.now_s = 2_592_000.0

    def now(self) -> float:
        return self.now_s

    async def sleep(self, seconds: float) -> None:
        self.now_s += seconds
