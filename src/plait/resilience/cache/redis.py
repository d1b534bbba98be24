"""Redis store: values that all processes on one server share.

Rule 1. Ages are by the server's clock: what it has left of a value's time to live, and
    what is gone of it.
Rule 2. Room is the server's matter: set `maxmemory` there, and `maxmemory-policy` to
    `allkeys-lru`.

Keys end by themselves, and have hashes for names: the server shows nobody's arguments.
"""

from __future__ import annotations

import hashlib
import math
from typing import Any, Final

from redis.asyncio import Redis

from plait.resilience.cache.store import Found
from plait.resilience.checks import check_count
from plait.resilience.json_values import JSON, Codec

VALUE_BYTES_MAX: Final = 8 * 1024 * 1024
_CLEARED_AT_ONCE: Final = 1_000


class RedisStore:
    """Values as bytes on a server: `LIFE_MS:DATA`, under `prefix` and the key's hash."""

    __slots__ = ("_client", "_codec", "_prefix", "value_bytes_max")

    def __init__(
        self,
        client: Redis,
        *,
        prefix: str = "plait:cache:",
        value_bytes_max: int = VALUE_BYTES_MAX,
        codec: Codec = JSON,
    ) -> None:
        """Use `client`, of redis-py, which must not decode responses; its owner closes it.

        Raises:
            ValueError: `prefix` is empty, `value_bytes_max` is no whole number of at least
                1, or the client decodes.
        """
        check_count("value_bytes_max", value_bytes_max)
        if not prefix:
            raise ValueError("prefix is empty; `clear` would empty the whole server")
        if client.connection_pool.connection_kwargs.get("decode_responses"):
            raise ValueError("the client decodes responses; values are bytes, not text")
        self.value_bytes_max = value_bytes_max
        self._client = client
        self._prefix = prefix
        self._codec = codec

    async def get(self, key: str) -> Found | None:
        """Return what is kept under `key`."""
        name = self._name(key)
        async with self._client.pipeline(transaction=True) as both:
            both.get(name)
            both.pttl(name)
            data, left_ms = await both.execute()
        if data is None or left_ms < 0:
            return None
        life_ms, _, value = data.partition(b":")
        return Found(self._codec.decode(value), (int(life_ms) - left_ms) / 1_000)

    async def put(self, key: str, value: Any, keep_s: float) -> bool:
        """Keep `value`, unless it has more than `value_bytes_max`."""
        data = self._codec.encode(value)
        if len(data) > self.value_bytes_max:
            await self.delete(key)
            return False
        life_ms = math.ceil(keep_s * 1_000)
        await self._client.set(self._name(key), b"%d:%s" % (life_ms, data), px=life_ms)
        return True

    async def delete(self, key: str) -> None:
        """Forget `key`."""
        await self._client.unlink(self._name(key))

    async def clear(self) -> None:
        """Forget all keys with this store's prefix, some at a time."""
        pattern = _escaped(self._prefix) + "*"
        names: list[bytes] = []
        async for name in self._client.scan_iter(pattern, count=_CLEARED_AT_ONCE):
            names.append(name)
            if len(names) >= _CLEARED_AT_ONCE:
                await self._client.unlink(*names)
                names.clear()
        if names:
            await self._client.unlink(*names)

    async def aclose(self) -> None:
        """The client belongs to somebody else."""

    def _name(self, key: str) -> str:
        hashed = hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()
        return f"{self._prefix}{hashed}"


def _escaped(prefix: str) -> str:
    """Return `prefix` with what means something in a pattern meaning itself."""
    return "".join(f"\\{sign}" if sign in "*?[]^-\\" else sign for sign in prefix)
