"""Threads: work that blocks, off the loop, and never in the way of the process's end.

Not `asyncio.to_thread`: the loop, and Python itself, wait without a limit for the threads
of an executor, and a file on a disk that is gone may block one for ever.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from threading import Thread
from typing import TypeVar

T = TypeVar("T")


async def in_thread(work: Callable[[], T]) -> T:
    """Return what `work` returns, or raise what it raises; it has a thread of its own.

    >>> asyncio.run(in_thread(lambda: 6 * 7))
    42
    """
    loop = asyncio.get_running_loop()
    told: asyncio.Future[T] = loop.create_future()

    def tell(result: T | None, error: Exception | None) -> None:
        if told.done():  # whoever waited was cancelled
            return
        if error is not None:
            told.set_exception(error)
        else:
            told.set_result(result)  # type: ignore[arg-type]

    def run() -> None:
        result: T | None = None
        failure: Exception | None = None
        try:
            result = work()
        except Exception as error:
            failure = error
        except BaseException as error:
            # Of a thread it ends nothing, and whoever waits would wait for ever.
            failure = RuntimeError(f"{type(error).__name__}: {error}")
        # The loop may have been closed meanwhile; then nobody wants to know.
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(tell, result, failure)

    Thread(target=run, name="plait-work", daemon=True).start()
    return await told
