"""Rate limiters: four ways to say how many calls may pass, in process or through Redis.

In process: `FixedWindow`, `SlidingWindow`, `TokenBucket`, `LeakyBucket` (a queue that
spaces calls), `LeakyBucketMeter`; `KeyedRateLimiter` has one per key. The same through
Redis are in `plait.resilience.rate_limit.redis`, which needs redis-py.

Which one when: docs/patterns/rate-limit.md.
"""

from plait.resilience.rate_limit.admission import (
    Admission,
    Event,
    Refused,
    Standing,
    StoreReachable,
    StoreUnreachable,
)
from plait.resilience.rate_limit.buckets import LeakyBucket, LeakyBucketMeter, TokenBucket
from plait.resilience.rate_limit.face import RateLimiter
from plait.resilience.rate_limit.keyed import KeyedRateLimiter
from plait.resilience.rate_limit.local import LocalRateLimiter
from plait.resilience.rate_limit.strategies import rate_limiter
from plait.resilience.rate_limit.windows import FixedWindow, SlidingWindow

__all__ = [
    "Admission",
    "Event",
    "FixedWindow",
    "KeyedRateLimiter",
    "LeakyBucket",
    "LeakyBucketMeter",
    "LocalRateLimiter",
    "RateLimiter",
    "Refused",
    "SlidingWindow",
    "Standing",
    "StoreReachable",
    "StoreUnreachable",
    "TokenBucket",
    "rate_limiter",
]
