"""Clocks: the machine's, for whoever is told none by its caller, and a loop's."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Final

# Clocks that are further apart than this are two.
_APART_S_MAX: Final = 60.0


def now_ms() -> int:
    """Return the moment, milliseconds since the Unix epoch.

    >>> now_ms() > 1_700_000_000_000  # November 2023
    True
    """
    return int(time.time() * 1000)


def loop_clock() -> Callable[[], float]:
    """Return what tells seconds as the running loop counts them.

    Some loops look at the machine's clock once in each of their rounds, which a busy one
    makes long: that clock is asked itself, unless the loop's time is another (virtual).
    """
    loop_s = asyncio.get_running_loop().time
    is_machines = abs(loop_s() - time.monotonic()) < _APART_S_MAX
    return time.monotonic if is_machines else loop_s
