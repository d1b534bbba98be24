"""The limiters of one process keep the contract."""

from __future__ import annotations

from typing import Any

import pytest

from plait.resilience.rate_limit import (
    FixedWindow,
    LeakyBucket,
    LeakyBucketMeter,
    LocalRateLimiter,
    SlidingWindow,
    TokenBucket,
)
from tests.conformance.rate_limit.suite import Make, RateLimiterSuite

OF_KIND: dict[str, type[Any]] = {
    "fixed_window": FixedWindow,
    "sliding_window": SlidingWindow,
    "token_bucket": TokenBucket,
    "leaky_bucket": LeakyBucket,
    "leaky_bucket_meter": LeakyBucketMeter,
}


class TestLimitersInProcess(RateLimiterSuite):
    @pytest.fixture
    def make(self) -> Make:
        def of(kind: str, limit: int, period_s: float, **settings: Any) -> LocalRateLimiter:
            made: LocalRateLimiter = OF_KIND[kind](
                limit=limit, period_s=period_s, **settings
            )
            return made

        return of
