"""Cache: answers from before, fresh or stale, in memory, on disk or through Redis.

`Cache` is the policy; its stores are `MemoryStore`, `DiskStore` (a SQLite file) and
`RedisStore` (in `plait.resilience.cache.redis`, which needs redis-py).
"""

from plait.resilience.cache.disk import DiskStore
from plait.resilience.cache.memory import MemoryStore, measured
from plait.resilience.cache.policy import (
    Cache,
    CacheSnapshot,
    Event,
    RefreshFailed,
    StoreFailed,
    calls_for_stale,
)
from plait.resilience.cache.store import Found, Store

__all__ = [
    "Cache",
    "CacheSnapshot",
    "DiskStore",
    "Event",
    "Found",
    "MemoryStore",
    "RefreshFailed",
    "Store",
    "StoreFailed",
    "calls_for_stale",
    "measured",
]
