"""The limiters by the names that settings and documents give them."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any, Final, TypeVar, Unpack

from plait.resilience.rate_limit.buckets import LeakyBucket, LeakyBucketMeter, TokenBucket
from plait.resilience.rate_limit.local import LocalRateLimiter, LocalSettings
from plait.resilience.rate_limit.windows import FixedWindow, SlidingWindow

T = TypeVar("T")

# What the size of its bucket is called; None: it has none.
SIZE_OF: Final[Mapping[str, str | None]] = {
    "fixed_window": None,
    "sliding_window": None,
    "token_bucket": "burst",
    "leaky_bucket": None,
    "leaky_bucket_meter": "capacity",
}
_LOCAL: Final[Mapping[str, type[Any]]] = {
    "fixed_window": FixedWindow,
    "sliding_window": SlidingWindow,
    "token_bucket": TokenBucket,
    "leaky_bucket": LeakyBucket,
    "leaky_bucket_meter": LeakyBucketMeter,
}


def rate_limiter(
    strategy: str,
    *,
    limit: int,
    period_s: float,
    burst: int | None = None,
    **settings: Unpack[LocalSettings],
) -> LocalRateLimiter:
    """Return a limiter of this process by the name of its strategy.

    Args:
        strategy: A key of `SIZE_OF`.
        limit: Calls per period, 1 or more.
        period_s: Seconds.
        burst: Calls at once, for a token bucket, and the capacity of a leaky bucket as a
            meter; `limit` if not given.
        settings: See `LocalSettings`.

    Raises:
        ValueError: An argument is none of these, or the strategy has no burst.

    >>> rate_limiter("token_bucket", limit=5, period_s=1, burst=9).snapshot().limit
    9
    """
    kind, size = chosen(strategy, _LOCAL, burst)
    limiter: LocalRateLimiter = kind(limit=limit, period_s=period_s, **size, **settings)
    return limiter


def chosen(
    strategy: str, kinds: Mapping[str, T], burst: int | None
) -> tuple[T, dict[str, int]]:
    """Return what `kinds` has for `strategy`, and `burst` under the name it has there.

    >>> chosen("bucket", {"token_bucket": TokenBucket}, None)
    Traceback (most recent call last):
    ValueError: strategy is 'bucket': did you mean 'token_bucket'? There are token_bucket
    """
    if strategy not in kinds:
        near = get_close_matches(strategy, kinds, 1)
        hint = f"did you mean '{near[0]}'? " if near else ""
        raise ValueError(
            f"strategy is {strategy!r}: {hint}There are {', '.join(sorted(kinds))}"
        )
    size = SIZE_OF[strategy]
    if burst is None:
        return kinds[strategy], {}
    if size is None:
        raise ValueError(f"burst is {burst!r}: a {strategy} has none; leave it out")
    return kinds[strategy], {size: burst}
