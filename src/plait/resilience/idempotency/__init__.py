"""Idempotency guard: one call per key, whose end everybody gets who asks.

Its stores are `MemoryIdempotencyStore`, `SqliteIdempotencyStore` and
`RedisIdempotencyStore` (in `plait.resilience.idempotency.redis`, which needs redis-py).
"""

from plait.resilience.idempotency.disk import SqliteIdempotencyStore
from plait.resilience.idempotency.guard import (
    EndNotKept,
    GuardSnapshot,
    IdempotencyGuard,
)
from plait.resilience.idempotency.memory import MemoryIdempotencyStore
from plait.resilience.idempotency.store import IdempotencyStore, Record, State

__all__ = [
    "EndNotKept",
    "GuardSnapshot",
    "IdempotencyGuard",
    "IdempotencyStore",
    "MemoryIdempotencyStore",
    "Record",
    "SqliteIdempotencyStore",
    "State",
]
