"""Limiters that count in a bucket that leaks at a steady rate.

One level is kept: each admitted call raises it by its weight, and it sinks by `limit` per
`period_s`. What differs is when a call is admitted: while it does not overflow (token
bucket, leaky bucket as a meter), or only into the empty bucket (leaky bucket as a queue).
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Final, Unpack

from plait.resilience.rate_limit.face import or_limit
from plait.resilience.rate_limit.local import LocalRateLimiter, LocalSettings

# What may be admitted too soon: the rounding of a clock that has run for a year (4 ns), and
# of a level. It is counted in full, so the next call pays it back and it never adds up.
_SLACK_S: Final = 1e-8
_SLACK_CALLS: Final = 1e-9


class _Bucket(LocalRateLimiter):
    def __init__(
        self,
        *,
        limit: int,
        period_s: float,
        weight_max: int,
        **settings: Unpack[LocalSettings],
    ) -> None:
        super().__init__(limit=limit, period_s=period_s, weight_max=weight_max, **settings)
        self._rate = self._limit / self._period_s
        self._slack = _SLACK_CALLS + _SLACK_S * self._rate
        self._level = 0.0
        self._at = self._now()

    def _take(self, now: float, weight: int) -> float:
        level = self._level - (now - self._at) * self._rate
        if level < 0.0:
            level = 0.0
        over = self._over(level, weight)
        if over > self._slack:
            return over / self._rate
        self._level = level + weight
        self._at = now
        return 0.0

    def _wait(self, now: float, weight: int, ahead: int = 0) -> float:
        over = self._over(self._level_at(now) + ahead, weight)
        return over / self._rate if over > self._slack else 0.0

    def _return(self, now: float, weight: int, at: float) -> None:
        # Only what cannot have leaked since: the rest may have made room for others.
        still = weight - (now - at) * self._rate
        if still > 0.0:
            self._level = max(self._level_at(now) - still, 0.0)
            self._at = now

    def _standing(self, now: float) -> tuple[int, int, float]:
        level = self._level_at(now)
        capacity = self._capacity()
        remaining = max(int(capacity - level + self._slack), 0)
        return capacity, remaining, level / self._rate

    def _is_fresh(self, now: float) -> bool:
        return self._level_at(now) == 0.0

    def _level_at(self, now: float) -> float:
        return max(self._level - (now - self._at) * self._rate, 0.0)

    @abstractmethod
    def _over(self, level: float, weight: int) -> float:
        """Return what must leak before `weight` is admitted; 0 or less: nothing."""

    @abstractmethod
    def _capacity(self) -> int:
        """Return the weight that is admitted at once at most."""


class LeakyBucketMeter(_Bucket):
    """Admits what does not overflow a bucket of `capacity` that leaks `limit` per period.

    The same calls as `TokenBucket` with that burst; the words are the other way round.

    >>> limiter = LeakyBucketMeter(limit=1, period_s=60, capacity=2)
    >>> [limiter.try_acquire().admitted for _ in range(3)]
    [True, True, False]
    """

    def __init__(
        self,
        *,
        limit: int,
        period_s: float,
        capacity: int | None = None,
        **settings: Unpack[LocalSettings],
    ) -> None:
        """Args:
        limit: What leaks per period, 1 or more.
        period_s: Seconds.
        capacity: What the bucket holds; `limit` if not given.
        settings: See `LocalSettings`.
        """
        self._most = or_limit("capacity", capacity, limit)
        super().__init__(limit=limit, period_s=period_s, weight_max=self._most, **settings)

    def _over(self, level: float, weight: int) -> float:
        return level + weight - self._most

    def _capacity(self) -> int:
        return self._most


class TokenBucket(_Bucket):
    """Admits `limit` per period in the long run, and `burst` at once after a pause.

    Full at first: a token for each call of a burst. `limit` tokens come back per period.

    >>> limiter = TokenBucket(limit=1, period_s=60, burst=3)
    >>> [limiter.try_acquire().admitted for _ in range(4)]
    [True, True, True, False]
    """

    def __init__(
        self,
        *,
        limit: int,
        period_s: float,
        burst: int | None = None,
        **settings: Unpack[LocalSettings],
    ) -> None:
        """Args:
        limit: Tokens that come back per period, 1 or more.
        period_s: Seconds.
        burst: Tokens that the bucket holds; `limit` if not given.
        settings: See `LocalSettings`.
        """
        self._burst = or_limit("burst", burst, limit)
        super().__init__(limit=limit, period_s=period_s, weight_max=self._burst, **settings)

    def _over(self, level: float, weight: int) -> float:
        return level + weight - self._burst

    def _capacity(self) -> int:
        return self._burst


class LeakyBucket(_Bucket):
    """Spaces calls: `period_s / limit` lies between two, and no burst passes.

    A bucket as a queue: whoever comes too soon waits in line (`acquire_or_wait`), and
    `max_queue` is how many the bucket holds. A call of weight 3 keeps the next one away
    for three times as long.

    >>> limiter = LeakyBucket(limit=10, period_s=600)
    >>> [limiter.try_acquire().admitted for _ in range(2)]
    [True, False]
    """

    def __init__(
        self, *, limit: int, period_s: float, **settings: Unpack[LocalSettings]
    ) -> None:
        """Args:
        limit: Calls per period, 1 or more.
        period_s: Seconds.
        settings: See `LocalSettings`.
        """
        super().__init__(limit=limit, period_s=period_s, weight_max=limit, **settings)

    def _over(self, level: float, weight: int) -> float:
        return level

    def _capacity(self) -> int:
        return 1
