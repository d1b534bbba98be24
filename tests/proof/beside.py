"""Something that needs an event loop, beside a test that is none of its tasks."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from threading import Thread
from typing import TypeVar

T = TypeVar("T")

_OPENING_S_MAX = 30


@contextmanager
def beside(make: Callable[[], AbstractAsyncContextManager[T]]) -> Iterator[T]:
    """Enter what `make` returns in a thread with a loop of its own; leave it at the end."""
    loop = asyncio.new_event_loop()
    thread = Thread(target=loop.run_forever, name="beside-the-test")
    thread.start()
    over, begun = asyncio.Event(), loop.create_future()

    async def serve() -> None:
        try:
            async with make() as made:
                begun.set_result(made)
                await over.wait()
        except BaseException as error:
            if begun.done():
                raise
            begun.set_exception(error)

    serving = asyncio.run_coroutine_threadsafe(serve(), loop)
    try:
        yield asyncio.run_coroutine_threadsafe(_result(begun), loop).result(_OPENING_S_MAX)
    finally:
        loop.call_soon_threadsafe(over.set)
        serving.result(_OPENING_S_MAX)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def _result(begun: asyncio.Future[T]) -> T:
    return await begun
