"""What stores behind a network share: jobs that go together, and news that goes round.

Rule 1. What arrives while one batch is under way goes together in the next. Nobody has to
        choose a batch size: the server's disk does.
Rule 2. News may be lost, and is never more than every 50 ms: a worker looks again with
        every beat all the same.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Hashable
from contextlib import suppress
from typing import Any, Final, Generic, TypeAlias, TypeVar

from plait.ports.journal import RUNNING, Append, StoreUnavailable

J = TypeVar("J")
R = TypeVar("R")

JOBS_MAX: Final = 500
# PostgreSQL takes no message of 1 GB, and 32 of the largest payloads are one; a server that
# writes 300 MB at once gives no answer in time.
BYTES_MAX: Final = 8 * 1024 * 1024
# A worker that hears news looks for executions, which costs the server 1 ms or so.
_NEWS_EVERY_S: Final = 0.05

RunBatch: TypeAlias = Callable[[list[J]], Awaitable["list[R | Exception]"]]


class Batches(Generic[J, R]):
    """Runs jobs in batches, one batch at a time, in the order in which they came.

    Args:
        run: Does a batch; returns for each job its result or what it is refused with.
            What it raises, all the jobs of the batch are refused with.
        bytes_of: How many bytes a job sends. A larger batch than `BYTES_MAX` has one job.
        key_of: At most one job of a key is in a batch; None: any number.
    """

    def __init__(
        self,
        run: RunBatch[J, R],
        bytes_of: Callable[[J], int],
        key_of: Callable[[J], Hashable] | None = None,
    ) -> None:
        self._run = run
        self._bytes_of = bytes_of
        self._key_of = key_of
        self._waiting: deque[tuple[J, asyncio.Future[R]]] = deque()
        self._task: asyncio.Task[None] | None = None
        self._is_closed = False

    async def submit(self, job: J) -> R:
        """Do `job` with the next batch; return its result.

        Raises:
            StoreUnavailable: The batch could not be written, or the store is closed.
        """
        if self._is_closed:
            raise StoreUnavailable("the store is closed")
        loop = asyncio.get_running_loop()
        future: asyncio.Future[R] = loop.create_future()
        self._waiting.append((job, future))
        if self._task is None:
            self._task = loop.create_task(self._work())
        return await future

    async def close(self) -> None:
        """Take no more jobs, and finish those that were submitted."""
        self._is_closed = True
        if self._task is not None:
            await self._task

    async def _work(self) -> None:
        try:
            while self._waiting:
                batch = self._next()
                outcomes = await self._outcomes([job for job, _ in batch])
                for (_, future), outcome in zip(batch, outcomes, strict=True):
                    _settle(future, outcome)
        finally:
            self._task = None

    async def _outcomes(self, jobs: list[J]) -> list[R | Exception]:
        try:
            return await self._run(jobs)
        except Exception as error:
            return [error for _ in jobs]

    def _next(self) -> list[tuple[J, asyncio.Future[R]]]:
        """Take the jobs of the next batch out of the queue."""
        keys: set[Hashable] = set()
        batch: list[tuple[J, asyncio.Future[R]]] = []
        later: list[tuple[J, asyncio.Future[R]]] = []
        byte_count = 0
        while self._waiting and len(batch) < JOBS_MAX:
            byte_count += self._bytes_of(self._waiting[0][0])
            if batch and byte_count > BYTES_MAX:
                break
            one = self._waiting.popleft()
            key = None if self._key_of is None else self._key_of(one[0])
            if key in keys:
                later.append(one)
                continue
            batch.append(one)
            if key is not None:
                keys.add(key)
        self._waiting.extendleft(reversed(later))
        return batch


class News:
    """Tells other processes that there may be something for them.

    Args:
        publish: Tells them; it may fail.
    """

    def __init__(self, publish: Callable[[], Awaitable[Any]]) -> None:
        self._publish = publish
        self._is_wanted = False
        self._task: asyncio.Task[None] | None = None

    def tell_of(self, append: Append) -> None:
        """Tell them if somebody may wait for the end, or take what is due from here."""
        standing = append.standing
        wake_at_ms = standing.wake_at_ms
        is_due = wake_at_ms is not None and wake_at_ms <= standing.at_ms
        if append.is_released and (standing.status != RUNNING or is_due):
            self.tell()

    def tell(self) -> None:
        """Tell them at once, or with whatever else is told within 50 ms."""
        self._is_wanted = True
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._work())

    async def close(self) -> None:
        """Tell what is left to be told, without a wait."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
        if self._is_wanted:
            with suppress(StoreUnavailable):
                await self._publish()

    async def _work(self) -> None:
        try:
            while self._is_wanted:
                self._is_wanted = False
                with suppress(StoreUnavailable):
                    await self._publish()
                await asyncio.sleep(_NEWS_EVERY_S)
        finally:
            self._task = None


def _settle(future: asyncio.Future[R], outcome: R | Exception) -> None:
    if future.done():  # whoever waited has been cancelled
        return
    if isinstance(outcome, Exception):
        future.set_exception(outcome)
    else:
        future.set_result(outcome)
