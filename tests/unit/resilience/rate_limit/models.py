"""The limits as one would explain them: history is kept, and added up anew each time.

Time is counted in whole ticks, and fractions are exact.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from bisect import bisect_left as bisect
from dataclasses import dataclass, field
from fractions import Fraction

from plait.resilience.clock import Clock
from plait.resilience.rate_limit import (
    FixedWindow,
    LeakyBucket,
    LeakyBucketMeter,
    LocalRateLimiter,
    SlidingWindow,
    TokenBucket,
)

# A power of two: each tick, and each sum of them, is exact as a float.
TICK_S = 1 / 8

KINDS = ("fixed_window", "sliding_window", "token_bucket", "leaky_bucket", "leaky_meter")


@dataclass(frozen=True)
class Shape:
    """A limiter to be: `limit` per `period` ticks, `size` for what has a burst."""

    kind: str
    limit: int
    period: int
    size: int

    @property
    def weight_max(self) -> int:
        return self.size if self.kind in ("token_bucket", "leaky_meter") else self.limit


@dataclass
class Model(ABC):
    shape: Shape
    taken: list[tuple[int, int]] = field(default_factory=list)

    @abstractmethod
    def fits(self, now: int, weight: int) -> bool:
        """Say whether a call of `weight` may pass in tick `now`."""

    def take(self, now: int, weight: int) -> bool:
        if not self.fits(now, weight):
            return False
        self.taken.append((now, weight))
        return True

    def wait(self, now: int, weight: int) -> int:
        """Return ticks until `weight` fits; once it does, it does for good."""
        return bisect(range(1 << 20), True, key=lambda t: self.fits(now + t, weight))

    def remaining(self, now: int) -> int:
        return max(w for w in range(self.shape.weight_max + 1) if self.fits(now, w))


class FixedWindowModel(Model):
    def fits(self, now: int, weight: int) -> bool:
        period = self.shape.period
        used = sum(w for at, w in self.taken if at // period == now // period)
        return used + weight <= self.shape.limit


class SlidingWindowModel(Model):
    def fits(self, now: int, weight: int) -> bool:
        used = sum(w for at, w in self.taken if at > now - self.shape.period)
        return used + weight <= self.shape.limit


class MeterModel(Model):
    def fits(self, now: int, weight: int) -> bool:
        return self.level(now) + weight <= self.shape.size

    def level(self, now: int) -> Fraction:
        rate = Fraction(self.shape.limit, self.shape.period)
        level, before = Fraction(0), 0
        for at, weight in self.taken:
            level = max(level - (at - before) * rate, Fraction(0)) + weight
            before = at
        return max(level - (now - before) * rate, Fraction(0))


class QueueModel(MeterModel):
    def fits(self, now: int, weight: int) -> bool:
        return self.level(now) == 0

    def remaining(self, now: int) -> int:
        return int(self.fits(now, 1))


def model_of(shape: Shape) -> Model:
    kinds: dict[str, type[FixedWindowModel | SlidingWindowModel | MeterModel]] = {
        "fixed_window": FixedWindowModel,
        "sliding_window": SlidingWindowModel,
        "token_bucket": MeterModel,
        "leaky_bucket": QueueModel,
        "leaky_meter": MeterModel,
    }
    return kinds[shape.kind](shape)


def limiter_of(shape: Shape, clock: Clock) -> LocalRateLimiter:
    limit, period_s = shape.limit, shape.period * TICK_S
    match shape.kind:
        case "fixed_window":
            return FixedWindow(limit=limit, period_s=period_s, clock=clock)
        case "sliding_window":
            return SlidingWindow(limit=limit, period_s=period_s, clock=clock)
        case "token_bucket":
            return TokenBucket(
                limit=limit, period_s=period_s, burst=shape.size, clock=clock
            )
        case "leaky_bucket":
            return LeakyBucket(limit=limit, period_s=period_s, clock=clock)
        case _:
            return LeakyBucketMeter(
                limit=limit, period_s=period_s, capacity=shape.size, clock=clock
            )
