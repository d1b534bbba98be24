"""Limits of requests: so many in so much time, by address, by caller, by route.

Replies tell what is left as the IETF's draft for RateLimit header fields does:

    RateLimit-Policy: "address";q=100;w=60
    RateLimit: "address";r=42;t=35

Not here: counts that several gateways share (plait.gateway.shared_limits).
"""

from __future__ import annotations

import math
from typing import Final, NamedTuple, Protocol

from plait.gateway.refusal import Refused
from plait.model.rate import Rate
from plait.ports.identity import RateExceeded
from plait.resilience.clock import SYSTEM_CLOCK, Clock
from plait.resilience.rate_limit import KeyedRateLimiter, Standing, TokenBucket

Headers = list[tuple[bytes, bytes]]

KEYS_MAX: Final = 100_000


class TooMany(Refused):
    """Somebody asks more often than they may."""

    code = RateExceeded.code
    advice = RateExceeded.advice
    status = 429


class Counted(NamedTuple):
    """How a key stands with its limit.

    Attributes:
        wait_s: None: its request was counted; else it was not, and may come again after so
            many seconds.
    """

    standing: Standing
    wait_s: float | None = None


class Counts(Protocol):
    """Counts requests of one rate, for each key alone.

    Attributes:
        rate: How many may come.
    """

    rate: Rate

    async def take(self, key: str) -> Counted:
        """Count a request of `key`, unless it is one too many."""
        ...

    def peek(self, key: str) -> Counted | None:
        """Return how `key` stands if a request of it would be one too many, as far as it
        is known here; count nothing."""
        ...


class OwnCounts:
    """The counts of this process alone."""

    def __init__(self, rate: Rate, clock: Clock = SYSTEM_CLOCK) -> None:
        self.rate = rate
        period_s = rate.per_ms / 1000
        self._limiters = KeyedRateLimiter[str](
            lambda _: TokenBucket(limit=rate.limit, period_s=period_s, clock=clock),
            keys_max=KEYS_MAX,
        )

    async def take(self, key: str) -> Counted:
        admission = self._limiters.try_acquire(key)
        wait_s = None if admission.admitted else admission.retry_after
        return Counted(self._limiters.snapshot(key), wait_s)

    def peek(self, key: str) -> Counted | None:
        standing = self._limiters.snapshot(key)
        if standing.remaining > 0:
            return None
        return Counted(standing, self.rate.per_ms / 1000 / self.rate.limit)


class Limit:
    """One limit, for each key alone.

    Args:
        name: What clients know it by: letters.
    """

    def __init__(self, name: str, counts: Counts) -> None:
        self.name = name
        self._counts = counts
        rate = counts.rate
        policy = f'"{name}";q={rate.limit};w={math.ceil(rate.per_ms / 1000)}'
        self._policy = b"ratelimit-policy", policy.encode()

    async def take(self, key: str) -> Headers:
        """Count a request of `key`; return the headers that tell what is left.

        Raises:
            TooMany: It is one too many; it was not counted.
        """
        standing, wait_s = await self._counts.take(key)
        if wait_s is not None:
            raise self._refused(standing, wait_s)
        return self._told(standing)

    def peek(self, key: str) -> TooMany | None:
        """Return what speaks against a request of `key` now; count nothing."""
        standing, wait_s = self._counts.peek(key) or (None, None)
        if standing is None or wait_s is None:
            return None
        return self._refused(standing, wait_s)

    def _told(self, standing: Standing) -> Headers:
        left = f'"{self.name}";r={standing.remaining};t={math.ceil(standing.reset_after)}'
        return [self._policy, (b"ratelimit", left.encode())]

    def _refused(self, standing: Standing, retry_after_s: float) -> TooMany:
        wait_s = max(1, math.ceil(retry_after_s))
        return TooMany(
            f"more than {self._counts.rate} were asked of this gateway ({self.name}); "
            f"try again in {wait_s} s",
            {"limit": self.name, "retry_after_s": wait_s},
            headers=(*self._told(standing), (b"retry-after", b"%d" % wait_s)),
        )


class MakesLimit(Protocol):
    """Makes the limits of a gateway."""

    def __call__(self, name: str, rate: Rate, *of: str) -> Limit:
        """Return a limit.

        Args:
            name: What clients know it by: letters.
            of: What else tells it from others of that name, in every gateway alike.
        """
        ...


def own_limit(name: str, rate: Rate, *of: str) -> Limit:
    """Return a limit that this process counts alone."""
    del of
    return Limit(name, OwnCounts(rate))
