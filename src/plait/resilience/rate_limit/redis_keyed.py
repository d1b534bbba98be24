"""One limiter through Redis per key. The counts are in Redis; here are who asks and waits.

The keys of Redis end by themselves, each with what it counts.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic

from plait.resilience.errors import RateLimited
from plait.resilience.rate_limit.admission import Admission, Standing
from plait.resilience.rate_limit.keyed import BoundedKeys, K
from plait.resilience.rate_limit.redis import RedisRateLimiter


class KeyedRedisRateLimiter(Generic[K]):
    """`KeyedRateLimiter` through Redis: each key has a limit that all processes share."""

    def __init__(
        self, limiter_of: Callable[[K], RedisRateLimiter], *, keys_max: int = 10_000
    ) -> None:
        """Args:
        limiter_of: Makes the limiter of a key, under a key of its own in Redis.
        keys_max: Keys that may be asked for at a time by this process.
        """
        self._keys = BoundedKeys(limiter_of, keys_max=keys_max)

    def __len__(self) -> int:
        return len(self._keys)

    async def try_acquire(self, key: K, weight: int = 1) -> Admission:
        """Take `weight` of the limit of `key`; see `RedisRateLimiter.try_acquire`."""
        try:
            limiter = self._keys.found(key)
        except RateLimited as error:
            return Admission(False, error.retry_after or 0.0)
        return await limiter.try_acquire(weight)

    async def acquire(self, key: K, weight: int = 1) -> None:
        """Take `weight` of the limit of `key` at once.

        Raises:
            RateLimited: There is not enough left, or there is no room for a new key.
            ValueError: `weight` is no whole number from 1 to what the limiter admits.
        """
        await self._keys.found(key).acquire(weight)

    async def acquire_or_wait(
        self, key: K, weight: int = 1, *, timeout: float | None = None
    ) -> None:
        """Take `weight` of the limit of `key`, if need be after `timeout` seconds.

        Raises:
            RateLimited: The time was up, or there is no room for a new key.
            ValueError: `weight` is no whole number from 1 to what the limiter admits.
        """
        await self._keys.found(key).acquire_or_wait(weight, timeout=timeout)

    async def aclose(self) -> None:
        """Wait for what cancelled callers have left under way; then the client may go."""
        for limiter in self._keys.all():
            await limiter.aclose()

    async def snapshot(self, key: K) -> Standing:
        """Return what is left for `key`."""
        return await self._keys.seen(key).snapshot()
