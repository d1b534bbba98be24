"""Flights: of the calls with one key at a time one is made, and the others wait for it.

Rule 1. The first caller makes the call in its own task, so a call costs no task. Who comes
    meanwhile gets what it gets, value or error.
Rule 2. A leader that is cancelled hands on: the first who waits makes the call anew. No
    cancellation reaches anybody else.
Rule 3. Landing, handing on and dropping take no await.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final

_LEAD: Final = (True, None)
"""What a waiter is told who is to make the call now."""


class Flight:
    """One key's call under way, and who waits for it.

    Attributes:
        dropped: Its result is of before an invalidation: it is told, and not kept.
    """

    __slots__ = ("dropped", "waiters")

    def __init__(self) -> None:
        self.dropped = False
        self.waiters: dict[asyncio.Future[tuple[Any, Any]], None] = {}


class Flights:
    """The calls under way, by key.

    Attributes:
        shared: How many callers got what another's call brought.
    """

    __slots__ = ("_under_way", "shared")

    def __init__(self) -> None:
        self._under_way: dict[str, Flight] = {}
        self.shared = 0

    def __len__(self) -> int:
        return len(self._under_way)

    def __contains__(self, key: str) -> bool:
        """Tell whether a call with this key is under way."""
        return key in self._under_way

    async def call(
        self, key: str, function: Callable[..., Awaitable[Any]], /, *args: Any
    ) -> Any:
        """Return what `function(flight, *args)` returns, made here or under way already."""
        flight = self._under_way.get(key)
        if flight is None:
            flight = self._under_way[key] = Flight()
        else:
            told = await self._wait(key, flight)
            if told is not _LEAD:
                self.shared += 1
                error, value = told
                if error is not None:
                    raise error
                return value
        try:
            value = await function(flight, *args)
        except Exception as error:
            self._land(key, flight, (error, None))
            raise
        except BaseException:
            self._hand_on(key, flight)
            raise
        self._land(key, flight, (None, value))
        return value

    def drop(self, key: str) -> None:
        """Let whoever comes from now on make a call of its own."""
        flight = self._under_way.pop(key, None)
        if flight is not None:
            flight.dropped = True

    def drop_all(self) -> None:
        """Do as `drop` does, with every key."""
        for key in tuple(self._under_way):
            self.drop(key)

    async def _wait(self, key: str, flight: Flight) -> tuple[Any, Any]:
        waiter = asyncio.get_running_loop().create_future()
        flight.waiters[waiter] = None
        try:
            told: tuple[Any, Any] = await waiter
        except asyncio.CancelledError:
            flight.waiters.pop(waiter, None)
            if not waiter.cancelled() and waiter.result() is _LEAD:
                # It was its turn, and it does not know yet.
                self._hand_on(key, flight)
            raise
        return told

    def _land(self, key: str, flight: Flight, told: tuple[Any, Any]) -> None:
        self._forget(key, flight)
        for waiter in flight.waiters:
            if not waiter.done():
                waiter.set_result(told)

    def _hand_on(self, key: str, flight: Flight) -> None:
        while flight.waiters:
            waiter = next(iter(flight.waiters))
            del flight.waiters[waiter]
            if not waiter.done():
                waiter.set_result(_LEAD)
                return
        self._forget(key, flight)

    def _forget(self, key: str, flight: Flight) -> None:
        if self._under_way.get(key) is flight:
            del self._under_way[key]
