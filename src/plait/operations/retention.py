"""Retention: what ended long ago goes by itself, while others work.

Rule 1. Of all workers of a store one at a time removes; when it is gone another one does.
Rule 2. What goes is a page of executions at a time, and as long as a page took nothing is
        done: at least half of the store's time is for others.
Rule 3. An outage, or a full archive, ends nothing but the round: what has not gone by then
        goes with one of the next.

Not here: what goes with an execution (plait.ports.upkeep), the same by hand
(`plait journal compact`).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import AbstractContextManager, aclosing, nullcontext, suppress
from typing import Final

from plait.drivers.journal import Store
from plait.model.errors import PlaitError
from plait.model.record import record
from plait.operations.journal import Archive, Removed, Retention, removals, upkeep_of
from plait.ports.journal import TERMINAL

logger = logging.getLogger("plait.retention")

# How long a worker is in charge of the store with nobody hearing of it.
CHARGE_MS: Final = 120_000
_EVERY_S_MAX: Final = 60.0
_EVERY_S_MIN: Final = 0.5
# A tenth of the retention: nothing stays for longer than that beyond its time, or a minute.
_ROUNDS_PER_RETENTION: Final = 10


@record
class Keeping:
    """For how long executions are kept.

    Attributes:
        retention_ms: How long after its end each is kept.
        archive: Opens the file that they are added to before they go; None: there is none.
    """

    retention_ms: int
    archive: Callable[[], AbstractContextManager[Archive]] | None = None


class Sweeper:
    """Removes from `store`, in rounds, what ended longer ago than it is kept.

    Args:
        now_ms: Tells the moment, milliseconds since the Unix epoch.
    """

    def __init__(
        self, store: Store, worker_id: str, keeping: Keeping, now_ms: Callable[[], int]
    ) -> None:
        self._store = store
        self._upkeep = upkeep_of(store, "remove what is old from")
        self._worker_id = worker_id
        self._keeping = keeping
        self._now_ms = now_ms
        # What could not be archived is told once.
        self._told: set[str | None] = set()

    async def run(self) -> None:
        """Sweep until this is cancelled; never ends for an error."""
        every_s = self._keeping.retention_ms / 1_000 / _ROUNDS_PER_RETENTION
        every_s = min(max(every_s, _EVERY_S_MIN), _EVERY_S_MAX)
        try:
            while True:
                await asyncio.sleep(every_s)
                await self._round()
        finally:
            with suppress(PlaitError):
                await self._is_in_charge(until_ms=self._now_ms())

    async def _round(self) -> None:
        try:
            count = await self.sweep()
        except (PlaitError, OSError) as error:
            logger.warning("old executions stay for now: %s", error)
        else:
            if count:
                logger.info("%d executions removed: their retention was over", count)

    async def sweep(self) -> int:
        """Remove all that is old, if nobody else is at it; return how many.

        Raises:
            StoreUnavailable: What was not removed by then is there still.
            OSError: The archive cannot be written; what was not archived is there still.
        """
        if not await self._is_in_charge():
            return 0
        rule = Retention(self._now_ms() - self._keeping.retention_ms, TERMINAL)
        loop, count = asyncio.get_running_loop(), 0
        opened = self._keeping.archive or nullcontext
        with opened() as archive:
            pages = removals(self._upkeep, self._store, rule, archive)
            async with aclosing(pages):
                begun_s = loop.time()
                async for removed in pages:
                    count += removed.count
                    self._tell(removed)
                    await asyncio.sleep(loop.time() - begun_s)
                    begun_s = loop.time()
                    if not await self._is_in_charge():
                        break
        if count:
            await self._upkeep.tidy()
        return count

    async def _is_in_charge(self, until_ms: int | None = None) -> bool:
        now_ms = self._now_ms()
        until_ms = now_ms + CHARGE_MS if until_ms is None else until_ms
        return await self._upkeep.charge(self._worker_id, now_ms, until_ms)

    def _tell(self, removed: Removed) -> None:
        for one in removed.kept:
            if one.execution_id not in self._told:
                self._told.add(one.execution_id)
                logger.error(
                    "%s is not archived, and stays: %s", one.execution_id, one.reason
                )
