"""What a cache asks of a store.

Ages, not moments: each store tells time by a clock of its own (the process's, the file's,
the server's), and none of them is compared with another.
"""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol


class Found(NamedTuple):
    """A kept value, and the seconds since it was kept."""

    value: Any
    age_s: float


class Store(Protocol):
    """Values by key. What it has no room for it may forget, the least used first."""

    async def get(self, key: str) -> Found | None:
        """Return what is kept under `key`, unless its time is over."""
        ...

    async def put(self, key: str, value: Any, keep_s: float) -> bool:
        """Keep `value` for so many seconds; False: it is too large for this store.

        Raises:
            TypeError: A value of this kind cannot be kept here.
        """
        ...

    async def delete(self, key: str) -> None:
        """Forget `key`."""
        ...

    async def clear(self) -> None:
        """Forget all."""
        ...

    async def aclose(self) -> None:
        """Give back what the store has opened itself."""
        ...
