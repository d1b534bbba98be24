"""Limits that all gateways on one Redis count together.

Rule 1. Redis knows nobody: the keys are hashed, and each ends with what it counts.
Rule 2. Who has nothing left is refused here, without a question, until the moment at which
    there can be something: other gateways can only put that off.
Rule 3. While Redis does not answer this process counts alone: nobody is refused for that,
    and nobody is let in without a limit.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from typing import Final, NamedTuple, Protocol

from plait.gateway.limits import KEYS_MAX, Counted, Limit, OwnCounts
from plait.model.rate import Rate
from plait.resilience.clock import SYSTEM_CLOCK, Clock
from plait.resilience.rate_limit import Standing

_PREFIX: Final = "plait:limit"


class Taken(Protocol):
    """What was said of one key: plait.resilience.rate_limit.redis_buckets."""

    @property
    def standing(self) -> Standing:
        """What is left."""
        ...

    @property
    def wait_s(self) -> float:
        """Seconds until the key may come again; 0: it was admitted."""
        ...


class Buckets(Protocol):
    """Where several gateways count: plait.resilience.rate_limit.redis_buckets."""

    @property
    def is_silent(self) -> bool:
        """Whether nobody answers there."""
        ...

    async def take(self, key: str, limit: int, period_s: float) -> Taken | None:
        """Take one of `limit` per `period_s`; None: nobody answers."""
        ...


class _Spent(NamedTuple):
    """Moments at which a key with nothing left has one again, and all."""

    until_s: float
    all_s: float


class SharedCounts:
    """Counts that several gateways share.

    Args:
        of: What is counted, in all of them alike.
    """

    def __init__(
        self, buckets: Buckets, rate: Rate, *of: str, clock: Clock = SYSTEM_CLOCK
    ) -> None:
        self.rate = rate
        self._buckets = buckets
        self._of = f"{_PREFIX}:{of[0]}:", repr((*of, rate.limit, rate.per_ms)).encode()
        self._period_s = rate.per_ms / 1000
        self._now = clock.now
        self._own = OwnCounts(rate, clock)
        self._spent: OrderedDict[str, _Spent] = OrderedDict()

    async def take(self, key: str) -> Counted:
        known = self._known(key)
        if known is not None:
            return known
        taken = await self._buckets.take(self._named(key), self.rate.limit, self._period_s)
        if taken is None:
            return await self._own.take(key)
        standing = taken.standing
        if standing.remaining == 0:
            self._note(key, standing.reset_after)
        return Counted(standing, taken.wait_s or None)

    def peek(self, key: str) -> Counted | None:
        known = self._known(key)
        if known is not None or not self._buckets.is_silent:
            return known
        return self._own.peek(key)

    def _known(self, key: str) -> Counted | None:
        """Return how a key stands that has nothing left yet."""
        spent = self._spent.get(key)
        if spent is None:
            return None
        now_s = self._now()
        if now_s >= spent.until_s:
            del self._spent[key]
            return None
        standing = Standing(self.rate.limit, 0, spent.all_s - now_s, waiting=0)
        return Counted(standing, spent.until_s - now_s)

    def _note(self, key: str, reset_after_s: float) -> None:
        others_s = self._period_s * (self.rate.limit - 1) / self.rate.limit
        now_s = self._now()
        self._spent[key] = _Spent(now_s + reset_after_s - others_s, now_s + reset_after_s)
        self._spent.move_to_end(key)
        if len(self._spent) > KEYS_MAX:
            self._spent.popitem(last=False)

    def _named(self, key: str) -> str:
        prefix, of = self._of
        hashed = hashlib.blake2b(of + key.encode(), digest_size=16)
        return prefix + hashed.hexdigest()


class SharedLimits:
    """Makes limits that several gateways share."""

    def __init__(self, buckets: Buckets) -> None:
        self._buckets = buckets

    def __call__(self, name: str, rate: Rate, *of: str) -> Limit:
        """See plait.gateway.limits.MakesLimit."""
        return Limit(name, SharedCounts(self._buckets, rate, name, *of))
