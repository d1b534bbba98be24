"""Clocks: the machine's, for whoever is told none by its caller, and a loop's."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable


def now_ms() -> int:
    """Return the moment, milliseconds since the Unix epoch.

    >>> now_ms() > 1_700_000_000_000  # November 2023
    True
    """
    return int(time.time() * 1000)


def loop_clock() -> Callable[[], float]:
    """Return what tells seconds as the running loop counts them.

    uvloop looks at the machine's clock once in each of its rounds, which may be long in a
    busy process: that clock is asked itself.
    """
    loop = asyncio.get_running_loop()
    is_uvloop = type(loop).__module__.partition(".")[0] == "uvloop"
    return time.monotonic if is_uvloop else loop.time
