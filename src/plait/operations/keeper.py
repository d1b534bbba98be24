"""The keeper: a serving process's way to executions that are kept in a store.

Rule 1. The store is opened when it is first needed: who serves express workflows only
        needs none.
Rule 2. Nobody waits for an execution while the process drains: there is a link for that.

Not here: endpoints (plait.gateway.durable), looking and changing
(plait.operations.executing).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from itertools import chain, repeat
from typing import Any, Final

from plait.drivers.journal import JournalDriver, Room, Store, Unkept
from plait.kernel import Kernel
from plait.model.errors import Advice, PlaitError
from plait.model.record import record
from plait.plan import Plan
from plait.ports.journal import RUNNING, StoreUnavailable

logger = logging.getLogger("plait.operations")

_TRY_AGAIN_S: Final = (0.1, 0.5, 1.0, 2.0)


@record
class Kept:
    """A store that is open, and the worker that runs what is in it.

    Attributes:
        close: Lets go of both.
    """

    driver: JournalDriver
    store: Store
    kernel_for: Callable[[Plan], Kernel]
    close: Callable[[], Awaitable[None]]


class Keeper:
    """Opens the store once, and closes it once.

    Args:
        open_: Opens it. Raises `plait.ports.journal.StoreUnavailable`.
        is_there: Whether there is a store already, with executions to go on with.
        secrets: As the driver has them.

    Attributes:
        is_draining: Set when nobody shall be kept waiting any longer.
    """

    def __init__(
        self,
        open_: Callable[[], Awaitable[Kept]],
        *,
        is_there: bool = False,
        secrets: Mapping[str, str] | None = None,
    ) -> None:
        self.is_there = is_there
        self.secrets: Mapping[str, str] = secrets or {}
        self._open = open_
        self._kept: Kept | None = None
        self._opening = asyncio.Lock()
        self._trouble: str | None = None
        self._trying: asyncio.Future[None] | None = None
        self.is_draining = asyncio.Event()

    async def kept(self) -> Kept:
        """Return the open store and its worker.

        Raises:
            StoreUnavailable: It cannot be reached or written; the next call tries again.
            StoreTooNew: A newer version has changed it.
        """
        kept = self._kept
        if kept is None:
            async with self._opening:
                kept = self._kept
                if kept is None:
                    kept = self._kept = await self._open()
        return kept

    async def keep(self) -> None:
        """Open the store now or, when it cannot be reached, as soon as it can.

        Raises:
            PlaitError: To wait would not help.
        """
        try:
            await self.kept()
        except StoreUnavailable as error:
            if error.advice is not Advice.RETRY:
                raise
            self._hear(error)
            self._trying = asyncio.ensure_future(self._try())

    async def _try(self) -> None:
        for delay_s in chain(_TRY_AGAIN_S, repeat(_TRY_AGAIN_S[-1])):
            await asyncio.sleep(delay_s)
            try:
                await self.kept()
            except PlaitError as error:
                self._hear(error)
            else:
                return

    def _hear(self, error: PlaitError) -> None:
        if self._trouble != error.code:
            logger.warning("the store cannot be opened, and is tried again: %s", error)
        self._trouble = error.code

    @property
    def trouble(self) -> str | None:
        """Why no execution can be kept, as a code; None: it can, or nobody has asked."""
        return self._trouble if self._kept is None else self._kept.driver.trouble

    @property
    def room(self) -> Room | None:
        """The places of this process's worker; None: the store is not open."""
        return None if self._kept is None else self._kept.driver.room

    async def has_ended(self, execution_id: str, wait_ms: int) -> bool:
        """Wait for an execution's end; False when it has not come in time.

        Raises:
            UnknownExecution: There is none of that id.
        """
        driver = (await self.kept()).driver
        (ended,) = await self._first_of(wait_ms, driver.ended(execution_id))
        return ended.done() and ended.result().standing.status != RUNNING

    async def is_over(self, unkept: Unkept, wait_ms: int) -> bool:
        """Wait for the end of an execution that is not kept; False when it lasts longer."""
        await self._first_of(wait_ms, unkept.ended.wait(), unkept.lasts.wait())
        return unkept.ended.is_set()

    async def _first_of(
        self, wait_ms: int, *waits: Coroutine[Any, Any, Any]
    ) -> list[asyncio.Task[Any]]:
        """Wait for the first of `waits`, until the time is over or the gateway drains."""
        loop = asyncio.get_running_loop()
        tasks = [loop.create_task(wait) for wait in (*waits, self.is_draining.wait())]
        try:
            timeout_s = wait_ms / 1000
            first = asyncio.FIRST_COMPLETED
            await asyncio.wait(tasks, timeout=timeout_s, return_when=first)
            return tasks[:-1]
        finally:
            for task in tasks:
                task.cancel()

    def begin_drain(self) -> None:
        """Let nobody wait any longer."""
        self.is_draining.set()

    async def close(self) -> None:
        """Give back what is under way; another worker, or the next start, goes on."""
        if self._trying is not None:
            self._trying.cancel()
            await asyncio.gather(self._trying, return_exceptions=True)
        async with self._opening:
            if self._kept is not None:
                await self._kept.close()
                self._kept = None
