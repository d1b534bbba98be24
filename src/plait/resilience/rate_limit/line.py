"""The line of callers that wait: who came first leaves first, whatever the weights.

Rule 1. A caller leaves the line once: admitted, out of time, or cancelled.
Rule 2. When the head leaves, whoever serves the line is told, for the next may be lighter.
Rule 3. What was admitted to a caller that is cancelled in the same moment is given back.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from itertools import islice
from typing import TypeAlias

# The moment of the admission; None: out of time.
Place: TypeAlias = "asyncio.Future[float | None]"


class Line:
    """Callers in the order in which they came.

    Attributes:
        weight: What all of them together wait for.
    """

    __slots__ = ("_give_back", "_places", "_serve", "weight")

    def __init__(
        self, serve: Callable[[], None], give_back: Callable[[int, float], None]
    ) -> None:
        """Args:
        serve: Called when there is a new head; it may `admit` at once.
        give_back: Called with the weight and the moment of an admission nobody uses.
        """
        # An OrderedDict: whoever is cancelled leaves the middle in constant time.
        self._places: OrderedDict[Place, int] = OrderedDict()
        self._serve = serve
        self._give_back = give_back
        self.weight = 0

    def __len__(self) -> int:
        return len(self._places)

    async def wait(self, weight: int, timeout: float | None) -> bool:
        """Return whether the caller was admitted within `timeout` seconds (None: ever)."""
        loop = asyncio.get_running_loop()
        place: Place = loop.create_future()
        timer = None if timeout is None else loop.call_later(timeout, self._expire, place)
        self._places[place] = weight
        self.weight += weight
        try:
            if len(self._places) == 1:
                self._serve()
            return await place is not None
        except BaseException:
            self._abandon(place, weight)
            raise
        finally:
            if timer is not None:
                timer.cancel()

    def first(self, count: int = 1) -> list[tuple[Place, int]]:
        """Return the first places and their weights, at most `count`."""
        return list(islice(self._places.items(), count))

    def admit(self, place: Place, at: float) -> bool:
        """Let the caller at `place` go ahead; return False if it is there no more."""
        if place.done() or place not in self._places:
            self._remove(place)
            return False
        self._remove(place)
        place.set_result(at)
        return True

    def drop_lost(self) -> None:
        """Drop the callers at the head that are cancelled, or whose loop is closed."""
        while self._places:
            place = next(iter(self._places))
            if not place.done() and not place.get_loop().is_closed():
                return
            self._remove(place)

    def _remove(self, place: Place) -> None:
        self.weight -= self._places.pop(place, 0)

    def _leave(self, place: Place) -> None:
        was_head = next(iter(self._places)) is place
        self._remove(place)
        if was_head:
            self._serve()

    def _expire(self, place: Place) -> None:
        if place.done():
            return
        # What falls free at the very moment is still in time.
        self._serve()
        if not place.done():
            place.set_result(None)
            self._leave(place)

    def _abandon(self, place: Place, weight: int) -> None:
        if place in self._places:
            self._leave(place)
        elif place.done() and not place.cancelled():
            at = place.result()
            if at is not None:
                self._give_back(weight, at)
