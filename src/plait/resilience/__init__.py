"""Policies around calls, usable alone: nothing here knows of workflows.

Each policy is one object, shared by whoever shares the limit, with two faces: a
synchronous core that admits and settles (`plait.drivers` uses it without a task per call),
and a coroutine `call(function, *args, **kwargs)`, which is a decorator as well.
"""

from plait.resilience.breaker_registry import BreakerRegistry
from plait.resilience.breaker_settings import (
    BreakerSettings,
    BreakerSnapshot,
    BreakerState,
    BreakerStateChanged,
)
from plait.resilience.bulkhead import Bulkhead
from plait.resilience.cache import Cache, DiskStore, MemoryStore
from plait.resilience.circuit_breaker import CircuitBreaker
from plait.resilience.errors import (
    BulkheadFull,
    CircuitOpen,
    RateLimited,
    ResilienceError,
    TimedOut,
)
from plait.resilience.fallback import Fallback
from plait.resilience.pipeline import Pipeline, PipelineBuilder, Place
from plait.resilience.rate_limit import (
    FixedWindow,
    KeyedRateLimiter,
    LeakyBucket,
    LeakyBucketMeter,
    RateLimiter,
    SlidingWindow,
    TokenBucket,
    rate_limiter,
)
from plait.resilience.retry import Attempt, RetryPolicy, retry
from plait.resilience.retry_budget import RetryBudget
from plait.resilience.timeout import Timeout

__all__ = [
    "Attempt",
    "BreakerRegistry",
    "BreakerSettings",
    "BreakerSnapshot",
    "BreakerState",
    "BreakerStateChanged",
    "Bulkhead",
    "BulkheadFull",
    "Cache",
    "CircuitBreaker",
    "CircuitOpen",
    "DiskStore",
    "Fallback",
    "FixedWindow",
    "KeyedRateLimiter",
    "LeakyBucket",
    "LeakyBucketMeter",
    "MemoryStore",
    "Pipeline",
    "PipelineBuilder",
    "Place",
    "RateLimited",
    "RateLimiter",
    "ResilienceError",
    "RetryBudget",
    "RetryPolicy",
    "SlidingWindow",
    "TimedOut",
    "Timeout",
    "TokenBucket",
    "rate_limiter",
    "retry",
]
