"""Policies around calls, usable alone: nothing here knows of workflows.

Each policy is one object, shared by whoever shares the limit, with two faces: a
synchronous core that admits and settles (`plait.drivers` uses it without a task per call),
and a coroutine `call(function, *args, **kwargs)`, which is a decorator as well.
"""

from plait.resilience.batch import Batch
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
from plait.resilience.collapse import Collapse
from plait.resilience.errors import (
    BulkheadFull,
    CircuitOpen,
    EarlierCallFailed,
    IdempotencyConflict,
    IdempotencyUnavailable,
    RateLimited,
    ResilienceError,
    TimedOut,
)
from plait.resilience.fallback import Fallback
from plait.resilience.hedge import Hedge, HedgeSnapshot
from plait.resilience.idempotency import (
    IdempotencyGuard,
    MemoryIdempotencyStore,
    SqliteIdempotencyStore,
)
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
    "Batch",
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
    "Collapse",
    "DiskStore",
    "EarlierCallFailed",
    "Fallback",
    "FixedWindow",
    "Hedge",
    "HedgeSnapshot",
    "IdempotencyConflict",
    "IdempotencyGuard",
    "IdempotencyUnavailable",
    "KeyedRateLimiter",
    "LeakyBucket",
    "LeakyBucketMeter",
    "MemoryIdempotencyStore",
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
    "SqliteIdempotencyStore",
    "TimedOut",
    "Timeout",
    "TokenBucket",
    "rate_limiter",
    "retry",
]
