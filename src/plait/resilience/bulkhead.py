"""Bulkhead: so many calls at a time; a few more wait in a queue, the rest are refused.

Rule 1. First come, first served: nobody passes one who waits.
Rule 2. A place belongs to exactly one caller at any time, and handing it to a waiter takes
    no await: no cancellation can lose it on the way.
Rule 3. A bulkhead belongs to one event loop.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import ParamSpec, TypeVar

from plait.resilience.checks import check_count, check_seconds
from plait.resilience.errors import BulkheadFull
from plait.resilience.policy import Policy

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class BulkheadRefused:
    """A call found no place. `waited_s` is 0 when it found no place to wait either."""

    name: str
    waited_s: float


@dataclass(frozen=True, slots=True)
class BulkheadSnapshot:
    """What a bulkhead holds now (`running`, `waiting`) and did since it was made."""

    running: int
    waiting: int
    admitted: int
    refused: int
    timed_out: int


class Bulkhead(Policy):
    """At most `max_concurrency` calls at a time: a policy, a decorator, `async with`.

    Drivers `enter`, which never waits, and `release`.

    >>> async def main():
    ...     places = Bulkhead(1, name="reports")
    ...     async with places:
    ...         await places.call(asyncio.sleep, 0)
    >>> asyncio.run(main())
    Traceback (most recent call last):
    plait.resilience.errors.BulkheadFull: reports has no place: 1 running, 0 waiting
    """

    __slots__ = (
        "_admitted",
        "_on_event",
        "_refused",
        "_running",
        "_timed_out",
        "_waiters",
        "max_concurrency",
        "max_queue",
        "name",
        "queue_timeout_s",
    )

    def __init__(
        self,
        max_concurrency: int,
        *,
        max_queue: int = 0,
        queue_timeout_s: float | None = None,
        name: str = "",
        on_event: Callable[[BulkheadRefused], None] | None = None,
    ) -> None:
        """Make a bulkhead with all places free.

        Args:
            max_concurrency: Calls at a time; >= 1.
            max_queue: How many may wait for a place; 0: nobody waits.
            queue_timeout_s: How long one may wait; None: as long as it takes.
            name: For messages and metrics.
            on_event: Called when a call is refused. It must not raise.

        Raises:
            ValueError: A number is out of its range.
        """
        check_count("max_concurrency", max_concurrency)
        check_count("max_queue", max_queue, least=0)
        if queue_timeout_s is not None:
            check_seconds("queue_timeout_s", queue_timeout_s)
        self.max_concurrency = max_concurrency
        self.max_queue = max_queue
        self.queue_timeout_s = queue_timeout_s
        self.name = name
        self._on_event = on_event
        self._running = 0
        self._waiters: deque[asyncio.Future[None]] = deque()
        self._admitted = self._refused = self._timed_out = 0

    def try_acquire(self) -> bool:
        """Take a place if one is free; never waits."""
        # `release` hands places over: while anybody waits, none is free.
        if self._running >= self.max_concurrency:
            return False
        self._running += 1
        self._admitted += 1
        return True

    def release(self) -> None:
        """Give a place back: to the first who waits, or to whoever comes next.

        Raises:
            RuntimeError: More places were given back than taken.
        """
        if self._running == 0:
            raise RuntimeError(f"{self._called} gets back a place that nobody took")
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                self._admitted += 1
                waiter.set_result(None)
                return
        self._running -= 1

    def enter(self) -> asyncio.Future[None] | None:
        """Take a place, or stand in the queue for one; never waits.

        Returns:
            None: the place is taken. Otherwise what is done when a place is handed over,
            or fails with `BulkheadFull` when that takes too long; `leave` gives it up.

        Raises:
            BulkheadFull: The queue is full.
        """
        if self.try_acquire():
            return None
        if len(self._waiters) >= self.max_queue:
            raise self._refusal(0.0)
        loop = asyncio.get_running_loop()
        waiter = loop.create_future()
        self._waiters.append(waiter)
        if self.queue_timeout_s is not None:
            timer = loop.call_later(self.queue_timeout_s, self._expire, waiter)
            waiter.add_done_callback(lambda _: timer.cancel())
        return waiter

    def leave(self, waiter: asyncio.Future[None]) -> None:
        """Leave the queue, or pass on the place that was handed over meanwhile."""
        waiter.cancel()
        if waiter.cancelled():
            # `release` may have passed over it already.
            with suppress(ValueError):
                self._waiters.remove(waiter)
        elif waiter.exception() is None:
            self._admitted -= 1
            self.release()

    async def acquire(self) -> None:
        """Take a place, waiting for it in the queue.

        Raises:
            BulkheadFull: The queue is full, or the wait took too long.
        """
        waiter = self.enter()
        if waiter is None:
            return
        try:
            await waiter
        except asyncio.CancelledError:
            self.leave(waiter)
            raise

    async def call(
        self, function: Callable[P, Awaitable[T]], /, *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Call `function` in a place of its own.

        Raises:
            BulkheadFull: There was none; nothing was called.
        """
        if not self.try_acquire():
            await self.acquire()
        try:
            return await function(*args, **kwargs)
        finally:
            self.release()

    async def __aenter__(self) -> None:
        await self.acquire()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.release()

    def snapshot(self) -> BulkheadSnapshot:
        """Return what is held now and what was done so far."""
        return BulkheadSnapshot(
            running=self._running,
            waiting=len(self._waiters),
            admitted=self._admitted,
            refused=self._refused,
            timed_out=self._timed_out,
        )

    def _expire(self, waiter: asyncio.Future[None]) -> None:
        """Refuse who has waited too long, unless it has got a place just now."""
        if waiter.done():
            return
        self._waiters.remove(waiter)
        self._timed_out += 1
        waiter.set_exception(self._refusal(self.queue_timeout_s or 0.0))

    def _refusal(self, waited_s: float) -> BulkheadFull:
        self._refused += 1
        if self._on_event is not None:
            self._on_event(BulkheadRefused(self.name, waited_s))
        after = f" after {waited_s:g} s" if waited_s else ""
        count = f"{self._running} running, {len(self._waiters)} waiting"
        message = f"{self._called} has no place{after}: {count}"
        return BulkheadFull(message, name=self.name)

    @property
    def _called(self) -> str:
        return self.name or "the bulkhead"
