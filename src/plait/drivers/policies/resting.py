"""Stores of answers that are elsewhere: passed over while they do not answer.

Rule 1. A store that fails, or takes too long, is left alone for a second: so calls do not
        wait for it one by one.
Rule 2. What leaves the process holds no secret.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Any, Final

import orjson

from plait.drivers.redact import redacted_value
from plait.ports.cache_backend import CacheBackend
from plait.ports.calls import CallReply
from plait.resilience.cache.store import Found, Store

REST_S: Final = 1.0
_ANSWER_S_MAX: Final = 0.25


class RestingStore:
    """A store that is not asked for a while after it has not answered."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._silent_until = 0.0

    async def get(self, key: str) -> Found | None:
        if time.monotonic() < self._silent_until:
            return None
        with _Silence(self):
            return await self._store.get(key)

    async def put(self, key: str, value: Any, keep_s: float) -> bool:
        if time.monotonic() < self._silent_until:
            return False
        with _Silence(self):
            return await self._store.put(key, value, keep_s)

    async def delete(self, key: str) -> None:
        await self._store.delete(key)

    async def clear(self) -> None:
        await self._store.clear()

    async def aclose(self) -> None:
        await self._store.aclose()

    def fall_silent(self) -> None:
        """Leave the store alone for a while."""
        self._silent_until = time.monotonic() + REST_S


class _Silence:
    """Notes that a store has failed; what it raises passes through."""

    def __init__(self, store: RestingStore) -> None:
        self._store = store

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None and issubclass(kind, Exception):
            self._store.fall_silent()


class ReplyCodec:
    """Replies as JSON, with the secrets masked: they may have been repeated in one."""

    def __init__(self, secrets: Mapping[str, str]) -> None:
        self._secrets = secrets

    def encode(self, value: CallReply) -> bytes:
        """Return a reply as bytes; its notes are of its own call."""
        said = {"response": value.response, "facts": value.facts}
        return orjson.dumps(redacted_value(said, self._secrets))

    def decode(self, data: bytes) -> CallReply:
        """Return the reply."""
        said = orjson.loads(data)
        return CallReply(said["response"], said["facts"])


class BackedStore:
    """A store of replies in a back-end of bytes, which another package brings."""

    def __init__(self, backend: CacheBackend, secrets: Mapping[str, str]) -> None:
        self._backend = backend
        self._codec = ReplyCodec(secrets)

    async def get(self, key: str) -> Found | None:
        """See plait.resilience.cache.Store."""
        async with asyncio.timeout(_ANSWER_S_MAX):
            kept = await self._backend.get(key)
        return None if kept is None else Found(self._codec.decode(kept.data), kept.age_s)

    async def put(self, key: str, value: Any, keep_s: float) -> bool:
        """See plait.resilience.cache.Store."""
        data = self._codec.encode(value)
        async with asyncio.timeout(_ANSWER_S_MAX):
            return await self._backend.put(key, data, keep_s)

    async def delete(self, key: str) -> None:
        """See plait.resilience.cache.Store."""
        await self._backend.delete(key)

    async def clear(self) -> None:
        """See plait.resilience.cache.Store."""
        await self._backend.clear()

    async def aclose(self) -> None:
        """See plait.resilience.cache.Store."""
        await self._backend.close()
