"""When a worker looks into the store next: with its beat, when due, or when told."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from plait.ports.journal import Standing

# Workers that wait for one moment claim within some milliseconds of it.
_BEHIND_MS: Final = 250


class Alarm:
    """Wakes a worker that rests.

    Attributes:
        beat_at_ms: When it gives its next sign of life; 0: at once.
    """

    def __init__(self, now_ms: Callable[[], int]) -> None:
        self._now_ms = now_ms
        self._stirred = asyncio.Event()
        self._rest_until_ms = 0
        self._left: set[int] = set()
        self.beat_at_ms = 0

    def stir(self) -> None:
        """Look, and hear the messages that came: somebody has made something due."""
        self.beat_at_ms = 0
        self._stirred.set()

    def nudge(self) -> None:
        """Look: something may be due, and nobody has been told anything."""
        self._stirred.set()

    def expect(self, standing: Standing) -> None:
        """Look again in time for an execution that has left the memory."""
        if (at_ms := standing.wake_at_ms) is not None and at_ms < self._rest_until_ms:
            self._stirred.set()

    def stand_back(self, standing: Standing) -> None:
        """Let others be first at what this worker has let go of, as it cannot go on."""
        if standing.wake_at_ms is not None:
            self._left.add(standing.wake_at_ms)

    async def rest(self, next_wake_at_ms: int | None) -> None:
        """Return with the next beat, when the next execution is due, or when stirred."""
        now_ms = self._now_ms()
        until_ms = max(self.beat_at_ms, now_ms)
        if next_wake_at_ms is not None:
            is_left = next_wake_at_ms in self._left
            until_ms = min(until_ms, next_wake_at_ms + is_left * _BEHIND_MS)
        self._left = {one for one in self._left if one >= now_ms}
        self._rest_until_ms = until_ms
        with suppress(TimeoutError):
            async with asyncio.timeout(max(until_ms - now_ms, 0) / 1000):
                await self._stirred.wait()
        self._stirred.clear()
