"""What the parts of one worker share: its name, its clock, its store, and what it lost.

Rule. Durations are monotonic: the wall clock is read once, then only added to.

Not here: what it holds (plait.drivers.journal.holding), its rounds
(plait.drivers.journal.rounds).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

from plait.drivers.clock import loop_clock
from plait.drivers.journal.alarm import Alarm
from plait.drivers.journal.kernels import Kernels
from plait.drivers.journal.tasks import Tasks
from plait.drivers.journal.terms import Store, Times
from plait.drivers.journal.waiters import Waiters
from plait.ports.journal import StoreUnavailable
from plait.ports.observer import Observer

T = TypeVar("T")


class Worker:
    """One worker among all that share a store, on the running event loop.

    Args:
        name: Names it among them.
        wall_clock_s: Tells the seconds since the Unix epoch; asked once.
        observer: Hears of executions, turn by turn; None: nobody does.

    Attributes:
        kernels: What decides executions.
        tasks: What goes on beside its rounds.
        waiters: Who waits in this process for which execution.
        alarm: When it looks next.
        is_unsure: True while the store may have given it something whose answer was lost.
    """

    def __init__(
        self,
        name: str,
        store: Store,
        kernels: Kernels,
        times: Times,
        wall_clock_s: Callable[[], float],
        observer: Observer | None = None,
    ) -> None:
        self.observer = observer
        self.name = name
        self.store = store
        self.kernels = kernels
        self.times = times
        self.tasks = Tasks()
        self.waiters = Waiters()
        self._loop_s = loop_clock()
        self._epoch_offset_s = wall_clock_s() - self._loop_s()
        self.alarm = Alarm(self.now_ms)
        self.is_unsure = False

    def now_ms(self) -> int:
        """Return the moment, milliseconds since the Unix epoch; it never goes back."""
        return int((self._epoch_offset_s + self._loop_s()) * 1000)

    async def sure(self, work: Awaitable[T]) -> T:
        """Do what may give this worker executions; remember if its answer was lost."""
        try:
            return await work
        except StoreUnavailable:
            self.is_unsure = True
            raise
