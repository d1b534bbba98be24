"""The clock that every policy of this room tells time by.

One clock for all, given at construction, so that a test can hold it still.
"""

from __future__ import annotations

import asyncio
import math
import time
from typing import Final, Protocol

# Loops that count timers in milliseconds may fire them by so much too early.
_EARLY_S: Final = 0.002


class Clock(Protocol):
    """Monotonic seconds, and a way to let some of them pass."""

    def now(self) -> float:
        """Return seconds since some moment in the past; never goes back."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Return when `seconds` have passed; at once for 0 or less."""
        ...


class SystemClock:
    """The machine's monotonic clock. Clock changes and daylight saving do not touch it."""

    now = staticmethod(time.monotonic)

    async def sleep(self, seconds: float) -> None:
        """Sleep on the running event loop, whose timers may fire a little early."""
        until_s = self.now() + seconds
        await asyncio.sleep(max(seconds, 0.0))
        # More is left only where the loop's time is virtual: then it is over.
        if 0.0 < until_s - self.now() <= _EARLY_S:
            await asyncio.sleep(_EARLY_S)


SYSTEM_CLOCK = SystemClock()


def seconds_until(moment_s: float, now_s: float) -> float:
    """Return how long it is until a moment, at least 0, rounded up: who lets so many
    seconds pass finds that it has come.

    >>> [now + seconds_until(30.1, now) >= 30.1 for now in (0.1, 7.3, 40.0)]
    [True, True, True]
    """
    wait_s = max(moment_s - now_s, 0.0)
    while now_s + wait_s < moment_s:
        wait_s = math.nextafter(wait_s, math.inf)
    return wait_s
