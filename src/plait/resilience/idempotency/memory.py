"""Memory store of an idempotency guard: the callers of this process."""

from __future__ import annotations

from plait.resilience.clock import SYSTEM_CLOCK, Clock
from plait.resilience.idempotency.store import Record, State


class MemoryIdempotencyStore:
    """Records in a dictionary. They go when they expire; there is no other bound."""

    __slots__ = ("_now", "_records", "_swept_at")

    def __init__(self, *, clock: Clock = SYSTEM_CLOCK) -> None:
        """Make an empty store."""
        self._now = clock.now
        # key: (state, owner, request, data, ends at)
        self._records: dict[str, tuple[State, str, str, bytes, float]] = {}
        self._swept_at = 1_000

    def __len__(self) -> int:
        return len(self._records)

    async def begin(self, key: str, owner: str, request: str, pending_s: float) -> Record:
        """Let `owner` in, or answer what stands there."""
        now = self._now()
        kept = self._records.get(key)
        if kept is not None and now < kept[4]:
            return Record(kept[0], kept[2], kept[3], kept[4] - now)
        self._records[key] = (State.PENDING, owner, request, b"", now + pending_s)
        if len(self._records) >= self._swept_at:
            self._sweep(now)
        return Record(State.BEGUN, request, b"", pending_s)

    async def finish(
        self, key: str, owner: str, state: State, data: bytes, keep_s: float
    ) -> bool:
        """Write how `owner`'s call ended."""
        kept = self._claim(key, owner)
        if kept is None:
            return False
        self._records[key] = (state, owner, kept[2], data, self._now() + keep_s)
        return True

    async def extend(self, key: str, owner: str, pending_s: float) -> bool:
        """Let `owner`'s claim last longer."""
        kept = self._claim(key, owner)
        if kept is None:
            return False
        self._records[key] = (*kept[:4], self._now() + pending_s)
        return True

    async def release(self, key: str, owner: str) -> None:
        """Forget `owner`'s claim."""
        if self._claim(key, owner) is not None:
            del self._records[key]

    async def aclose(self) -> None:
        """Nothing was opened."""

    def _claim(self, key: str, owner: str) -> tuple[State, str, str, bytes, float] | None:
        kept = self._records.get(key)
        if kept is None or kept[:2] != (State.PENDING, owner) or self._now() >= kept[4]:
            return None
        return kept

    def _sweep(self, now: float) -> None:
        """Forget what has expired, whenever there is twice as much as was left last."""
        self._records = {key: kept for key, kept in self._records.items() if now < kept[4]}
        self._swept_at = max(1_000, 2 * len(self._records))
