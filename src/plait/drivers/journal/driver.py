"""The durable driver: holds executions, loses none, and lets go of those that wait.

Rule 1. A start is acknowledged when it is in the journal.
Rule 2. An execution is in memory only while something happens in it. One that waits for a
        moment or a message costs a row in the store, no more.
Rule 3. Whatever a worker held when it died is claimed and replayed by the next; calls that
        were under way are made again under the same idempotency key.

Not here: how executions come into memory and leave it (plait.drivers.journal.holding), when
a worker looks for what is due (plait.drivers.journal.rounds).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress

from plait.drivers.children import Workflows
from plait.drivers.inline import Result
from plait.drivers.journal.adopting import Unwritten, write_down
from plait.drivers.journal.children import Children
from plait.drivers.journal.deaths import DEATHS_MAX
from plait.drivers.journal.history import entry_of, origin_of
from plait.drivers.journal.holding import Holding, may_leave
from plait.drivers.journal.kernels import Kernels
from plait.drivers.journal.live import Live
from plait.drivers.journal.lost import row_in
from plait.drivers.journal.messages import (
    cancel_message,
    decision_message,
    signal_message,
)
from plait.drivers.journal.observing import begun, observed, result_in
from plait.drivers.journal.payload import (
    HISTORY_BYTES_MAX,
    PAYLOAD_BYTES_MAX,
    PayloadTooLarge,
)
from plait.drivers.journal.queued import end_queued
from plait.drivers.journal.result import result_of
from plait.drivers.journal.rounds import Rounds
from plait.drivers.journal.standing import is_put_off, standing_of
from plait.drivers.journal.starting import placed
from plait.drivers.journal.telling import Outstanding, ambient_of
from plait.drivers.journal.terms import (
    BACKLOG_MAX,
    HELD_MAX,
    Limits,
    Start,
    Store,
    Times,
    new_execution,
    started,
)
from plait.drivers.journal.unsafe import UnsafeCounted
from plait.drivers.journal.waiters import Enough, has_ended
from plait.drivers.journal.worker import Worker
from plait.drivers.tenancy import secrets_of
from plait.kernel import Kernel
from plait.kernel.events import ApprovalDecided, CancelRequested
from plait.model.json import JsonObject, JsonValue
from plait.model.signal import check_signal
from plait.plan import Plan
from plait.ports.calls import Calls, lacks_of
from plait.ports.journal import (
    QUEUED,
    RUNNING,
    LostRace,
    Message,
    Standing,
    StoreUnavailable,
    Summary,
)
from plait.ports.observer import Observer


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
        held_max, backlog_max: As `plait.drivers.journal.terms.Limits`.
        wall_clock_s: Tells the seconds since the Unix epoch; asked once.
        observer: Hears of executions, turn by turn; None: nobody does.

    Attributes:
        room: How many executions it takes into memory; whoever starts some for others asks
            it first (`Room.check`).
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
        held_max: int = HELD_MAX,
        backlog_max: int = BACKLOG_MAX,
        wall_clock_s: Callable[[], float] = time.time,
        observer: Observer | None = None,
    ) -> None:
        secrets = secrets or {}
        kernels = Kernels(store, kernel_for, secrets)
        worker = Worker(worker_id, store, kernels, times or Times(), wall_clock_s, observer)
        self._worker = worker
        self.observer = observer
        self._counted = UnsafeCounted(calls)
        self.calls: Calls = self._counted
        self.tasks = worker.tasks
        self.children = Children(self, workflows or (lambda *_: None), self.tasks.spawn)
        self.secrets: Mapping[str, str] = secrets
        self.env = env or {}
        limits = (payload_bytes_max, history_bytes_max, deaths_max, held_max, backlog_max)
        self._limits = Limits(*limits)
        self._holding = Holding(worker, self.calls, self.children, secrets, self._limits)
        self.room = self._holding.room
        self._rounds = Rounds(worker, self._holding)

    def now_ms(self) -> int:
        """Return the moment, milliseconds since the Unix epoch; it never goes back."""
        return self._worker.now_ms()

    @property
    def trouble(self) -> str | None:
        """The code that the latest look into the store failed with; None: it went well."""
        return self._rounds.trouble

    # -- life --------------------------------------------------------------------------

    async def open(self) -> None:
        """Become a worker, and take up what is due.

        Raises:
            StoreUnavailable: The store cannot be reached.
        """
        await self._rounds.begin()

    async def close(self) -> None:
        """Give every execution back; whoever opens the store next takes them up."""
        await self._finish_unsafe()
        await self._holding.give_back_all()
        await self.perish()
        with suppress(StoreUnavailable):
            await self._worker.store.leave(self._worker.name)

    async def _finish_unsafe(self) -> None:
        """Let unsafe calls end, and record what they came to, if that is soon."""
        lives = self._holding.lives
        with suppress(TimeoutError):
            async with asyncio.timeout(self._worker.times.unsafe_grace_ms / 1000):
                while not self._counted.is_quiet.is_set():
                    await self._counted.is_quiet.wait()
                    pumps = [one.pump for one in lives.values() if one.pump]
                    if pumps:
                        await asyncio.wait(pumps)

    async def perish(self) -> None:
        """Stop at once and give nothing back, as a crash would: for tests of just that."""
        lives = self._holding.let_go()
        await self.tasks.end(live.work for live in lives if live.work is not None)
        self._holding.lives.clear()

    # -- verbs -------------------------------------------------------------------------

    async def start(self, plan: Plan, start: Start) -> Summary:
        """Begin an execution; it is durable when this returns.

        It may have to wait for its turn: then its row says that it is queued, or that there
        is no room.

        Returns:
            Its row; another execution's, when the key was used before.

        Raises:
            PayloadTooLarge: Its input is larger than a history takes in.
            Unplaceable: Its lane or priority cannot be told from its input.
            LostRace: The execution's id is taken.
            HoldLost: `start.under` holds no more.
            StoreUnavailable: Nothing was begun, or nothing is known of it.
        """
        kernel = await self._worker.kernels.of(plan)
        secrets = secrets_of(start.tenant, self.secrets)
        event = started(kernel, start, self.env, self.now_ms(), secrets)
        state, turn = kernel.start(event, ambient_of(event, secrets))
        outstanding = Outstanding(lacks=lacks_of(self.calls))
        outstanding.ask(turn.commands)
        standing = standing_of(state, outstanding)
        new = placed(new_execution(plan, start, event.at_ms), plan, event, start.priority)
        entries = [entry_of(turn.events, origin_of(new))]
        byte_count = len(entries[0].body)
        byte_count_max = self._limits.payload_bytes_max
        if byte_count > byte_count_max:
            raise PayloadTooLarge(byte_count=byte_count, byte_count_max=byte_count_max)

        is_awaited = start.execution_id in self._worker.waiters.ids
        told = observed(self.observer, new, state, is_awaited=is_awaited)
        acts = standing.status == RUNNING and not may_leave(standing, event.at_ms)
        is_child = start.parent is not None

        async def begin(standing: Standing) -> Summary:
            worker, holding = self._worker, self._holding
            async with holding.alone_with(start.execution_id):
                row = new, entries, standing
                if told is not None:
                    told.ask()
                wanted = worker.store.create(*row, worker.name, start.under)
                created = await worker.sure(wanted)
                if created.is_new:
                    begun(told, turn.events)
                    ended = result_in(told, created.summary)
                    worker.waiters.tell(created.summary, ended)
                is_ours = created.is_new and created.summary.lane_state != QUEUED
                if is_ours and is_put_off(standing):
                    holding.put_off(start.execution_id)
                elif is_ours and standing.status == RUNNING:
                    live = Live(holding, kernel, created.summary, state, outstanding)
                    live.history_bytes, live.observed = byte_count, told
                    if holding.keep(live):
                        live.act(turn.commands)
                        if outstanding.is_lacking:
                            live.rest()
            return created.summary

        async def enter() -> Summary:
            room = self.room.entering(standing, byte_count, acts=acts, is_child=is_child)
            with room as stands:
                return await begin(stands)

        return await self.tasks.whole(enter())

    async def adopt(self, live: Live, unwritten: Unwritten) -> Summary:
        """Take over an execution that has run unwritten; it is durable when this returns.

        Raises:
            StoreUnavailable: It was not taken over, and is not written.
        """
        await self._worker.kernels.of(live.kernel.plan)
        execution_id = unwritten.new.execution_id
        worker, holding = self._worker, self._holding
        async with holding.alone_with(execution_id):
            asked = write_down(worker.store, worker.name, worker.now_ms(), unwritten)
            try:
                live.summary = await worker.sure(asked)
            except LostRace:
                live.let_go()
                return await row_in(worker.store, execution_id)
            live.host = holding
            if unwritten.standing.status == RUNNING and not holding.keep(live):
                live.let_go()
        return live.summary

    def may_leave(self, standing: Standing, now_ms: int) -> bool:
        """Tell whether an execution that stands so leaves the memory until it is due."""
        return may_leave(standing, now_ms)

    def stir(self) -> None:
        """Look for what is due now: somebody has made something due."""
        self._worker.alarm.stir()

    async def take_up(self, execution_id: str) -> None:
        """Go on with an execution now, due or not, unless a living worker holds it.

        Raises:
            UnknownExecution: There is none of that id.
        """
        summary = await row_in(self._worker.store, execution_id)
        is_waiting = summary.standing.wake_at_ms is not None
        if summary.standing.status == RUNNING and is_waiting:
            await self.tasks.whole(self._holding.fetch(execution_id))

    async def cancel(self, execution_id: str, reason: str, message_id: str) -> None:
        """Ask for an execution's end, whoever holds it.

        Raises:
            UnknownExecution: There is none of that id.
        """
        message = cancel_message(execution_id, reason, message_id)
        await self._post(message)
        if execution_id not in self._holding.lives:
            store, kernels, worker_id, now_ms = self.ours()
            event = CancelRequested(reason, now_ms)
            end = end_queued(store, kernels, worker_id, event, message)
            if (ended := await self._worker.sure(end)) is not None:
                self._worker.waiters.tell(ended)

    async def _post(self, message: Message) -> None:
        await self._worker.store.post(message)
        live = self._holding.lives.get(message.execution_id)
        if live is not None:
            live.hear(message)
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
        worker = self._worker
        return worker.store, worker.kernels, worker.name, worker.now_ms()

    async def ended(self, execution_id: str, until: Enough = has_ended) -> Summary:
        """Wait until an execution has ended, wherever it runs; return its row then.

        Args:
            until: Says of how it stands whether that is enough.

        Raises:
            UnknownExecution: There is none of that id.
            PlaitError: This worker holds it, and it cannot go on: its history is damaged.
        """
        worker = self._worker
        with worker.waiters.waiting(execution_id, until) as told:
            if execution_id not in self._holding.lives:
                summary = await row_in(worker.store, execution_id)
                if until(summary.standing):
                    return summary
                if summary.owner == worker.name:
                    worker.waiters.fail(execution_id)
            return await told

    @contextmanager
    def awaiting(self, execution_id: str) -> Iterator[None]:
        """Say that somebody waits for what an execution comes to, before it is begun.

        If it ends in this worker's memory, `result` needs not read its history.
        """
        with self._worker.waiters.waiting(execution_id, has_ended):
            yield

    async def result(self, execution_id: str) -> Result:
        """Return the result of an execution that has ended.

        Raises:
            UnknownExecution: There is none of that id.
            HistoryDamaged: Its history is not the one that was written.
        """
        worker = self._worker
        known = worker.waiters.results.get(execution_id)
        if known is not None:
            return known
        with self.room.asking():
            history = await worker.store.read(execution_id)
        return result_of(history, (await worker.kernels.told(history)).state)
