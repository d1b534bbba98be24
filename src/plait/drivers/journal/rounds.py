"""A worker's rounds: it gives a sign of life, claims what is due, and rests.

Rule 1. With each beat it hears the messages of what it holds; it beats at once when
        somebody was told something, or something was made due.
Rule 2. Whatever keeps it from claiming keeps nobody from what it holds already.

Not here: what happens to what was claimed (plait.drivers.journal.holding).
"""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from plait.drivers.journal.holding import Holding
from plait.drivers.journal.lost import held_by
from plait.drivers.journal.refused import BACK_OFF_S
from plait.drivers.journal.room import COUNT_EVERY_MS
from plait.drivers.journal.worker import Worker
from plait.ports.counts import Counts
from plait.ports.journal import StoreUnavailable, Summary
from plait.ports.leases import Claimed

logger = logging.getLogger("plait.journal")

CLAIM_LIMIT: Final = 200


class Rounds:
    """What a worker does again and again while it is open.

    Attributes:
        trouble: The code that the latest look into the store failed with; None: it went
            well.
    """

    def __init__(self, worker: Worker, holding: Holding) -> None:
        self._worker = worker
        self._holding = holding
        self.trouble: str | None = None

    async def begin(self) -> None:
        """Become a worker, and go on in the background.

        Raises:
            StoreUnavailable: The store cannot be reached.
        """
        worker = self._worker
        await worker.store.join(worker.name)
        await self._beat()
        worker.tasks.spawn(self._work())
        worker.tasks.spawn(self._notice())

    async def _work(self) -> None:
        """Claim what is due, again and again: with each beat, when stirred, when due."""
        while True:
            next_wake_at_ms = await self._look()
            await self._worker.alarm.rest(next_wake_at_ms)

    async def _notice(self) -> None:
        """Stir the worker whenever somebody else may have written."""
        while True:
            try:
                await self._worker.store.changed()
            except Exception as error:
                logger.warning("the store does not tell of changes: %r", error)
                await asyncio.sleep(BACK_OFF_S[-1])
            self._worker.alarm.stir()

    async def _look(self) -> int | None:
        """Beat if it is time, claim, revive; return when the next execution is due."""
        worker = self._worker
        try:
            if worker.now_ms() >= worker.alarm.beat_at_ms:
                await self._beat()
            now_ms = worker.now_ms()
            if worker.is_unsure:
                await worker.sure(self._find_lost())
            claimed, is_all = await self._claim(now_ms)
        except StoreUnavailable as error:
            self.trouble = error.code
            logger.warning("the store gives no answer: %s", error)
            return None
        except Exception as error:
            worker.is_unsure = True  # it may have been given something before that
            self.trouble = getattr(error, "code", "internal")
            logger.exception("nothing can be taken up from the store")
            return None
        self.trouble = None
        if is_all:
            return claimed.next_wake_at_ms
        # Without room it is looked again when there is some.
        if (room := self._holding.room).is_worth_a_look:
            return now_ms
        return worker.now_ms() + COUNT_EVERY_MS if room.has_too_many else None

    async def _claim(self, now_ms: int) -> tuple[Claimed, bool]:
        """Claim what is due, as far as there is room; tell whether that is all of it."""
        worker, room = self._worker, self._holding.room
        if room.is_worth_a_count and isinstance(worker.store, Counts):
            await room.count(worker.store)
        limit = min(CLAIM_LIMIT, room.free)
        if not limit:
            room.is_behind = True
            return Claimed([], None), False
        room.kept = limit
        try:
            wanted = worker.store.claim(worker.name, now_ms, limit)
            claimed = await worker.sure(wanted)
        finally:
            room.kept = 0
        count = len(claimed.executions)
        room.coming += count
        for summary in claimed.executions:
            worker.tasks.spawn(self._revive(summary))
        room.looked(claimed.executions, is_all=count < limit)
        return claimed, count < limit

    async def _revive(self, held: Summary) -> None:
        try:
            await self._holding.revive(held)
        finally:
            self._holding.room.coming -= 1

    async def _beat(self) -> None:
        worker, holding = self._worker, self._holding
        now_ms = worker.now_ms()
        worker.alarm.beat_at_ms = now_ms + worker.times.beat_ms
        until_ms = now_ms + worker.times.lease_ms
        idle = list(holding.idle)
        for message in await worker.store.beat(worker.name, now_ms, until_ms):
            holding.hear(message)
        del holding.idle[: len(idle)]
        for live in idle:
            live.rest()
        await worker.waiters.look(worker.store, holding.lives.keys())

    async def _find_lost(self) -> None:
        """Take up what is this worker's without its knowing."""
        worker, holding = self._worker, self._holding
        worker.is_unsure = False
        async for held in held_by(worker.name, worker.store):
            if not holding.knows(held):
                worker.tasks.spawn(holding.take_up(held))
