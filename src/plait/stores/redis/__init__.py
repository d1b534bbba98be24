"""Redis: the store of several workers that share a server with an append-only file."""

from plait.stores.redis.records import RedisRecords
from plait.stores.redis.store import RedisStore

__all__ = ["RedisRecords", "RedisStore"]
