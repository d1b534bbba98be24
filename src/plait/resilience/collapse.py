"""Collapse: callers who ask the same at once share one call; nothing is kept after it.

Who asks while a call is under way gets its answer or error. A caller who is cancelled
leaves; if it was the one who made the call, the first who waits makes it anew.

Not here: answers that are kept for later (plait.resilience.cache); several keys in one call
(plait.resilience.batch).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar, cast

from plait.resilience.flights import Flight, Flights
from plait.resilience.keys import KeyedPolicy, KeyFunction, call_key

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class CollapseSnapshot:
    """Calls under way now, and since it was made those `made`, and those `shared` in."""

    running: int
    made: int
    shared: int


class Collapse(KeyedPolicy):
    """One call for all who ask the same at once: a policy, a decorator.

    >>> import asyncio
    >>> @Collapse()
    ... async def price(sku: str) -> float:
    ...     print("asking")
    ...     await asyncio.sleep(0)
    ...     return 9.5
    >>> async def main():
    ...     return await asyncio.gather(price("A-1"), price("A-1"))
    >>> asyncio.run(main())
    asking
    [9.5, 9.5]
    """

    __slots__ = ("_flights", "_key", "_made", "name")

    def __init__(self, *, key: KeyFunction | None = None, name: str = "") -> None:
        """Share calls with the same key.

        Args:
            key: Makes a key of the arguments; None: the function itself and arguments. A
                call whose key is None is made for itself.
            name: For metrics.
        """
        self.name = name
        self._key = key
        self._flights = Flights()
        self._made = 0

    async def call_inside(
        self,
        depth: int,
        function: Callable[..., Awaitable[T]],
        /,
        *args: Any,
        **kwargs: Any,
    ) -> T:
        """Call `function`, or wait for the same call under way.

        Raises:
            TypeError: The call's arguments make no key.
        """
        key = call_key(self._key, depth, function, args, kwargs)
        if key is None:
            self._made += 1
            return await function(*args, **kwargs)
        call = partial(function, *args, **kwargs)
        return cast("T", await self._flights.call(key, self._make, call))

    def snapshot(self) -> CollapseSnapshot:
        """Return what is under way and what was done so far."""
        return CollapseSnapshot(len(self._flights), self._made, self._flights.shared)

    async def _make(self, flight: Flight, call: Callable[[], Awaitable[Any]]) -> Any:
        self._made += 1
        return await call()
