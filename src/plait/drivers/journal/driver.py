"""The durable driver: holds executions, loses none, and lets go of those that wait.

Rule 1. A start is acknowledged when it is in the journal.
Rule 2. An execution is in memory only while something happens in it. One that waits for a
        moment or a message costs a row in the store, no more.
Rule 3. Whatever a worker held when it died is claimed and replayed by the next; calls that
        were under way are made again under the same idempotency key.

Not here: one execution's turns (plait.drivers.journal.live), what the bytes of a history
mean (plait.drivers.journal.history).
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from itertools import chain, repeat
from typing import Final, TypeVar
from weakref import WeakValueDictionary

from plait.drivers.children import Workflows
from plait.drivers.inline import Result
from plait.drivers.journal.adopting import Unwritten, write_down
from plait.drivers.journal.children import Children
from plait.drivers.journal.deaths import DEATHS_MAX, Deaths
from plait.drivers.journal.history import entry_of, is_untouched, origin_of
from plait.drivers.journal.kernels import Kernels
from plait.drivers.journal.live import Live
from plait.drivers.journal.lost import held_by, row_in
from plait.drivers.journal.messages import (
    cancel_message,
    decision_message,
    event_of,
    readable,
    signal_message,
)
from plait.drivers.journal.payload import (
    HISTORY_BYTES_MAX,
    PAYLOAD_BYTES_MAX,
    PayloadTooLarge,
)
from plait.drivers.journal.queued import end_queued
from plait.drivers.journal.refused import BACK_OFF_S, is_given_up, pause_after
from plait.drivers.journal.result import result_of
from plait.drivers.journal.standing import standing_of, waits_for_secret
from plait.drivers.journal.starting import after, begun, placed
from plait.drivers.journal.tasks import Tasks
from plait.drivers.journal.telling import Outstanding, ambient_of
from plait.drivers.journal.terms import Start, Store, Times, new_execution, started
from plait.drivers.journal.unsafe import UnsafeCounted
from plait.drivers.journal.waiters import Enough, Waiters, has_ended
from plait.kernel import Kernel
from plait.kernel.events import ApprovalDecided, CancelRequested
from plait.model.json import JsonObject, JsonValue
from plait.model.signal import check_signal
from plait.plan import Plan
from plait.ports.calls import Calls
from plait.ports.journal import (
    LET_IN,
    QUEUED,
    RUNNING,
    Journal,
    LostRace,
    Message,
    Standing,
    StoreUnavailable,
    Summary,
)
from plait.ports.leases import Leases

logger = logging.getLogger("plait.journal")

T = TypeVar("T")

CLAIM_LIMIT: Final = 200
# An execution that has nothing to do for this long leaves the memory until it has.
IDLE_MS_MAX: Final = 1_000


class JournalDriver:
    """Runs durable executions on the running event loop.

    Args:
        store: Keeps the histories.
        calls: Performs the calls.
        kernel_for: Returns what decides the executions of a plan.
        worker_id: Names this worker among all that share the store.
        env, secrets: As for `plait.drivers.inline.InlineDriver`.
        workflows: Finds the plans of `workflow` steps; None: there are no others.
        payload_bytes_max: What an input, or a call's answer, may bring into a history.
        history_bytes_max: With more in its history an execution fails.
        deaths_max: So many workers may an execution kill before it is quarantined.
        wall_clock_s: Tells the seconds since the Unix epoch; asked once.
    """

    def __init__(
        self,
        store: Store,
        calls: Calls,
        kernel_for: Callable[[Plan], Kernel],
        *,
        worker_id: str,
        env: JsonObject | None = None,
        secrets: Mapping[str, str] | None = None,
        times: Times | None = None,
        workflows: Workflows | None = None,
        payload_bytes_max: int = PAYLOAD_BYTES_MAX,
        history_bytes_max: int = HISTORY_BYTES_MAX,
        deaths_max: int = DEATHS_MAX,
        wall_clock_s: Callable[[], float] = time.time,
    ) -> None:
        self._store = store
        self.journal: Journal = store
        self.tasks = Tasks()
        self._counted = UnsafeCounted(calls)
        self.calls: Calls = self._counted
        self.children = Children(self, workflows or (lambda _: None), self.tasks.spawn)
        self.secrets: Mapping[str, str] = secrets or {}
        self.payload_bytes_max = payload_bytes_max
        self.history_bytes_max = history_bytes_max
        self.begins_anew = True
        self._leases: Leases = store
        self._worker_id = worker_id
        self.env = env or {}
        self._times = times or Times()
        self._lives: dict[str, Live] = {}
        self._kernels = Kernels(store, kernel_for, self.secrets)
        self._waiters = Waiters()
        self._idle: list[Live] = []
        self._stir = asyncio.Event()
        self._beat_at_ms = self._rest_until_ms = 0
        # True while the store may have done something whose answer was lost.
        self._is_unsure = False
        self.trouble: str | None = None  # the code that the latest look failed with
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        # Durations are monotonic: the wall clock is read once, then only added to.
        self._loop_s = asyncio.get_running_loop().time
        self._epoch_offset_s = wall_clock_s() - self._loop_s()
        self._deaths = Deaths(store, deaths_max, self.now_ms(), self._lives)

    def now_ms(self) -> int:
        """See plait.drivers.journal.live.Host."""
        return int((self._epoch_offset_s + self._loop_s()) * 1000)

    # -- life --------------------------------------------------------------------------

    async def open(self) -> None:
        """Become a worker, and take up what is due.

        Raises:
            StoreUnavailable: The store cannot be reached.
        """
        await self._leases.join(self._worker_id)
        await self._beat()
        self.tasks.spawn(self._work())
        self.tasks.spawn(self._notice())

    async def close(self) -> None:
        """Give every execution back; whoever opens the store next takes them up."""
        await self._finish_unsafe()
        lives = list(self._lives.values())
        for live in lives:
            live.let_go()
        pumps = [live.pump for live in lives if live.pump is not None]
        await asyncio.gather(*pumps, return_exceptions=True)
        now_ms = self.now_ms()
        given = [self._deaths.give_back(live.summary, now_ms) for live in lives]
        await asyncio.gather(*given, return_exceptions=True)
        await self.perish()
        with suppress(StoreUnavailable):
            await self._leases.leave(self._worker_id)

    async def _finish_unsafe(self) -> None:
        """Let unsafe calls end, and record what they came to, if that is soon."""
        with suppress(TimeoutError):
            async with asyncio.timeout(self._times.unsafe_grace_ms / 1000):
                while not self._counted.is_quiet.is_set():
                    await self._counted.is_quiet.wait()
                    pumps = [one.pump for one in self._lives.values() if one.pump]
                    if pumps:
                        await asyncio.wait(pumps)

    async def perish(self) -> None:
        """Stop at once and give nothing back, as a crash would: for tests of just that."""
        lives = list(self._lives.values())
        for live in lives:
            live.let_go()
        await self.tasks.end(live.work for live in lives if live.work is not None)
        self._lives.clear()

    # -- verbs -------------------------------------------------------------------------

    async def start(self, plan: Plan, start: Start) -> Summary:
        """Begin an execution; it is durable when this returns.

        It may have to wait for its turn: then its row says that it is queued.

        Returns:
            Its row; another execution's, when the key was used before.

        Raises:
            PayloadTooLarge: Its input is larger than a history takes in.
            Unplaceable: Its lane or priority cannot be told from its input.
            LostRace: The execution's id is taken.
            StoreUnavailable: Nothing was begun, or nothing is known of it.
        """
        kernel = await self._kernels.of(plan)
        event = started(kernel, start, self.env, self.now_ms(), self.secrets)
        state, turn = kernel.start(event, ambient_of(event, self.secrets))
        outstanding = Outstanding()
        outstanding.ask(turn.commands)
        standing = standing_of(state, outstanding)
        new = placed(new_execution(plan, start, event.at_ms), plan, event, start.priority)
        entries = [entry_of(turn.events, origin_of(new))]
        byte_count, byte_count_max = len(entries[0].body), self.payload_bytes_max
        if byte_count > byte_count_max:
            raise PayloadTooLarge(byte_count=byte_count, byte_count_max=byte_count_max)

        async def begin() -> Summary:
            async with self._alone_with(start.execution_id):
                wanted = self.journal.create(new, entries, standing, self._worker_id)
                created = await self._sure(wanted)
                is_ours = created.is_new and created.summary.lane_state != QUEUED
                if is_ours and standing.status == RUNNING:
                    live = Live(self, kernel, created.summary, state, outstanding)
                    live.history_bytes = byte_count
                    if self._holds(live):
                        live.act(turn.commands)
            return created.summary

        return await self.tasks.whole(begin())

    async def adopt(self, live: Live, unwritten: Unwritten) -> Summary:
        """Take over an execution that has run unwritten; it is durable when this returns.

        Raises:
            StoreUnavailable: It was not taken over, and is not written.
        """
        await self._kernels.of(live.kernel.plan)
        execution_id = unwritten.new.execution_id
        async with self._alone_with(execution_id):
            asked = write_down(self._store, self._worker_id, self.now_ms(), unwritten)
            try:
                live.summary = await self._sure(asked)
            except LostRace:
                live.let_go()
                return await row_in(self._store, execution_id)
            live.host = self
            if unwritten.standing.status == RUNNING and not self._holds(live):
                live.let_go()
        return live.summary

    def may_leave(self, standing: Standing, now_ms: int) -> bool:
        """See plait.drivers.journal.live.Host."""
        wake_at_ms = standing.wake_at_ms
        return wake_at_ms is None or wake_at_ms > now_ms + IDLE_MS_MAX

    def stir(self) -> None:
        """Look for what is due now: somebody has made something due."""
        self._beat_at_ms = 0
        self._stir.set()

    async def cancel(self, execution_id: str, reason: str, message_id: str) -> None:
        """Ask for an execution's end, whoever holds it.

        Raises:
            UnknownExecution: There is none of that id.
        """
        message = cancel_message(execution_id, reason, message_id)
        await self._post(message)
        if execution_id not in self._lives:
            event = CancelRequested(reason, self.now_ms())
            end = end_queued(self._store, self._kernels, self._worker_id, event, message)
            if (ended := await self._sure(end)) is not None:
                self._waiters.tell(ended)

    async def _post(self, message: Message) -> None:
        await self.journal.post(message)
        live = self._lives.get(message.execution_id)
        if live is not None:
            live.hear(message.message_id, event_of(message, self.now_ms()))
        else:
            self.stir()

    async def signal(
        self, execution_id: str, name: str, payload: JsonValue, signal_id: str
    ) -> None:
        """Tell an execution something, whoever holds it; of one id once.

        It is durable when this returns.

        Raises:
            InvalidSignal: No signal can have this name or payload.
            UnknownExecution: There is no execution of that id.
        """
        check_signal(name, payload)
        await self._post(signal_message(execution_id, name, payload, signal_id))

    async def decide(
        self, execution_id: str, decided: ApprovalDecided, message_id: str
    ) -> None:
        """Tell an execution what somebody decided, whoever holds it.

        It is durable when this returns; it counts if the step asks and whoever decided may.

        Raises:
            UnknownExecution: There is no execution of that id.
        """
        await self._post(decision_message(execution_id, decided, message_id))

    def ours(self) -> tuple[Store, Kernels, str, int]:
        """See plait.drivers.journal.children.Parent."""
        return self._store, self._kernels, self._worker_id, self.now_ms()

    async def ended(self, execution_id: str, until: Enough = has_ended) -> Summary:
        """Wait until an execution has ended, wherever it runs; return its row then.

        Args:
            until: Says of how it stands whether that is enough.

        Raises:
            UnknownExecution: There is none of that id.
            PlaitError: This worker holds it, and it cannot go on: its history is damaged.
        """
        with self._waiters.waiting(execution_id, until) as told:
            if execution_id not in self._lives:
                summary = await row_in(self._store, execution_id)
                if until(summary.standing):
                    return summary
                if summary.owner == self._worker_id:
                    self._waiters.fail(execution_id)
            return await told

    async def result(self, execution_id: str) -> Result:
        """Return the result of an execution that has ended.

        Raises:
            UnknownExecution: There is none of that id.
            HistoryDamaged: Its history is not the one that was written.
        """
        history = await self.journal.read(execution_id)
        return result_of(history, (await self._kernels.told(history)).state)

    # -- what executions in memory tell ------------------------------------------------

    def gone(self, live: Live, summary: Summary) -> None:
        """See plait.drivers.journal.live.Host."""
        self._forget(live)
        standing = summary.standing
        self._waiters.tell(summary)
        if standing.status == RUNNING and live.inbox:
            # A message came while it went: whoever looks claims it for that message.
            self.stir()
        elif standing.status == RUNNING:
            self._expect(standing)
        elif summary.new.lane is not None:
            # Its end has let in the next.
            self._stir.set()

    def stalled(self, live: Live, error: Exception) -> None:
        """See plait.drivers.journal.live.Host."""
        if isinstance(error, LostRace):
            self._drop(live)
            return
        self.tasks.spawn(self._take_again(live, pause_after(live, error)))

    def _holds(self, live: Live) -> bool:
        """Keep a new execution in memory, unless all that it does is to wait."""
        summary = live.summary
        if self.may_leave(summary.standing, self.now_ms()):
            self.tasks.spawn(self._give_back(summary))
            return False
        self._lives[summary.new.execution_id] = live
        return True

    async def _give_back(self, summary: Summary) -> None:
        with suppress(StoreUnavailable):
            name = summary.new.execution_id
            await self._sure(self._leases.release(self._worker_id, [name]))
        self._expect(summary.standing)

    def _expect(self, standing: Standing) -> None:
        """Look again in time for an execution that has left the memory."""
        if (at_ms := standing.wake_at_ms) is not None and at_ms < self._rest_until_ms:
            self._stir.set()

    def _drop(self, live: Live) -> None:
        live.let_go()
        self._forget(live)

    def _forget(self, live: Live) -> None:
        execution_id = live.summary.new.execution_id
        # By now another may stand there: one that was overtaken, and claimed once more.
        if self._lives.get(execution_id) is live:
            del self._lives[execution_id]

    # -- from the journal into memory --------------------------------------------------

    async def _revive(self, held: Summary) -> None:
        """Bring an execution that this worker was just given into memory."""
        execution_id = held.new.execution_id
        async with self._alone_with(execution_id):
            overtaken = self._lives.get(execution_id)
            if overtaken is not None:
                if overtaken.summary.epoch >= held.epoch:
                    return  # it was taken once more since this claim
                self._drop(overtaken)
            await self._attempt(execution_id, self._rebuilt(held, None, is_claimed=True))
        wake_at_ms = held.standing.wake_at_ms
        if wake_at_ms is None or wake_at_ms > self.now_ms():
            # A message made it due, and comes with the next beat.
            self.stir()

    async def _take_up(self, execution_id: str) -> None:
        """Bring an execution into memory that is this worker's, by a lost answer."""
        async with self._alone_with(execution_id):
            if execution_id not in self._lives:
                await self._attempt(execution_id, self._taken(execution_id, None))

    async def _attempt(self, execution_id: str, work: Awaitable[None]) -> None:
        try:
            await self._sure(work)
        except StoreUnavailable as error:
            logger.warning("execution %s waits for the store: %s", execution_id, error)
        except LostRace:
            logger.info("execution %s is in other hands by now", execution_id)
        except Exception as error:
            # It stays this worker's, so that nobody claims it over and over again.
            self._waiters.fail(execution_id, error)

    async def _take_again(self, live: Live, pause_s: float) -> None:
        """Get back an execution with events that are not recorded yet."""
        await asyncio.sleep(pause_s)
        execution_id = live.summary.new.execution_id
        for delay_s in chain(BACK_OFF_S, repeat(BACK_OFF_S[-1])):
            async with self._alone_with(execution_id):
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
                    self._waiters.fail(execution_id, error)
                    return
                else:
                    return
            await asyncio.sleep(delay_s)

    async def _taken(self, execution_id: str, live: Live | None) -> None:
        held = await self._leases.take(self._worker_id, self.now_ms(), execution_id)
        await self._rebuilt(held, live)

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
        if (found.epoch, found.owner) != (held.epoch, self._worker_id):
            # Whoever went on here would write under the epoch of the one who holds it.
            raise LostRace(execution_id)
        told = await self._kernels.told(history)
        if found.standing.status != RUNNING:
            await self._part_with(found, live)
            return
        if found.lane_state == QUEUED:
            await self._give_back(found)
            return
        is_unknown = not (live or is_untouched(history) or waits_for_secret(found.standing))
        if found.lane_state == LET_IN:
            append, told = begun(found, told, self.now_ms())
            await self.journal.append(append)
            found, is_unknown = after(found, append), False
        elif is_claimed and told.state.end is None:
            found = await self._deaths.note(history, told, self.now_ms())
            if found.owner is None:
                self._waiters.tell(found)
                return
        if live is None:
            live = Live(self, told.kernel, found, told.state, told.outstanding)
        elif is_given_up(live, told):
            self._waiters.tell(await self._deaths.park(history, told, self.now_ms()))
            self._drop(live)
            return
        live.history_bytes = sum(len(one.body) for one in history.entries)
        self._lives[execution_id] = live
        self._waiters.failed.pop(execution_id, None)
        live.rebuild(found, told, is_unknown=is_unknown)
        standing = standing_of(live.state, live.outstanding)
        if told.outstanding.is_lacking or self.may_leave(standing, self.now_ms()):
            # Somebody left a message for the next beat, or nobody here acts on it.
            self._idle.append(live)
            self.stir()

    async def _part_with(self, ended: Summary, live: Live | None) -> None:
        """Give back what had ended already: it was that answer which was lost."""
        await self._leases.release(self._worker_id, [ended.new.execution_id])
        if live is not None:
            self._drop(live)
        self._waiters.tell(replace(ended, owner=None))

    def _alone_with(self, execution_id: str) -> asyncio.Lock:
        """Return what lets one at a time bring an execution into memory."""
        return self._locks.setdefault(execution_id, asyncio.Lock())

    async def _sure(self, work: Awaitable[T]) -> T:
        """Do what may give this worker executions; remember if its answer was lost."""
        try:
            return await work
        except StoreUnavailable:
            self._is_unsure = True
            raise

    async def _find_lost(self) -> None:
        """Take up what is this worker's without its knowing."""
        self._is_unsure = False
        async for execution_id in held_by(self._worker_id, self.journal):
            if execution_id not in self._lives:
                self.tasks.spawn(self._take_up(execution_id))

    # -- a worker's rounds -------------------------------------------------------------

    async def _work(self) -> None:
        """Claim what is due, again and again: with each beat, when stirred, when due."""
        while True:
            next_wake_at_ms = await self._look()
            await self._rest(next_wake_at_ms)

    async def _notice(self) -> None:
        """Stir the worker whenever somebody else may have written."""
        while True:
            try:
                await self._leases.changed()
            except Exception as error:
                logger.warning("the store does not tell of changes: %r", error)
                await asyncio.sleep(BACK_OFF_S[-1])
            self.stir()

    async def _look(self) -> int | None:
        """Beat if it is time, claim, revive; return when the next execution is due."""
        try:
            if self.now_ms() >= self._beat_at_ms:
                await self._beat()
            now_ms = self.now_ms()
            if self._is_unsure:
                await self._sure(self._find_lost())
            wanted = self._leases.claim(self._worker_id, now_ms, CLAIM_LIMIT)
            claimed = await self._sure(wanted)
        except StoreUnavailable as error:
            self.trouble = error.code
            logger.warning("the store gives no answer: %s", error)
            return None
        except Exception as error:
            # Whatever that was, it keeps nobody from what this worker holds already.
            self.trouble = getattr(error, "code", "internal")
            logger.exception("nothing can be taken up from the store")
            return None
        self.trouble = None
        for summary in claimed.executions:
            self.tasks.spawn(self._revive(summary))
        is_all = len(claimed.executions) < CLAIM_LIMIT
        return claimed.next_wake_at_ms if is_all else now_ms

    async def _rest(self, next_wake_at_ms: int | None) -> None:
        until_ms = max(self._beat_at_ms, self.now_ms())
        if next_wake_at_ms is not None:
            until_ms = min(until_ms, next_wake_at_ms)
        self._rest_until_ms = until_ms
        with suppress(TimeoutError):
            async with asyncio.timeout(max(until_ms - self.now_ms(), 0) / 1000):
                await self._stir.wait()
        self._stir.clear()

    async def _beat(self) -> None:
        now_ms = self.now_ms()
        self._beat_at_ms = now_ms + self._times.beat_ms
        until_ms = now_ms + self._times.lease_ms
        idle = list(self._idle)
        for message in await self._leases.beat(self._worker_id, now_ms, until_ms):
            live = self._lives.get(message.execution_id)
            event = None if live is None else readable(message, now_ms)
            if live is not None and event is not None:
                live.hear(message.message_id, event)
        del self._idle[: len(idle)]
        for live in idle:
            live.rest()
        await self._waiters.look(self.journal, self._lives.keys())
