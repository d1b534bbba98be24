"""The line of callers that wait: who came first leaves first, whatever the weights.

Rule 1. A caller leaves the line once: admitted, refused, or cancelled.
Rule 2. When the head leaves, whoever serves the line is told, for the next may be lighter.
Rule 3. What was admitted to a caller that is cancelled in the same moment is given back.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from itertools import islice
from typing import Final, NamedTuple, TypeAlias


class Outcome(NamedTuple):
    """How a caller left the line.

    Attributes:
        at: The moment of its admission, by the clock of who serves the line.
        retry_after: Seconds, if it was refused and they are known; else 0.
    """

    admitted: bool
    at: float = 0.0
    retry_after: float = 0.0


Place: TypeAlias = "asyncio.Future[Outcome]"

REFUSED: Final = Outcome(admitted=False)


# The weight of who stands there; negative: it leaves with the next answer, come what may.
Caller: TypeAlias = int


class Line:
    """Callers in the order in which they came.

    Attributes:
        weight: What all of them together wait for.
    """

    __slots__ = ("_answers_later", "_callers", "_give_back", "_serve", "_timers", "weight")

    def __init__(
        self,
        serve: Callable[[], None],
        give_back: Callable[[int, float], None],
        *,
        answers_later: bool = False,
    ) -> None:
        """Args:
        serve: Called when there is a new head, or one whose time is up.
        give_back: Called with the weight and the moment of an admission nobody uses.
        answers_later: Whether `serve` only sees to it that all get an answer.
        """
        # An OrderedDict: whoever is cancelled leaves the middle in constant time.
        self._callers: OrderedDict[Place, Caller] = OrderedDict()
        self._timers: dict[Place, asyncio.TimerHandle] = {}
        self._serve = serve
        self._give_back = give_back
        self._answers_later = answers_later
        self.weight = 0

    def __len__(self) -> int:
        return len(self._callers)

    async def wait(
        self, weight: int, timeout: float | None = None, *, patient: bool = True
    ) -> Outcome:
        """Return how the caller leaves; refused after `timeout` seconds, None: never."""
        loop = asyncio.get_running_loop()
        place: Place = loop.create_future()
        if timeout is not None:
            self._timers[place] = loop.call_later(timeout, self._expire, place)
        self._callers[place] = weight if patient else -weight
        self.weight += weight
        try:
            if len(self._callers) == 1:
                self._serve()
            return await place
        except BaseException:
            self._abandon(place, weight)
            raise
        finally:
            if timeout is not None:
                self._timers.pop(place).cancel()

    def head(self) -> tuple[Place, Caller] | None:
        """Return the first who is there still: not cancelled, nor left by its loop."""
        callers = self._callers
        while callers:
            place = next(iter(callers))
            if not place.done() and not place.get_loop().is_closed():
                return place, callers[place]
            self._remove(place)
        return None

    def first(self, count: int) -> list[tuple[Place, Caller]]:
        """Return the first places, at most `count`, and who stands there."""
        self.head()
        return list(islice(self._callers.items(), count))

    def caller_at(self, place: Place) -> Caller | None:
        """Return who stands at `place` now; None: nobody any more."""
        return None if place.done() else self._callers.get(place)

    def ends_before(self, place: Place, at_s: float) -> bool:
        """Return whether the caller's time is up before `at_s` on the clock of the loop."""
        timer = self._timers.get(place)
        return timer is not None and timer.when() < at_s

    def admit(self, place: Place, at: float) -> bool:
        """Let the caller at `place` go ahead; return False if it is there no more."""
        if place.done() or place not in self._callers:
            return False
        self._remove(place)
        place.set_result(Outcome(True, at))
        return True

    def refuse(self, place: Place, retry_after: float) -> None:
        """Send the caller at `place` away, if it is there still."""
        if self.caller_at(place) is not None:
            self._remove(place)
            place.set_result(Outcome(False, 0.0, retry_after))

    def refuse_impatient(self, retry_after: float) -> None:
        """Send everybody away who would not wait."""
        for place, caller in list(self._callers.items()):
            if caller < 0:
                self.refuse(place, retry_after)

    def _remove(self, place: Place) -> None:
        self.weight -= abs(self._callers.pop(place, 0))

    def _leave(self, place: Place) -> None:
        was_head = next(iter(self._callers)) is place
        self._remove(place)
        if was_head:
            self._serve()

    def _expire(self, place: Place) -> None:
        caller = self.caller_at(place)
        if caller is None:
            return
        self._callers[place] = -abs(caller)
        # What falls free at the very moment is still in time.
        self._serve()
        if not self._answers_later and not place.done():
            place.set_result(REFUSED)
            self._leave(place)

    def _abandon(self, place: Place, weight: int) -> None:
        if place in self._callers:
            self._leave(place)
        elif place.done() and not place.cancelled():
            outcome = place.result()
            if outcome.admitted:
                self._give_back(weight, outcome.at)
