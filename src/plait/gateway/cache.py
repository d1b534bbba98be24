"""Kept replies: given again for a while, and made once for all who wait.

Rule 1. Only what `is_keepable` allows is kept; anything else is shared with those who
        waited for it and forgotten.
Rule 2. Bounded in bytes; what was not asked for the longest goes first.
Rule 3. Whoever waits may give up without harm to the others; when all gave up, the making
        is cancelled.

Not here: which requests are alike (plait.gateway.layers).
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, TypeAlias

from plait.gateway.message import Reply

BYTES_MAX_DEFAULT: Final = 64 * 1024 * 1024
# What an entry costs beside its bytes: key, reply, headers, the map's own place.
_ENTRY_BYTES: Final = 1000

Make: TypeAlias = Callable[[], Awaitable[Reply]]


@dataclass(slots=True)
class _Kept:
    reply: Reply
    made_s: float
    size_bytes: int


@dataclass(slots=True)
class _Making:
    task: asyncio.Task[Reply]
    waiting: int = 0
    is_refresh: bool = False


class ReplyCache:
    """Replies by key.

    Args:
        clock: Seconds, monotonic.
        is_keepable: Whether a reply may be given again.
    """

    def __init__(
        self,
        *,
        clock: Callable[[], float],
        is_keepable: Callable[[Reply], bool],
        bytes_max: int = BYTES_MAX_DEFAULT,
    ) -> None:
        self._clock = clock
        self._is_keepable = is_keepable
        self._bytes_max = bytes_max
        self._kept: OrderedDict[bytes, _Kept] = OrderedDict()
        self._making: dict[bytes, _Making] = {}
        self.size_bytes = 0

    async def get(
        self, key: bytes, make: Make, *, ttl_s: float, stale_s: float
    ) -> tuple[Reply, str, float]:
        """Return a reply, how it was come by (`hit`, `stale`, `miss`), its age in seconds.

        Args:
            make: Makes it anew.
            ttl_s: How long it is given again.
            stale_s: How long after that it is still given while a new one is made.

        Raises:
            asyncio.CancelledError: The caller gave up.
            Exception: Whatever `make` raises.
        """
        kept = self._kept.get(key)
        if kept is not None:
            age_s = self._clock() - kept.made_s
            if age_s < ttl_s + stale_s:
                self._kept.move_to_end(key)
                if age_s < ttl_s:
                    return kept.reply, "hit", age_s
                self._refresh(key, make)
                return kept.reply, "stale", age_s
        return await self._wait(key, make), "miss", 0.0

    @property
    def is_busy(self) -> bool:
        """True while a reply is being made."""
        return bool(self._making)

    async def close(self) -> None:
        """Cancel what is being made in the background."""
        tasks = [making.task for making in self._making.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _refresh(self, key: bytes, make: Make) -> None:
        if key not in self._making:
            self._start(key, make).is_refresh = True

    async def _wait(self, key: bytes, make: Make) -> Reply:
        making = self._making.get(key) or self._start(key, make)
        making.waiting += 1
        try:
            return await asyncio.shield(making.task)
        finally:
            making.waiting -= 1
            if not (making.waiting or making.is_refresh or making.task.done()):
                # Off the list first: who comes now must not wait for what is cancelled.
                del self._making[key]
                making.task.cancel()

    def _start(self, key: bytes, make: Make) -> _Making:
        task = asyncio.ensure_future(self._make(key, make))
        making = self._making[key] = _Making(task)
        task.add_done_callback(lambda task: self._made(key, making, task))
        return making

    async def _make(self, key: bytes, make: Make) -> Reply:
        reply = await make()
        if self._is_keepable(reply):
            self._keep(key, reply)
        return reply

    def _made(self, key: bytes, making: _Making, task: asyncio.Task[Reply]) -> None:
        if self._making.get(key) is making:
            del self._making[key]
        if not task.cancelled():
            # Looked at here, so that a failed refresh, which nobody awaits, is not
            # reported as forgotten. Its makers answer failures with replies of their own.
            task.exception()

    def _keep(self, key: bytes, reply: Reply) -> None:
        self._forget(key)
        size_bytes = len(key) + len(reply.body) + _ENTRY_BYTES
        size_bytes += sum(len(name) + len(value) for name, value in reply.headers)
        if size_bytes > self._bytes_max:
            return
        self._kept[key] = _Kept(reply, self._clock(), size_bytes)
        self.size_bytes += size_bytes
        while self.size_bytes > self._bytes_max:
            self._forget(next(iter(self._kept)))

    def _forget(self, key: bytes) -> None:
        kept = self._kept.pop(key, None)
        if kept is not None:
            self.size_bytes -= kept.size_bytes
