"""Cache back-ends: where answers are kept that steps may be given again (`cache`).

A package brings one by an entry point of the group `plait.caches`; a process uses the one
that `resilience.cache` names, in place of its memory or Redis.

>>> import asyncio
>>> class Shelf:
...     def __init__(self):
...         self._kept = {}
...     async def get(self, key):
...         return self._kept.get(key)
...     async def put(self, key, data, keep_s):
...         self._kept[key] = KeptBytes(data, 0.0)
...         return True
...     async def delete(self, key):
...         self._kept.pop(key, None)
...     async def clear(self):
...         self._kept.clear()
...     async def close(self):
...         "Nothing is open."
>>> CACHE = CachePlugin(port=1, make=lambda context: Shelf())
>>> shelf = CACHE.make(PluginContext())
>>> asyncio.run(shelf.put("a", b"1", 60)), asyncio.run(shelf.get("a")).data
(True, b'1')

A back-end that fails or does not answer within 250 ms is passed over, and left alone for a
second: calls are made as if nothing were kept. Contract: plait.testing.cache_suite.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol

from plait.model.record import record
from plait.ports.plugins import PluginContext


class KeptBytes(NamedTuple):
    """What is kept, and the seconds since it was."""

    data: bytes
    age_s: float


class CacheBackend(Protocol):
    """Bytes by key. What it has no room for it may forget, the least used first.

    Keys are hashes; secrets are masked in what is kept.
    """

    async def get(self, key: str) -> KeptBytes | None:
        """Return what is kept under `key`, unless its time is over."""
        ...

    async def put(self, key: str, data: bytes, keep_s: float) -> bool:
        """Keep `data` for so many seconds, > 0; False: it is too large."""
        ...

    async def delete(self, key: str) -> None:
        """Forget `key`."""
        ...

    async def clear(self) -> None:
        """Forget all."""
        ...

    async def close(self) -> None:
        """Let go of everything that was opened. What is kept may stay."""
        ...


@record
class CachePlugin:
    """What an entry point names.

    Attributes:
        port: The version of this port that it was written for: 1.
        make: Makes the back-end of a process; its options are `[caches.NAME]`.
    """

    port: int
    make: Callable[[PluginContext], CacheBackend]
