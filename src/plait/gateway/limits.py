"""Limits of requests: so many in so much time, by address, by caller, by route.

The counts are this process's own. Replies tell what is left as the IETF's draft for
RateLimit header fields does:

    RateLimit-Policy: "address";q=100;w=60
    RateLimit: "address";r=42;t=35
"""

from __future__ import annotations

import math
from typing import Final

from plait.gateway.refusal import Refused
from plait.model.rate import Rate
from plait.ports.identity import RateExceeded
from plait.resilience.clock import SYSTEM_CLOCK, Clock
from plait.resilience.rate_limit import KeyedRateLimiter, Standing, TokenBucket

Headers = list[tuple[bytes, bytes]]

_KEYS_MAX: Final = 100_000


class TooMany(Refused):
    """Somebody asks more often than they may."""

    code = RateExceeded.code
    advice = RateExceeded.advice
    status = 429


class Limit:
    """One limit, for each key alone.

    Args:
        name: What clients know it by: letters.
    """

    def __init__(self, name: str, rate: Rate, clock: Clock = SYSTEM_CLOCK) -> None:
        self.name = name
        self._rate = rate
        period_s = rate.per_ms / 1000
        self._counts = KeyedRateLimiter[str](
            lambda _: TokenBucket(limit=rate.limit, period_s=period_s, clock=clock),
            keys_max=_KEYS_MAX,
        )
        policy = f'"{name}";q={rate.limit};w={math.ceil(period_s)}'
        self._policy = b"ratelimit-policy", policy.encode()

    def take(self, key: str) -> Headers:
        """Count a request of `key`; return the headers that tell what is left.

        Raises:
            TooMany: It is one too many; it was not counted.
        """
        admission = self._counts.try_acquire(key)
        standing = self._counts.snapshot(key)
        if not admission.admitted:
            raise self._refused(standing, admission.retry_after)
        return self._told(standing)

    def peek(self, key: str) -> TooMany | None:
        """Return what speaks against a request of `key` now; count nothing."""
        standing = self._counts.snapshot(key)
        if standing.remaining > 0:
            return None
        return self._refused(standing, self._rate.per_ms / 1000 / self._rate.limit)

    def _told(self, standing: Standing) -> Headers:
        left = f'"{self.name}";r={standing.remaining};t={math.ceil(standing.reset_after)}'
        return [self._policy, (b"ratelimit", left.encode())]

    def _refused(self, standing: Standing, retry_after_s: float) -> TooMany:
        wait_s = max(1, math.ceil(retry_after_s))
        return TooMany(
            f"more than {self._rate} were asked of this gateway ({self.name}); "
            f"try again in {wait_s} s",
            {"limit": self.name, "retry_after_s": wait_s},
            headers=(*self._told(standing), (b"retry-after", b"%d" % wait_s)),
        )
