"""A limiter that keeps count in this process.

The subclass says what is left (`_take`, `_wait`); the line of waiters is here. Each step
from a look at the clock to the count is synchronous, so no task comes in between.
"""

from __future__ import annotations

import asyncio
import math
from abc import abstractmethod
from typing import Final, Unpack

from plait.resilience.checks import check_patience
from plait.resilience.clock import SYSTEM_CLOCK, Clock
from plait.resilience.rate_limit.admission import ADMITTED, Admission, Standing
from plait.resilience.rate_limit.face import CommonSettings, RateLimiter
from plait.resilience.rate_limit.line import Line

# A timer may fire a rounding too soon; the next one must then lie ahead, not at the same
# moment again. 1 µs is four roundings of a clock that counts from 1970 (0.24 µs).
_TIMER_S_MIN: Final = 1e-6


class LocalSettings(CommonSettings, total=False):
    """What a limiter of this process can be given besides its limit.

    Attributes:
        clock: Tells the time; waiting is left to the event loop's timers.
    """

    clock: Clock


class LocalRateLimiter(RateLimiter):
    """Counts in this process, on a monotonic clock."""

    def __init__(
        self,
        *,
        limit: int,
        period_s: float,
        weight_max: int,
        clock: Clock = SYSTEM_CLOCK,
        **common: Unpack[CommonSettings],
    ) -> None:
        super().__init__(limit=limit, period_s=period_s, weight_max=weight_max, **common)
        self._now = clock.now
        self._line = Line(self._serve, self._give_back)
        self._timer: asyncio.TimerHandle | None = None
        # When the head may go, while there is one that waits.
        self._due_at = -math.inf

    def try_acquire(self, weight: int = 1) -> Admission:
        """Take `weight` of the limit if it is there and nobody waits for it.

        Raises:
            ValueError: `weight` is no whole number from 1 to `weight_max`.
        """
        if weight != 1:
            self._check(weight)
        if self._line.weight and self._is_line_left():
            wait_s = self._wait_in_turn(weight)
        else:
            wait_s = self._take(self._now(), weight)
            if not wait_s:
                return ADMITTED
        self._tell_refused(weight, wait_s)
        return Admission(False, wait_s)

    async def acquire(self, weight: int = 1) -> None:
        if weight != 1:
            self._check(weight)
        if self._line.weight and self._is_line_left():
            raise self._limited(weight, self._wait_in_turn(weight))
        wait_s = self._take(self._now(), weight)
        if wait_s:
            raise self._limited(weight, wait_s)

    async def acquire_or_wait(
        self, weight: int = 1, *, timeout: float | None = None
    ) -> None:
        if weight != 1:
            self._check(weight)
        if timeout is not None:
            timeout = check_patience("timeout", timeout)
        behind = self._line.weight and self._is_line_left()
        if behind or self._take(self._now(), weight):
            self._refuse_line(weight, timeout)
            outcome = await self._line.wait(weight, timeout)
            if not outcome.admitted:
                raise self._limited(weight, self._wait_in_turn(weight))

    def snapshot(self) -> Standing:
        """Return what is left, for headers and metrics; takes nothing."""
        limit, remaining, reset_after = self._standing(self._now())
        waiting = len(self._line)
        return Standing(limit, 0 if waiting else remaining, reset_after, waiting)

    @property
    def is_idle(self) -> bool:
        """Whether nobody waits and all of the limit is there, as in a new limiter."""
        return not self._line.weight and self._is_fresh(self._now())

    @property
    def idle_after(self) -> float:
        """Seconds until it is idle, if nobody comes."""
        return self.snapshot().reset_after

    def _refuse_line(self, weight: int, timeout: float | None) -> None:
        """Refuse who need not wait at all, for it could not be in time, or has no place."""
        if timeout is not None and self._wait(self._now(), weight) > timeout:
            raise self._limited(weight, self._wait_in_turn(weight))
        if self._max_queue is not None and len(self._line) >= self._max_queue:
            raise self._limited(weight, self._wait_in_turn(weight), self._crowded())

    def _is_line_left(self) -> bool:
        """Return whether somebody waits still: whose time has come goes first."""
        if self._now() >= self._due_at:
            self._serve()
        return self._line.weight > 0

    def _wait_in_turn(self, weight: int) -> float:
        return self._wait(self._now(), weight, self._line.weight)

    def _serve(self) -> None:
        """Admit from the head whoever fits; come back when the next one will."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        line = self._line
        while (head := line.head()) is not None:
            place, caller = head
            now = self._now()
            wait_s = self._take(now, abs(caller))
            if wait_s:
                self._due_at = now + wait_s
                delay_s = max(wait_s, _TIMER_S_MIN)
                self._timer = place.get_loop().call_later(delay_s, self._serve)
                return
            line.admit(place, now)

    def _give_back(self, weight: int, at: float) -> None:
        self._return(self._now(), weight, at)
        self._serve()

    @abstractmethod
    def _take(self, now: float, weight: int) -> float:
        """Count `weight` and return 0; or count nothing and return seconds to wait."""

    @abstractmethod
    def _wait(self, now: float, weight: int, ahead: int = 0) -> float:
        """Return seconds until `weight` fits, after `ahead`, if nobody else comes."""

    @abstractmethod
    def _return(self, now: float, weight: int, at: float) -> None:
        """Uncount the `weight` that was taken at `at`, as far as it still counts."""

    @abstractmethod
    def _standing(self, now: float) -> tuple[int, int, float]:
        """Return limit, remaining and the seconds until all is there again."""

    @abstractmethod
    def _is_fresh(self, now: float) -> bool:
        """Return whether nothing is counted that still matters."""
