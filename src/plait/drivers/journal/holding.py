"""What a worker holds: executions come into memory out of their journals, and leave it.

Rule 1. One at a time brings an execution into memory (`alone_with`), and only in the epoch
        in which this worker holds it: whoever is overtaken drops it, also where the answer
        was lost that gave it to this worker again.
Rule 2. One that stalls is taken again, and built anew from its journal; its events wait.
Rule 3. Before it acts it has heard what waits for it: whoever was told that it will hear
        of a wish was told so by a worker that may be dead by now.
Rule 4. One that cannot be brought into memory stays this worker's, so that nobody claims it
        over and over again.

Not here: when it is looked for what is due (plait.drivers.journal.rounds), one execution's
turns (plait.drivers.journal.live).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Mapping
from contextlib import suppress
from dataclasses import replace
from itertools import chain, repeat
from typing import Final
from weakref import WeakValueDictionary

from plait.drivers.journal.children import Children
from plait.drivers.journal.deaths import Deaths
from plait.drivers.journal.history import is_untouched
from plait.drivers.journal.live import Live
from plait.drivers.journal.observing import observed, result_in
from plait.drivers.journal.refused import BACK_OFF_S, is_given_up, pause_after
from plait.drivers.journal.room import Room
from plait.drivers.journal.standing import is_put_off, standing_of, waits_for_worker
from plait.drivers.journal.starting import after, begun
from plait.drivers.journal.telling import Telling
from plait.drivers.journal.terms import Limits
from plait.drivers.journal.worker import Worker
from plait.ports.calls import Calls, lacks_of
from plait.ports.journal import (
    LET_IN,
    QUEUED,
    RUNNING,
    History,
    Journal,
    LostRace,
    Message,
    Standing,
    StoreUnavailable,
    Summary,
)

logger = logging.getLogger("plait.journal")

# An execution that has nothing to do for this long leaves the memory until it has.
IDLE_MS_MAX: Final = 1_000


def may_leave(standing: Standing, now_ms: int) -> bool:
    """Tell whether an execution that stands so leaves the memory until it is due."""
    wake_at_ms = standing.wake_at_ms
    return wake_at_ms is None or wake_at_ms > now_ms + IDLE_MS_MAX


class Holding:
    """The executions that one worker has in memory; their host.

    Implements plait.drivers.journal.live.Host.

    Attributes:
        lives: By id.
        idle: Those that leave with the next beat, unless they hear of something to do.
        room: How many there may be.
    """

    begins_anew = True

    def __init__(
        self,
        worker: Worker,
        calls: Calls,
        children: Children,
        secrets: Mapping[str, str],
        limits: Limits,
    ) -> None:
        self._worker = worker
        self.calls = calls
        self.children = children
        self.secrets = secrets
        self.payload_bytes_max = limits.payload_bytes_max
        self.history_bytes_max = limits.history_bytes_max
        self.lives: dict[str, Live] = {}
        self.idle: list[Live] = []
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._deaths = Deaths(worker.store, limits.deaths_max, worker.now_ms(), self.lives)
        self.room = Room(limits, self.lives, worker.now_ms)
        self._put_off: list[str] = []
        self._is_giving_back = False

    @property
    def journal(self) -> Journal:
        """See plait.drivers.journal.live.Host."""
        return self._worker.store

    def now_ms(self) -> int:
        """See plait.drivers.journal.live.Host."""
        return self._worker.now_ms()

    def may_leave(self, standing: Standing, now_ms: int) -> bool:
        """See plait.drivers.journal.live.Host."""
        return may_leave(standing, now_ms)

    def alone_with(self, execution_id: str) -> asyncio.Lock:
        """Return what lets one at a time bring an execution into memory."""
        return self._locks.setdefault(execution_id, asyncio.Lock())

    def hear(self, message: Message) -> None:
        """Tell an execution what a message says, if it is in memory."""
        live = self.lives.get(message.execution_id)
        if live is not None:
            live.hear(message)

    # -- leaving the memory ------------------------------------------------------------

    def keep(self, live: Live) -> bool:
        """Keep a new execution in memory, unless all that it does is to wait."""
        summary = live.summary
        if may_leave(summary.standing, self.now_ms()):
            self._worker.tasks.spawn(self._give_back(summary))
            return False
        self.lives[summary.new.execution_id] = live
        self.room.stands(live)
        return True

    def put_off(self, execution_id: str) -> None:
        """Give back a new execution that is written, as there is no room for it."""
        self.room.put_off()
        self._put_off.append(execution_id)
        if not self._is_giving_back:
            self._is_giving_back = True
            self._worker.tasks.spawn(self._give_back_put_off())

    async def _give_back_put_off(self) -> None:
        """Give back, at once, all that were put off meanwhile."""
        worker = self._worker
        try:
            while self._put_off:
                names, self._put_off = self._put_off, []
                with suppress(StoreUnavailable):
                    await worker.sure(worker.store.release(worker.name, names))
        finally:
            self._is_giving_back = False
        # A look that came before this found nothing of them.
        self.room.is_behind = True
        if self.room.free:
            worker.alarm.nudge()

    def gone(self, live: Live, summary: Summary) -> None:
        """See plait.drivers.journal.live.Host."""
        self._forget(live)
        standing, alarm = summary.standing, self._worker.alarm
        self._worker.waiters.tell(summary, result_in(live.observed, summary))
        if self.room.is_worth_a_look:
            alarm.nudge()
        if standing.status == RUNNING and live.inbox:
            # A message came while it went: whoever looks claims it for that message.
            alarm.stir()
        elif standing.status == RUNNING:
            if waits_for_worker(standing):
                alarm.stand_back(standing)
            alarm.expect(standing)
        elif summary.new.lane is not None:
            alarm.nudge()  # its end has let in the next

    def stands(self, live: Live) -> None:
        """See plait.drivers.journal.live.Host."""
        self.room.stands(live)
        if self.room.is_worth_a_look:
            self._worker.alarm.nudge()

    def stalled(self, live: Live, error: Exception) -> None:
        """See plait.drivers.journal.live.Host."""
        if isinstance(error, LostRace):
            self._drop(live)
            return
        self._worker.tasks.spawn(self._take_again(live, pause_after(live, error)))

    def let_go(self) -> list[Live]:
        """Do nothing any more in what is in memory; return it."""
        lives = list(self.lives.values())
        for live in lives:
            live.let_go()
        return lives

    async def give_back_all(self) -> None:
        """Give every execution back; whoever opens the store next takes them up."""
        lives = self.let_go()
        pumps = [live.pump for live in lives if live.pump is not None]
        await asyncio.gather(*pumps, return_exceptions=True)
        now_ms = self.now_ms()
        given = [self._deaths.give_back(live.summary, now_ms) for live in lives]
        await asyncio.gather(*given, return_exceptions=True)

    async def _give_back(self, summary: Summary) -> None:
        with suppress(StoreUnavailable):
            await self._release(summary.new.execution_id)
        self._worker.alarm.expect(summary.standing)

    async def _release(self, execution_id: str) -> None:
        worker = self._worker
        await worker.sure(worker.store.release(worker.name, [execution_id]))

    def _drop(self, live: Live) -> None:
        live.let_go()
        self._forget(live)

    def _forget(self, live: Live) -> None:
        execution_id = live.summary.new.execution_id
        # By now another may stand there: one that was overtaken, and claimed once more.
        if self.lives.get(execution_id) is live:
            del self.lives[execution_id]
            self.room.left(execution_id)

    # -- from the journal into memory --------------------------------------------------

    async def revive(self, held: Summary) -> None:
        """Bring an execution that this worker was just given into memory."""
        execution_id = held.new.execution_id
        async with self.alone_with(execution_id):
            overtaken = self.lives.get(execution_id)
            if overtaken is not None:
                if overtaken.summary.epoch >= held.epoch:
                    return  # it was taken once more since this claim
                self._drop(overtaken)
            await self._attempt(execution_id, self._rebuilt(held, None, is_claimed=True))

    def knows(self, held: Summary) -> bool:
        """Tell whether what the store says this worker holds is in memory as such.

        One that was overtaken, and that this worker got again since, is not; one that has
        stalled is being taken again.
        """
        live = self.lives.get(held.new.execution_id)
        return live is not None and (live.is_stalled or live.summary.epoch >= held.epoch)

    async def take_up(self, held: Summary) -> None:
        """Bring an execution into memory that is this worker's, by a lost answer."""
        execution_id = held.new.execution_id
        async with self.alone_with(execution_id):
            if self.knows(held):
                return
            overtaken = self.lives.get(execution_id)
            if overtaken is not None:
                self._drop(overtaken)
            await self._attempt(execution_id, self._taken(execution_id, None))

    async def fetch(self, execution_id: str) -> None:
        """Bring an execution into memory, due or not, unless a living worker holds it."""
        async with self.alone_with(execution_id):
            if execution_id not in self.lives:
                taken = self._taken(execution_id, None, is_claimed=True)
                await self._attempt(execution_id, taken)

    async def _attempt(self, execution_id: str, work: Awaitable[None]) -> None:
        try:
            await self._worker.sure(work)
        except StoreUnavailable as error:
            told = {"execution_id": execution_id}
            text = "execution %s waits for the store: %s"
            logger.warning(text, execution_id, error, extra=told)
        except LostRace:
            told = {"execution_id": execution_id}
            text = "execution %s is in other hands by now"
            logger.info(text, execution_id, extra=told)
        except Exception as error:
            self._worker.waiters.fail(execution_id, error)

    async def _take_again(self, live: Live, pause_s: float) -> None:
        """Get back an execution with events that are not recorded yet."""
        await asyncio.sleep(pause_s)
        execution_id = live.summary.new.execution_id
        for delay_s in chain(BACK_OFF_S, repeat(BACK_OFF_S[-1])):
            async with self.alone_with(execution_id):
                try:
                    if not live.is_over:
                        await self._taken(execution_id, live)
                except StoreUnavailable:
                    pass
                except LostRace:
                    self._drop(live)
                    return
                except Exception as error:
                    self._drop(live)
                    self._worker.waiters.fail(execution_id, error)
                    return
                else:
                    return
            await asyncio.sleep(delay_s)

    async def _taken(
        self, execution_id: str, live: Live | None, *, is_claimed: bool = False
    ) -> None:
        worker = self._worker
        held = await worker.store.take(worker.name, self.now_ms(), execution_id)
        if live is not None:
            live.takes += 1
        await self._rebuilt(held, live, is_claimed=is_claimed)

    async def _rebuilt(
        self, held: Summary, live: Live | None, *, is_claimed: bool = False
    ) -> None:
        """Put an execution that this worker holds into memory as its journal tells it.

        Raises:
            LostRace: It has changed hands again since.
        """
        execution_id = held.new.execution_id
        history = await self.journal.read(execution_id)
        found = history.summary
        if (found.epoch, found.owner) != (held.epoch, self._worker.name):
            # Whoever went on here would write under the epoch of the one who holds it.
            raise LostRace(execution_id)
        told = await self._worker.kernels.told(history)
        told.outstanding.look(lacks_of(self.calls))
        if found.standing.status != RUNNING:
            await self._part_with(found, live)
            return
        if found.lane_state == QUEUED:
            await self._give_back(found)
            return
        is_alone = live is not None and not live.is_overtaken(held)
        is_untold = is_untouched(history) or waits_for_worker(found.standing)
        is_unknown = not (is_alone or is_untold)
        if found.lane_state == LET_IN or is_put_off(found.standing):
            append, told = begun(found, told, self.now_ms())
            await self.journal.append(append)
            found, is_unknown = after(found, append), False
        elif is_claimed and told.state.end is None:
            found = await self._deaths.note(history, told, self.now_ms())
            if found.owner is None:
                self._worker.waiters.tell(found)
                return
        if live is not None and is_given_up(live, told):
            await self._give_up(history, told, live)
            return
        self._put(history, found, told, live, is_unknown=is_unknown)

    def _put(
        self,
        history: History,
        found: Summary,
        told: Telling,
        live: Live | None,
        *,
        is_unknown: bool,
    ) -> None:
        """Go on with `live`, or with a new one, from what the journal says."""
        execution_id = found.new.execution_id
        if live is None:
            live = Live(self, told.kernel, found, told.state, told.outstanding)
        live.history_bytes = sum(len(one.body) for one in history.entries)
        observer = self._worker.observer
        live.observed = observed(observer, found.new, told.state, history)
        self.lives[execution_id] = live
        self.room.stands(live)
        self._worker.waiters.failed.pop(execution_id, None)
        for message in history.waiting:
            live.hear(message)
        live.rebuild(found, told, is_unknown=is_unknown)
        standing = standing_of(live.state, live.outstanding)
        if told.outstanding.is_lacking or may_leave(standing, self.now_ms()):
            # Whoever looked wanted something of it, or nobody here acts on it.
            self.idle.append(live)
            self._worker.alarm.stir()

    async def _give_up(self, history: History, told: Telling, live: Live) -> None:
        """Let go of what the store does not record; nobody acts on it from then on."""
        parked = replace(history.summary, owner=None)
        if told.outstanding.is_quarantined:  # by others meanwhile: they saw it kill
            await self._release(parked.new.execution_id)
        else:
            parked = await self._deaths.park(history, told, self.now_ms())
        self._worker.waiters.tell(parked)
        self._drop(live)

    async def _part_with(self, ended: Summary, live: Live | None) -> None:
        """Give back what had ended already: it was that answer which was lost."""
        await self._release(ended.new.execution_id)
        if live is not None:
            self._drop(live)
        self._worker.waiters.tell(replace(ended, owner=None))
