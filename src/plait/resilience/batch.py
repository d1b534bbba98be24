"""Batch: many single lookups within a few milliseconds become one bulk call.

Rule 1. A batch goes when it is full, or `max_delay_s` after its first lookup.
Rule 2. Who asks for a key that is in the waiting batch already shares its place.
Rule 3. A caller who is cancelled takes nobody along. A key that nobody waits for when the
    batch goes is left out of it, and a batch that nobody waits for any more is cancelled.
Rule 4. An answer that is an exception is raised to whoever asked for that key, and to
    nobody else.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from contextvars import Context
from dataclasses import dataclass
from typing import Generic, TypeAlias, TypeVar

from plait.resilience.checks import check_count, check_seconds

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

Answers: TypeAlias = Mapping[K, V | Exception] | Sequence[V | Exception]


@dataclass(frozen=True, slots=True)
class BatchSnapshot:
    """Lookups that wait and bulk calls under way now; calls and keys since it was made."""

    waiting: int
    running: int
    calls: int
    keys: int


class _Bulk(Generic[K, V]):
    """Who waits for which key, and the task of the bulk call, once it has gone."""

    __slots__ = ("task", "waiters")

    def __init__(self) -> None:
        self.waiters: dict[K, list[asyncio.Future[V]]] = {}
        self.task: asyncio.Task[None] | None = None


class Batch(Generic[K, V]):
    """Looks up single keys by a function that takes many.

    >>> async def prices(skus: list[str]) -> dict[str, int]:
    ...     print("asking for", skus)
    ...     return {sku: len(sku) for sku in skus}
    >>> async def main():
    ...     price = Batch(prices, max_size=100, max_delay_s=0.002)
    ...     return await asyncio.gather(price("A-1"), price("B-22"), price("A-1"))
    >>> asyncio.run(main())
    asking for ['A-1', 'B-22']
    [3, 4, 3]
    """

    __slots__ = (
        "_bulk",
        "_calls",
        "_function",
        "_keys",
        "_running",
        "_timer",
        "max_delay_s",
        "max_size",
        "name",
    )

    def __init__(
        self,
        function: Callable[[list[K]], Awaitable[Answers[K, V]]],
        *,
        max_size: int = 100,
        max_delay_s: float = 0.002,
        name: str = "",
    ) -> None:
        """Collect lookups for `function`.

        Args:
            function: Takes keys, each once, in the order they came; returns their answers
                in that order, or by key. An answer may be an exception.
            max_size: Keys in one call; >= 1.
            max_delay_s: How long the first lookup waits for others; 0: to the end of this
                turn of the event loop.
            name: For messages and metrics.

        Raises:
            TypeError: `function` is none.
            ValueError: A number is out of its range.
        """
        if not callable(function):
            raise TypeError(f"Batch calls a coroutine function; {function!r} is none")
        check_count("max_size", max_size)
        check_seconds("max_delay_s", max_delay_s, zero=True)
        self.max_size = max_size
        self.max_delay_s = max_delay_s
        self.name = name
        self._function = function
        self._bulk: _Bulk[K, V] = _Bulk()
        self._running: set[_Bulk[K, V]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._calls = self._keys = 0

    async def __call__(self, key: K) -> V:
        """Return the answer to `key`, from a call that asks for others too.

        Raises:
            KeyError: The call has answered the others, and not this key.
            Exception: What the call has raised, or answered to this key.
        """
        bulk, loop = self._bulk, asyncio.get_running_loop()
        waiter: asyncio.Future[V] = loop.create_future()
        bulk.waiters.setdefault(key, []).append(waiter)
        if len(bulk.waiters) >= self.max_size:
            self._go()
        elif self._timer is None:
            self._timer = loop.call_later(self.max_delay_s, self._go)
        try:
            return await waiter
        except asyncio.CancelledError:
            self._leave(bulk, key, waiter)
            raise

    def snapshot(self) -> BatchSnapshot:
        """Return what waits, what is under way, and what was done so far."""
        waiting = sum(map(len, self._bulk.waiters.values()))
        return BatchSnapshot(waiting, len(self._running), self._calls, self._keys)

    async def aclose(self) -> None:
        """Send what waits, and return when all has been answered."""
        if self._bulk.waiters:
            self._go()
        tasks = [bulk.task for bulk in self._running if bulk.task is not None]
        if tasks:
            await asyncio.wait(tasks)

    def _go(self) -> None:
        """Send the waiting batch; the next lookup begins another."""
        bulk, self._bulk = self._bulk, _Bulk()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if not bulk.waiters:
            return
        self._calls += 1
        self._keys += len(bulk.waiters)
        self._running.add(bulk)
        # It is nobody's call in particular: no caller's context variables are in it.
        bulk.task = asyncio.get_running_loop().create_task(
            self._ask(bulk), context=Context()
        )
        bulk.task.add_done_callback(lambda _: self._ended(bulk))

    def _leave(self, bulk: _Bulk[K, V], key: K, waiter: asyncio.Future[V]) -> None:
        if waiter.done() and not waiter.cancelled():
            waiter.exception()
        waiters = bulk.waiters.get(key)
        if waiters is None:
            return
        waiters.remove(waiter)
        if not waiters:
            del bulk.waiters[key]
        if not bulk.waiters and bulk.task is not None:
            bulk.task.cancel()

    async def _ask(self, bulk: _Bulk[K, V]) -> None:
        keys = list(bulk.waiters)
        try:
            answers = _by_key(keys, await self._function(keys))
        except Exception as error:
            answers = dict.fromkeys(keys, error)
        # Whose caller left meanwhile is not in it any more.
        for key, waiters in bulk.waiters.items():
            missing = KeyError(f"{self.name or 'the bulk call'} has no answer to {key!r}")
            for waiter in waiters:
                _tell(waiter, answers.get(key, missing))

    def _ended(self, bulk: _Bulk[K, V]) -> None:
        self._running.discard(bulk)
        for waiters in bulk.waiters.values():
            for waiter in waiters:
                # Left over only when the bulk call was cancelled from inside.
                waiter.cancel()


def _by_key(keys: list[K], answers: Answers[K, V]) -> dict[K, V | Exception]:
    if isinstance(answers, Mapping):
        return dict(answers)
    if len(answers) != len(keys):
        raise ValueError(
            f"the bulk call answered {len(answers)} times to {len(keys)} keys; "
            "return one answer for each key, in order, or a mapping by key"
        )
    return dict(zip(keys, answers, strict=True))


def _tell(waiter: asyncio.Future[V], answer: V | Exception) -> None:
    if waiter.done():
        return
    if isinstance(answer, Exception):
        waiter.set_exception(answer)
    else:
        waiter.set_result(answer)
