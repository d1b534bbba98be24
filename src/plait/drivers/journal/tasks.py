"""What a worker does beside its rounds."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable
from typing import Any, Final, TypeVar

T = TypeVar("T")

CANCEL_AGAIN_S: Final = 1.0


class Tasks:
    """Tasks of one worker, known until they are done.

    Attributes:
        running: Those that are not.
    """

    def __init__(self) -> None:
        self.running: set[asyncio.Task[Any]] = set()
        self._loop = asyncio.get_running_loop()

    def spawn(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Do `work` in the background."""
        task = self._loop.create_task(work)
        self.running.add(task)
        task.add_done_callback(self.running.discard)
        return task

    async def whole(self, work: Coroutine[Any, Any, T]) -> T:
        """Do all of `work`, also when whoever asked for it goes away meanwhile.

        What the store was asked to write may be written all the same; somebody has to go on
        with it.
        """
        task = self.spawn(work)
        task.add_done_callback(_retrieve)
        return await asyncio.shield(task)

    async def end(self, more: Iterable[asyncio.Future[Any]]) -> None:
        """Cancel all of them, and `more`, and wait until they are done."""
        tasks: set[asyncio.Future[Any]] = {*self.running, *more}
        while tasks:
            # More than once: a client library may take a cancellation for a time-out.
            for task in tasks:
                task.cancel()
            _, tasks = await asyncio.wait(tasks, timeout=CANCEL_AGAIN_S)


def _retrieve(task: asyncio.Task[Any]) -> None:
    """Take note of the error that nobody may be left to hear."""
    if not task.cancelled():
        task.exception()
