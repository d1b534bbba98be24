"""Memory store: values of this process, least recently used first out, bounded in bytes."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, Final

from plait.resilience.cache.store import Found
from plait.resilience.checks import check_count
from plait.resilience.clock import SYSTEM_CLOCK, Clock

MAX_BYTES: Final = 64 * 1024 * 1024
# A list of four, two floats, an integer and a place in the dictionary, in CPython 3.11.
ENTRY_BYTES: Final = 300

_AT_ONCE: Final = frozenset({int, float, bool, str, bytes, type(None)})


class MemoryStore:
    """The objects themselves: whoever changes one changes it for all.

    Attributes:
        max_bytes: What all entries together may take, as `size_of` measures them.
        used_bytes: What they take.
        evicted: How many had to go for others.
    """

    __slots__ = ("_entries", "_now", "_size_of", "evicted", "max_bytes", "used_bytes")

    def __init__(
        self,
        max_bytes: int = MAX_BYTES,
        *,
        size_of: Callable[[Any], int] | None = None,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        """Make an empty store.

        Args:
            max_bytes: >= 1.
            size_of: Bytes of a value; None: `measured`, which follows containers.
            clock: Tells the age of entries.

        Raises:
            ValueError: `max_bytes` is no such number.
        """
        check_count("max_bytes", max_bytes)
        self.max_bytes = max_bytes
        self.used_bytes = self.evicted = 0
        self._size_of = size_of if size_of is not None else measured
        self._now = clock.now
        # key: (value, kept at, ends at, bytes); the first was used least recently.
        self._entries: dict[str, tuple[Any, float, float, int]] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def look(self, key: str) -> Found | None:
        """Return what is kept, as `get` does, without a wait."""
        entry = self._entries.pop(key, None)
        if entry is None:
            return None
        now = self._now()
        if now >= entry[2]:
            self.used_bytes -= entry[3]
            return None
        self._entries[key] = entry
        return Found(entry[0], now - entry[1])

    def keep(self, key: str, value: Any, keep_s: float) -> bool:
        """Keep a value, as `put` does, without a wait."""
        self.forget(key)
        size = ENTRY_BYTES + len(key) + self._size_of(value)
        if size > self.max_bytes:
            return False
        now = self._now()
        self._entries[key] = (value, now, now + keep_s, size)
        self.used_bytes += size
        while self.used_bytes > self.max_bytes:
            self.forget(next(iter(self._entries)))
            self.evicted += 1
        return True

    def forget(self, key: str) -> None:
        """Forget `key`, as `delete` does, without a wait."""
        entry = self._entries.pop(key, None)
        if entry is not None:
            self.used_bytes -= entry[3]

    async def get(self, key: str) -> Found | None:
        """Return what is kept under `key`, and count it as used."""
        return self.look(key)

    async def put(self, key: str, value: Any, keep_s: float) -> bool:
        """Keep `value`; others go, if there is no room."""
        return self.keep(key, value, keep_s)

    async def delete(self, key: str) -> None:
        """Forget `key`."""
        self.forget(key)

    async def clear(self) -> None:
        """Forget all."""
        self._entries.clear()
        self.used_bytes = 0

    async def aclose(self) -> None:
        """Nothing was opened."""


def measured(value: Any) -> int:
    """Return the bytes of `value` with all that it holds; what it holds twice counts once.

    Objects count with their attributes; what C code keeps inside an object is not seen.
    """
    if type(value) in _AT_ONCE:
        return sys.getsizeof(value)
    total, seen, left = 0, set(), [value]
    while left:
        one = left.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        total += sys.getsizeof(one)
        if isinstance(one, dict):
            left.extend(one)
            left.extend(one.values())
        elif isinstance(one, list | tuple | set | frozenset):
            left.extend(one)
        elif not isinstance(one, type) and hasattr(one, "__dict__"):
            left.append(vars(one))
        left.extend(_slots(one))
    return total


def _slots(one: Any) -> list[Any]:
    """Return what `one` has in slots."""
    names = getattr(type(one), "__slots__", ())
    listed = (names,) if isinstance(names, str) else names
    return [getattr(one, name) for name in listed if hasattr(one, name)]
