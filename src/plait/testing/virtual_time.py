"""An event loop whose clock jumps to whatever is due next: months pass in milliseconds.

For code that asks the loop for the time and waits only for timers, not for sockets.

>>> async def wait_a_day():
...     loop = asyncio.get_running_loop()
...     begun_s = loop.time()
...     await asyncio.sleep(86_400)
...     return loop.time() - begun_s
>>> run_virtually(wait_a_day())
86400.0
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, Final, TypeVar

T = TypeVar("T")

# 2026-01-01T00:00:00Z
STARTED_AT_S: Final = 1_767_225_600.0


class NothingWillHappen(AssertionError):
    """The loop waits, and there is nothing that it could wait for."""


class _Selector(selectors.SelectSelector):
    """Whoever would wait for files waits for a moment, and that is now."""

    def __init__(self) -> None:
        super().__init__()
        self.now_s = STARTED_AT_S

    def select(self, timeout: float | None = None) -> Any:
        ready = super().select(0)
        if not ready:
            if timeout is None:
                raise NothingWillHappen
            self.now_s += max(timeout, 0)
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """Never sleeps. `time` is in seconds since the Unix epoch, beginning in 2026."""

    def __init__(self) -> None:
        self._clock = _Selector()
        super().__init__(self._clock)
        # Seconds since 1970 are exact to 0.24 µs only; a timer is due within four of those.
        self._clock_resolution = 1e-6

    def time(self) -> float:
        """Return the virtual moment, in seconds."""
        return self._clock.now_s


def run_virtually(main: Coroutine[Any, Any, T]) -> T:
    """Run `main` on a loop of its own and return what it returns.

    Raises:
        NothingWillHappen: It would have waited for ever.
    """
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(main)
