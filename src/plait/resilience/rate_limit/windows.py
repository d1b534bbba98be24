"""Limiters that count calls per stretch of time: fixed windows, and one that slides."""

from __future__ import annotations

import math
from collections import deque
from typing import Unpack

from plait.resilience.rate_limit.local import LocalRateLimiter, LocalSettings


class FixedWindow(LocalRateLimiter):
    """At most `limit` calls in each window; the windows follow each other without a gap.

    The cheapest, and the roughest: around the edge of two windows as much as twice the
    limit may pass within one period.

    >>> limiter = FixedWindow(limit=2, period_s=60)
    >>> [limiter.try_acquire().admitted for _ in range(3)]
    [True, True, False]
    """

    def __init__(
        self, *, limit: int, period_s: float, **settings: Unpack[LocalSettings]
    ) -> None:
        """Args:
        limit: Calls per window, 1 or more.
        period_s: Length of a window; the first begins now.
        settings: See `LocalSettings`.
        """
        super().__init__(limit=limit, period_s=period_s, weight_max=limit, **settings)
        self._used = 0
        self._ends_at = self._now() + self._period_s

    def _take(self, now: float, weight: int) -> float:
        if now >= self._ends_at:
            self._turn(now)
        used = self._used + weight
        if used > self._limit:
            return self._ends_at - now
        self._used = used
        return 0.0

    def _turn(self, now: float) -> None:
        """Begin the window that `now` lies in."""
        passed = math.floor((now - self._ends_at) / self._period_s) + 1
        self._ends_at += passed * self._period_s
        if self._ends_at <= now:  # the division was rounded
            self._ends_at += self._period_s
        self._used = 0

    def _wait(self, now: float, weight: int, ahead: int = 0) -> float:
        if now >= self._ends_at:
            self._turn(now)
        over = self._used + ahead + weight - self._limit
        windows = -(-over // self._limit)
        if windows <= 0:
            return 0.0
        return self._ends_at - now + (windows - 1) * self._period_s

    def _return(self, now: float, weight: int, at: float) -> None:
        if at >= self._ends_at - self._period_s:
            self._used = max(self._used - weight, 0)

    def _standing(self, now: float) -> tuple[int, int, float]:
        if now >= self._ends_at:
            self._turn(now)
        reset_after = self._ends_at - now if self._used else 0.0
        return self._limit, self._limit - self._used, reset_after

    def _is_fresh(self, now: float) -> bool:
        return not self._used or now >= self._ends_at


class SlidingWindow(LocalRateLimiter):
    """At most `limit` calls in any stretch of `period_s`, wherever it begins.

    Exact: it remembers the moment of each call of the last period, `limit` at most.

    >>> limiter = SlidingWindow(limit=2, period_s=60)
    >>> [limiter.try_acquire().admitted for _ in range(3)]
    [True, True, False]
    """

    def __init__(
        self, *, limit: int, period_s: float, **settings: Unpack[LocalSettings]
    ) -> None:
        """Args:
        limit: Calls per period, 1 or more.
        period_s: Length of the window.
        settings: See `LocalSettings`.
        """
        super().__init__(limit=limit, period_s=period_s, weight_max=limit, **settings)
        # Two rows side by side: 40 bytes for a call, where a row of pairs takes 96.
        self._times: deque[float] = deque()
        self._weights: deque[int] = deque()
        self._used = 0

    def _take(self, now: float, weight: int) -> float:
        times = self._times
        if times and times[0] + self._period_s <= now:
            self._forget(now)
        if self._used + weight > self._limit:
            return self._wait_for(now, weight)
        self._used += weight
        times.append(now)
        self._weights.append(weight)
        return 0.0

    def _forget(self, now: float) -> None:
        times, weights = self._times, self._weights
        while times and times[0] + self._period_s <= now:
            times.popleft()
            self._used -= weights.popleft()

    def _wait(self, now: float, weight: int, ahead: int = 0) -> float:
        self._forget(now)
        # What is heavier than the limit needs whole periods, and then the rest of it.
        periods, rest = divmod(ahead + weight - 1, self._limit)
        return self._wait_for(now, rest + 1) + periods * self._period_s

    def _wait_for(self, now: float, weight: int) -> float:
        over = self._used + weight - self._limit
        if over <= 0:
            return 0.0
        if over <= self._weights[0]:
            return self._times[0] + self._period_s - now
        for at, freed in zip(self._times, self._weights, strict=True):
            over -= freed
            if over <= 0:
                return at + self._period_s - now
        raise AssertionError("a weight within the limit fits an empty window")

    def _return(self, now: float, weight: int, at: float) -> None:
        self._forget(now)
        # From the end: what is given back was taken a moment ago.
        for index in range(len(self._times) - 1, -1, -1):
            if self._times[index] == at and self._weights[index] == weight:
                del self._times[index], self._weights[index]
                self._used -= weight
                return

    def _standing(self, now: float) -> tuple[int, int, float]:
        self._forget(now)
        reset_after = self._times[-1] + self._period_s - now if self._times else 0.0
        return self._limit, self._limit - self._used, reset_after

    def _is_fresh(self, now: float) -> bool:
        return not self._times or self._times[-1] + self._period_s <= now
