"""Redis store of an idempotency guard: all processes that use one server.

Each step is one script, and time is the server's: a record is a hash that expires.
"""

from __future__ import annotations

import hashlib
import math
from typing import Final

from redis.asyncio import Redis

from plait.resilience.idempotency.store import Record, State

_BEGIN: Final = """
local left_ms = redis.call('PTTL', KEYS[1])
if left_ms > 0 then
  local kept = redis.call('HMGET', KEYS[1], 'state', 'request', 'data', 'owner')
  if kept[1] ~= 'pending' or kept[4] ~= ARGV[1] then
    return {kept[1], kept[2], kept[3], left_ms}
  end
end
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], 'state', 'pending', 'owner', ARGV[1], 'request', ARGV[2],
           'data', '')
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return {'begun', ARGV[2], '', tonumber(ARGV[3])}
"""
_CHANGE: Final = """
local kept = redis.call('HMGET', KEYS[1], 'state', 'owner')
if kept[1] ~= 'pending' or kept[2] ~= ARGV[1] then
  return 0
end
if ARGV[2] == 'release' then
  redis.call('DEL', KEYS[1])
  return 1
end
if ARGV[2] ~= 'pending' then
  redis.call('HSET', KEYS[1], 'state', ARGV[2], 'data', ARGV[3])
end
redis.call('PEXPIRE', KEYS[1], ARGV[4])
return 1
"""


class RedisIdempotencyStore:
    """Records under `prefix` and the key's hash.

    The server must not evict them (`maxmemory-policy noeviction`), and not lose them in a
    crash (`appendfsync always`): a call whose record is lost may be made twice.
    """

    __slots__ = ("_begin", "_change", "_prefix")

    def __init__(self, client: Redis, *, prefix: str = "plait:idempotency:") -> None:
        """Use `client`, of redis-py, which must not decode responses; its owner closes it.

        Raises:
            ValueError: The client decodes.
        """
        if client.connection_pool.connection_kwargs.get("decode_responses"):
            raise ValueError("the client decodes responses; results are bytes, not text")
        self._begin = client.register_script(_BEGIN)
        self._change = client.register_script(_CHANGE)
        self._prefix = prefix

    async def begin(self, key: str, owner: str, request: str, pending_s: float) -> Record:
        """Let `owner` in, or answer what stands there."""
        arguments: list[str | int] = [owner, request, _ms(pending_s)]
        state, asked, data, left_ms = await self._begin([self._name(key)], arguments)
        return Record(State(state.decode()), asked.decode(), data, left_ms / 1_000)

    async def finish(
        self, key: str, owner: str, state: State, data: bytes, keep_s: float
    ) -> bool:
        """Write how `owner`'s call ended."""
        arguments: list[str | bytes | int] = [owner, state.value, data, _ms(keep_s)]
        return bool(await self._change([self._name(key)], arguments))

    async def extend(self, key: str, owner: str, pending_s: float) -> bool:
        """Let `owner`'s claim last longer."""
        arguments: list[str | bytes | int] = [owner, "pending", b"", _ms(pending_s)]
        return bool(await self._change([self._name(key)], arguments))

    async def release(self, key: str, owner: str) -> None:
        """Forget `owner`'s claim."""
        await self._change([self._name(key)], [owner, "release", b"", 0])

    async def aclose(self) -> None:
        """The client belongs to somebody else."""

    def _name(self, key: str) -> str:
        hashed = hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()
        return f"{self._prefix}{hashed}"


def _ms(seconds: float) -> int:
    return math.ceil(seconds * 1_000)
