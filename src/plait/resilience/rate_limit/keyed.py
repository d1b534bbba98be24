"""One limiter per key: per user, per API key, per address.

Rule 1. The keys are bounded, and no key is forgotten while it matters: only a limiter that
    is as good as new is dropped. So nobody gets a fresh limit by flooding it with keys.
Rule 2. Where there is no room, the newcomer is refused.

Not here: limiters through Redis per key (plait.resilience.rate_limit.redis_keyed).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from itertools import islice
from typing import Final, Generic, Protocol, TypeVar

from plait.resilience.checks import check_count
from plait.resilience.errors import RateLimited
from plait.resilience.rate_limit.admission import Admission, Standing
from plait.resilience.rate_limit.local import LocalRateLimiter

K = TypeVar("K", bound=Hashable)

# Looked at for each new key: two, so that the idle go faster than new ones come; among
# these many of those unused for longest, so that a few busy ones do not hide the idle.
_DROPPED_MAX: Final = 2
_LOOKED_AT: Final = 8


class Droppable(Protocol):
    """A limiter that can be forgotten when it is idle."""

    name: str

    @property
    def is_idle(self) -> bool:
        """Whether a new one would do as well."""
        ...

    @property
    def idle_after(self) -> float:
        """Seconds until it may be idle."""
        ...


L = TypeVar("L", bound=Droppable)


class BoundedKeys(Generic[K, L]):
    """The limiters of so many keys, the longest unused first."""

    def __init__(self, limiter_of: Callable[[K], L], *, keys_max: int) -> None:
        self._limiter_of = limiter_of
        check_count("keys_max", keys_max)
        self._keys_max = keys_max
        self._limiters: OrderedDict[K, L] = OrderedDict()

    def __len__(self) -> int:
        return len(self._limiters)

    def found(self, key: K) -> L:
        """Return the limiter of `key`, made when the key is new.

        Raises:
            RateLimited: There is no room for a new key.
        """
        limiter = self._limiters.get(key)
        if limiter is None:
            return self._added(key)
        self._limiters.move_to_end(key)
        return limiter

    def seen(self, key: K) -> L:
        """Return the limiter of `key`, or one that is not kept."""
        limiter = self._limiters.get(key)
        return self._limiter_of(key) if limiter is None else limiter

    def all(self) -> list[L]:
        """Return those that are kept."""
        return list(self._limiters.values())

    def _added(self, key: K) -> L:
        self._drop_idle()
        limiter = self._limiter_of(key)
        if len(self._limiters) >= self._keys_max:
            oldest = next(iter(self._limiters.values()))
            raise RateLimited(
                f"{self._keys_max} keys are limited already, each of them in use",
                name=limiter.name,
                retry_after=oldest.idle_after,
            )
        self._limiters[key] = limiter
        return limiter

    def _drop_idle(self) -> None:
        looked_at = islice(self._limiters.items(), _LOOKED_AT)
        idle = [key for key, limiter in looked_at if limiter.is_idle]
        for key in idle[:_DROPPED_MAX]:
            del self._limiters[key]


class KeyedRateLimiter(Generic[K]):
    """Gives each key a limiter of its own, made when the key is first seen.

    >>> from plait.resilience.rate_limit import TokenBucket
    >>> per_user = KeyedRateLimiter(lambda user: TokenBucket(limit=1, period_s=60))
    >>> [per_user.try_acquire(user).admitted for user in ("ann", "ann", "bob")]
    [True, False, True]
    """

    def __init__(
        self, limiter_of: Callable[[K], LocalRateLimiter], *, keys_max: int = 100_000
    ) -> None:
        """Args:
        limiter_of: Makes the limiter of a key.
        keys_max: Keys at a time; a limiter takes about 1 KB, a sliding window more.
        """
        self._keys = BoundedKeys(limiter_of, keys_max=keys_max)

    def __len__(self) -> int:
        return len(self._keys)

    def try_acquire(self, key: K, weight: int = 1) -> Admission:
        """Take `weight` of the limit of `key`, see `LocalRateLimiter.try_acquire`.

        Where there is no room for a new key, it is refused.
        """
        try:
            limiter = self._keys.found(key)
        except RateLimited as error:
            return Admission(False, error.retry_after or 0.0)
        return limiter.try_acquire(weight)

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

    def snapshot(self, key: K) -> Standing:
        """Return what is left for `key`; a key never seen is not kept for that."""
        return self._keys.seen(key).snapshot()
