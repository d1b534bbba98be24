"""Memory store of an idempotency guard: the callers of this process."""

from __future__ import annotations

from typing import Final, TypeAlias

from plait.resilience.clock import SYSTEM_CLOCK, Clock
from plait.resilience.errors import IdempotencyUnavailable
from plait.resilience.idempotency.store import Record, State

# State, owner, request, data, and when it ends.
_Kept: TypeAlias = tuple[State, str, str, bytes, float]
# Of one record, beside its data: key, owner, request, and what holds them.
_RECORD_BYTES: Final = 700
# Looking for what has expired among 100,000 takes 10 ms: not at each refusal.
_FULL_S: Final = 1.0


class MemoryIdempotencyStore:
    """Records in a dictionary. They go when they expire, and never before.

    Attributes:
        used_bytes: What they take.
    """

    __slots__ = ("_bytes_max", "_full_until", "_now", "_records", "_swept_at", "used_bytes")

    def __init__(
        self, *, clock: Clock = SYSTEM_CLOCK, bytes_max: int | None = None
    ) -> None:
        """Make an empty store.

        Args:
            bytes_max: Who comes with another key when they take so much is refused.
        """
        self._now = clock.now
        self._bytes_max = bytes_max
        self.used_bytes = 0
        self._full_until = 0.0
        self._records: dict[str, _Kept] = {}
        self._swept_at = 1_000

    def __len__(self) -> int:
        return len(self._records)

    async def begin(self, key: str, owner: str, request: str, pending_s: float) -> Record:
        """Let `owner` in, or answer what stands there.

        Raises:
            IdempotencyUnavailable: There is no room for another key.
        """
        now = self._now()
        kept = self._records.get(key)
        is_own = kept is not None and kept[:2] == (State.PENDING, owner)
        if kept is not None and now < kept[4] and not is_own:
            return Record(kept[0], kept[2], kept[3], kept[4] - now)
        self._make_room(now)
        self._put(key, (State.PENDING, owner, request, b"", now + pending_s))
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
        self._put(key, (state, owner, kept[2], data, self._now() + keep_s))
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
            self.used_bytes -= _size(self._records.pop(key))

    async def aclose(self) -> None:
        """Nothing was opened."""

    def _claim(self, key: str, owner: str) -> _Kept | None:
        kept = self._records.get(key)
        if kept is None or kept[:2] != (State.PENDING, owner) or self._now() >= kept[4]:
            return None
        return kept

    def _put(self, key: str, record: _Kept) -> None:
        before = self._records.get(key)
        self.used_bytes += _size(record) - (_size(before) if before is not None else 0)
        self._records[key] = record

    def _make_room(self, now: float) -> None:
        if self._bytes_max is None or self.used_bytes < self._bytes_max:
            return
        if now >= self._full_until:
            self._sweep(now)
        if self.used_bytes >= self._bytes_max:
            if now >= self._full_until:
                self._full_until = now + _FULL_S
            text = f"{len(self._records)} keys take all the room there is"
            raise IdempotencyUnavailable(f"{text}; nothing was called")

    def _sweep(self, now: float) -> None:
        """Forget what has expired, whenever there is twice as much as was left last."""
        self._records = {key: kept for key, kept in self._records.items() if now < kept[4]}
        self.used_bytes = sum(map(_size, self._records.values()))
        self._swept_at = max(1_000, 2 * len(self._records))


def _size(kept: _Kept) -> int:
    return _RECORD_BYTES + len(kept[3])
