"""One durable execution in memory: an inbox, the kernel's state, and what is under way.

Rule 1. Decide, record, act: commands are performed after the turn that gave them is in the
        journal, and the caller is told of nothing before.
Rule 2. Events wait in the inbox while a turn is being recorded; all that have gathered
        are decided and recorded together.
Rule 3. What could not be recorded has not happened: the execution stalls, its state is
        built anew from the journal, and the events are heard again.
Rule 4. An event that cannot be decided stops nobody: an answer counts as a failed call,
        anything else is passed over. Whatever else arrives, a wish to cancel for one, is
        decided as ever.

Not here: which executions are in memory (plait.drivers.journal.holding).
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol, assert_never

from plait.drivers.children import KIND
from plait.drivers.journal.anew import begun_anew
from plait.drivers.journal.children import Children
from plait.drivers.journal.history import entry_of
from plait.drivers.journal.messages import readable
from plait.drivers.journal.observing import Observed
from plait.drivers.journal.payload import PayloadTooLarge, history_full
from plait.drivers.journal.standing import (
    SecretMissing,
    WorkerMissing,
    ids_of,
    needs_of,
    row_of,
)
from plait.drivers.journal.telling import Outstanding, Telling
from plait.drivers.redact import redacted, replied_without
from plait.drivers.tenancy import owned
from plait.kernel import (
    CancelCall,
    CancelTimer,
    Command,
    Execution,
    Kernel,
    StartCall,
    StartTimer,
)
from plait.kernel.events import (
    CallCompleted,
    CallFailed,
    CancelRequested,
    CompensationRequested,
    HistoryRefused,
    OutcomeUnknown,
    OutsideEvent,
    TimerFired,
)
from plait.model.errors import Advice, PlaitError
from plait.model.failure import Failure
from plait.ports.calls import CallHandle, CallReply, Calls, Outcome
from plait.ports.journal import RUNNING, Append, Entry, Hold, Message, Standing, Summary

logger = logging.getLogger("plait.journal")


class Undecidable(Exception):
    """Plait itself failed when it decided an event."""


class Recorder(Protocol):
    """What takes in the turns of an execution."""

    def append(self, append: Append) -> Awaitable[None]:
        """See plait.ports.journal.Journal."""
        ...


class Host(Protocol):
    """What an execution in memory needs of whoever holds it."""

    calls: Calls
    children: Children
    secrets: Mapping[str, str]
    payload_bytes_max: int
    history_bytes_max: int
    # Whether a long history begins anew: not before it is written anywhere.
    begins_anew: bool

    @property
    def journal(self) -> Recorder:
        """Where its turns are recorded."""
        ...

    def may_leave(self, standing: Standing, now_ms: int) -> bool:
        """Tell whether an execution that stands so leaves the memory until it is due."""
        ...

    def now_ms(self) -> int:
        """Return the moment, milliseconds since the Unix epoch; it never goes back."""
        ...

    def gone(self, live: Live, summary: Summary) -> None:
        """The execution has ended, or waits, and is held no more.

        `live.inbox` may hold what has arrived too late to be recorded.
        """
        ...

    def stands(self, live: Live) -> None:
        """It waits for something of another kind than before: for its children, say."""
        ...

    def stalled(self, live: Live, error: Exception) -> None:
        """Deciding or recording failed; `live` does nothing until it is rebuilt."""
        ...


@dataclass(slots=True, eq=False)
class Live:
    """One execution under way.

    Attributes:
        inbox: Events to be decided, each with the message that brought it, if one did;
            None: the event is passed over, and the message counts as heard.
        messages: The messages that it has been told of already.
        aside: Those among them that cannot be read.
        unrecorded: Events decided on whose record has not been acknowledged.
        passed_over: Timers, and attempts of steps, whose event could not be decided.
        handles: By step, the attempt and the call of it that is under way.
        history_bytes: How much its entries come to.
        long_from: With more events than this it is looked whether its history is to begin
            anew.
        refusals: How often in a row the store has refused what it has decided.
        takes: How often it was taken again since it was built from its journal.
        postponed: What it does once it has heard what waited for it: calls and timers that
            were under way when it was built, and whether another may have made those.
        is_to_rest: True when it shall leave the memory if there is nothing to do in it.
        is_stalled: True while its state is not to be trusted; events only gather.
        is_over: True once it is no longer held: it does nothing any more.
        observed: Hears of what is recorded; None: nobody wants to know.
        pump: Done when nothing is left to decide or to record; None: nothing is.
        work: What it waits for before it goes on: most often that a turn is recorded. That
            needs no task if the store gives a future; making one takes 2.6 µs.
    """

    host: Host
    kernel: Kernel
    summary: Summary
    state: Execution
    outstanding: Outstanding
    inbox: deque[tuple[OutsideEvent | None, str | None]] = field(default_factory=deque)
    unrecorded: list[tuple[OutsideEvent | None, str | None]] = field(default_factory=list)
    passed_over: set[int | tuple[str, int]] = field(default_factory=set)
    handles: dict[str, tuple[int, CallHandle]] = field(default_factory=dict)
    timers: dict[int, asyncio.TimerHandle] = field(default_factory=dict)
    pump: asyncio.Future[None] | None = None
    work: asyncio.Future[None] | None = None
    # Asked for each time it would be a system call each time.
    loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.get_running_loop)
    messages: set[str] = field(default_factory=set)
    aside: set[str] = field(default_factory=set)
    history_bytes: int = 0
    long_from: int = 0
    refusals: int = 0
    takes: int = 0
    postponed: tuple[list[StartCall], list[StartTimer], bool] | None = None
    is_to_rest: bool = False
    is_stalled: bool = False
    is_over: bool = False
    observed: Observed | None = None

    def feed(self, event: OutsideEvent | None, message_id: str | None = None) -> None:
        """Take in an event; it is decided as soon as what is being recorded is recorded."""
        if self.is_over:
            return
        self.inbox.append((event, message_id))
        self._wake()

    def hear(self, message: Message) -> None:
        """Take in a message, once: it is told again until it is recorded.

        One that cannot be read is put aside with the next record.
        """
        message_id = message.message_id
        if message_id not in self.messages:
            self.messages.add(message_id)
            event = readable(message, self.host.now_ms())
            if event is None:
                self.aside.add(message_id)
            self.feed(event, message_id)

    def rest(self) -> None:
        """Leave the memory if there is nothing to do."""
        self.is_to_rest = True
        self._wake()

    def wake(self) -> None:
        """Go on: its state is to be trusted again."""
        self.is_stalled = False
        self._wake()

    def _wake(self) -> None:
        if self._has_work() and self.pump is None and not self.is_stalled:
            self.pump = self.loop.create_future()
            self.loop.call_soon(self._turn)

    def _has_work(self) -> bool:
        return bool(self.inbox or self.outstanding.given_up) or self.is_to_rest

    def _turn(self) -> None:
        """Decide what has gathered and have it recorded, until there is nothing to do."""
        try:
            while self._has_work() and not (self.is_over or self.is_stalled):
                if self.outstanding.given_up:
                    self._await(self._end_children(), lambda: None)
                    return
                self.is_to_rest = False
                commands, append = self._decide()
                if append is not None:
                    then = partial(self._go_on, append, commands)
                    self._await(self._record(append), then)
                    return
        except Exception as error:
            self._stall(error)
        pump, self.pump = self.pump, None
        if pump is not None and not pump.done():
            pump.set_result(None)

    def _record(self, append: Append) -> Awaitable[None]:
        if self.observed is not None:
            self.observed.ask()
        return self.host.journal.append(append)

    def _go_on(self, append: Append, commands: list[Command]) -> None:
        self._recorded(append)
        self._take_over()
        self.act(commands)

    def _await(self, work: Awaitable[None], then: Callable[[], None]) -> None:
        """Do `then`, and what has gathered meanwhile, when `work` is done."""

        def go_on(done: asyncio.Future[None]) -> None:
            self.work = None
            try:
                done.result()
                then()
            except asyncio.CancelledError:
                self.is_stalled = True
            except Exception as error:
                self._stall(error)
            self._turn()

        self.work = asyncio.ensure_future(work, loop=self.loop)
        self.work.add_done_callback(go_on)

    def _stall(self, error: Exception) -> None:
        self.is_stalled = True
        self.host.stalled(self, error)

    async def _end_children(self) -> None:
        """Cancel the children that are recorded as given up; then it may leave, or end."""
        given_up = self.outstanding.given_up
        await self.host.children.end(given_up)
        given_up.clear()
        self.is_to_rest = True

    def _decide(self) -> tuple[list[Command], Append | None]:
        """Decide all that is in the inbox; return what to do after it is recorded."""
        commands: list[Command] = []
        entries: list[Entry] = []
        heard: list[str] = []
        digest = self.summary.head
        if self._is_long() and (anew := self._begun_anew()) is not None:
            entries.append(anew)
            digest = anew.digest
        begins_history = bool(entries)
        while self.inbox:
            event, message_id = self.inbox.popleft()
            self.unrecorded.append((event, message_id))
            if message_id is not None:
                heard.append(message_id)
            if event is None:
                continue
            try:
                turn = self.kernel.decide(self.state, event)
                if turn.events:
                    entries.append(entry_of(turn.events, digest))
                    self._check_size(event, entries[-1])
                    digest = entries[-1].digest
                    self.outstanding.hear(event)
                    self.outstanding.ask(turn.commands)
                    commands += turn.commands
                    self._count(entries[-1])
                    if self.observed is not None:
                        self.observed.hear(turn.events)
            except Exception as error:
                self._pass_over(event, error)
                if isinstance(error, PayloadTooLarge):
                    raise
                raise Undecidable(f"{type(event).__name__} cannot be decided") from error
            if self.refusals and entries:
                break  # one by one: what is refused keeps nothing else back
        append = self._append(entries, tuple(heard), begins_history)
        if entries or heard or append.is_released:
            return commands, append
        self.unrecorded.clear()
        return commands, None

    def _is_long(self) -> bool:
        """Tell whether the history is to begin anew, if that makes it shorter.

        Not when the store has refused something: it might be just that entry.
        """
        count = self.state.event_count
        may_be = count > self.long_from and self.inbox and not self.refusals
        is_ours = self.host.begins_anew and not self.outstanding.is_quarantined
        return bool(may_be and is_ours) and self.kernel.is_long(self.state)

    def _begun_anew(self) -> Entry | None:
        if self.state.end is not None:
            return None
        entry = begun_anew(
            self.kernel, self.state, self.outstanding, self.summary, self.history_bytes
        )
        if entry is None:
            # A snapshot costs as much as it is large, so the next one is taken much later.
            self.long_from = 2 * self.state.event_count
            return None
        self.long_from = self.state.event_count = 0
        self.history_bytes = len(entry.body)
        return entry

    def _count(self, entry: Entry) -> None:
        """Let the execution fail when its history has grown too large."""
        self.history_bytes += len(entry.body)
        bytes_max = self.host.history_bytes_max
        if self.history_bytes > bytes_max and self.state.end is None:
            refused = HistoryRefused(history_full(bytes_max), self.host.now_ms())
            self.inbox.appendleft((refused, None))

    def _pass_over(self, event: OutsideEvent, error: Exception) -> None:
        """Put something else in the place of the event that was decided on last."""
        _, message_id = self.unrecorded[-1]
        instead = instead_of(event, error)
        self.unrecorded[-1] = instead, message_id
        if isinstance(event, TimerFired):
            self.passed_over.add(event.timer)
        elif instead is None and isinstance(event, CallFailed | OutcomeUnknown):
            self.passed_over.add((event.step, event.attempt))

    def _check_size(self, event: OutsideEvent, entry: Entry) -> None:
        """Refuse an answer that is too large; what the kernel concluded is forgotten."""
        byte_count, byte_count_max = len(entry.body), self.host.payload_bytes_max
        if byte_count > byte_count_max and isinstance(event, CallCompleted):
            raise PayloadTooLarge(byte_count=byte_count, byte_count_max=byte_count_max)

    def _append(
        self, entries: list[Entry], heard: tuple[str, ...], begins_history: bool
    ) -> Append:
        summary, now_ms = self.summary, self.host.now_ms()
        standing = row_of(self.state, self.outstanding, now_ms)
        may_leave = self.host.may_leave(standing, now_ms)
        is_released = standing.status != RUNNING or may_leave
        return Append(
            summary.new.execution_id,
            entries,
            standing,
            summary.length,
            summary.epoch,
            tuple(one for one in heard if one not in self.aside),
            is_released,
            begins_history=begins_history,
            put_aside=tuple(one for one in heard if one in self.aside),
        )

    def _recorded(self, append: Append) -> None:
        known = self.summary
        self.unrecorded.clear()
        if self.observed is not None:
            self.observed.tell()
        self.refusals = 0
        self.summary = Summary(
            known.new,
            append.standing,
            known.length + len(append.entries),
            append.entries[-1].digest if append.entries else known.head,
            known.epoch,
            None if append.is_released else known.owner,
        )
        if append.is_released:
            self._tell_missing(known.standing)
            self.let_go()
            self.host.gone(self, self.summary)
        elif append.standing.wake_at_ms != known.standing.wake_at_ms:
            self.host.stands(self)

    def _tell_missing(self, before: Standing) -> None:
        """Say once why a worker lets go of it, not whenever one has looked."""
        code, summary = WorkerMissing.code, self.summary
        if summary.standing.error_code == code != before.error_code:
            needs = sorted({needs_of(one) for one in self.outstanding.calls.values()})
            missing = WorkerMissing(summary.new.execution_id, needs)
            logger.warning("%s", missing, extra=ids_of(summary.new))

    # -- acting ------------------------------------------------------------------------

    def act(self, commands: list[Command]) -> None:
        """Perform what the kernel asked for, unless it is over by now, or nobody may."""
        for command in commands:
            if self.is_over or self.outstanding.is_quarantined:
                return
            match command:
                case StartCall():
                    self._start_call(command)
                case CancelCall(step=step):
                    self._cancel_call(step)
                case StartTimer():
                    self._start_timer(command)
                case CancelTimer(timer=timer):
                    self._cancel_timer(timer)
                case _:
                    assert_never(command)

    def is_overtaken(self, held: Summary) -> bool:
        """Tell whether others may have held it since it was built: a taking is an epoch."""
        return held.epoch != self.summary.epoch + self.takes

    def rebuild(self, summary: Summary, told: Telling, *, is_unknown: bool) -> None:
        """Go on from what the journal says; what is under way already stays under way.

        Another worker may have made a call that nobody in this process has made; whether
        it did is asked about only where it matters.

        Args:
            is_unknown: True when another worker may have acted on this history.
        """
        self.summary, self.state, self.takes = summary, told.state, 0
        self.outstanding = told.outstanding
        self.inbox.extendleft(reversed(self.unrecorded))
        self.unrecorded.clear()
        self.postponed = None
        if self.refusals:
            self.inbox = deque(sorted(self.inbox, key=_is_no_wish_to_end))
        heard = {_attempt_of(event) for event, _ in self.inbox}
        calls = self.outstanding.calls
        under_way = {(step, attempt) for step, (attempt, _) in self.handles.items()}
        # Another worker may have gone on to the next attempt.
        for step, _ in under_way - {(one, calls[one].attempt) for one in calls}:
            self._cancel_call(step)
        for timer in list(self.timers):
            self._cancel_timer(timer)
        wanted = [
            call
            for step, call in calls.items()
            if (step, call.attempt) not in {*under_way, *heard, *self.passed_over}
        ]
        timers = self.outstanding.timers
        due = [timers[one] for one in timers if one not in self.passed_over]
        self.postponed = wanted, due, is_unknown
        if all(message_id is None for _, message_id in self.inbox):
            self._take_over()
        self.wake()

    def _take_over(self) -> None:
        """Do what was under way when it was built, unless it was decided otherwise since.

        What others have told it meanwhile counts first: a call that nobody wants any more
        is not made once again.
        """
        if self.postponed is None:
            return
        calls, timers, is_unknown = self.postponed
        self.postponed = None
        now = self.outstanding
        wanted = [call for call in calls if now.calls.get(call.step) is call]
        doubtful = [call for call in wanted if call.effect == "unsafe" and is_unknown]
        self.act([call for call in wanted if call not in doubtful])
        self.act([one for one in timers if now.timers.get(one.timer) is one])
        for call in doubtful:
            self.feed(OutcomeUnknown(call.step, call.attempt, self.host.now_ms()))

    def _start_call(self, call: StartCall) -> None:
        step, attempt = call.step, call.attempt
        if call.lacking:
            # Another worker makes it: once nothing else is under way this one lets go.
            missing = SecretMissing(call.execution_id, call.lacking)
            told = {**ids_of(self.summary.new), "step": step}
            logger.warning("step %s: %s", step, missing, extra=told)
            return
        if step in self.outstanding.elsewhere:
            return  # as with a secret
        is_heard = False

        def hear(outcome: Outcome) -> None:
            nonlocal is_heard
            is_heard = True
            self.handles.pop(step, None)
            self.feed(self._event_of(step, attempt, outcome))

        handle: CallHandle
        own = owned(call, self.summary.new.tenant)
        if call.kind == KIND:
            resumed_at_ms = self.state.resumed_at_ms
            handle = self.host.children.start(own, hear, resumed_at_ms, self._hold)
        else:
            handle = self.host.calls.start(own, hear)
        # A call that failed at once has been heard already; its handle is of no use.
        if not is_heard:
            self.handles[step] = attempt, handle

    def _hold(self) -> Hold:
        return Hold(self.summary.new.execution_id, self.summary.epoch)

    def _event_of(self, step: str, attempt: int, outcome: Outcome) -> OutsideEvent:
        now_ms, secrets = self.host.now_ms(), self.host.secrets
        if not isinstance(outcome, CallReply):
            return CallFailed(step, attempt, redacted(outcome, secrets), now_ms)
        response, facts = replied_without(outcome.response, outcome.facts, secrets)
        missing = outcome.passed_over
        missing = redacted(missing, secrets) if missing is not None else None
        notes = [*outcome.notes] if outcome.notes else None
        return CallCompleted(step, attempt, response, facts, now_ms, missing, notes)

    def _cancel_call(self, step: str) -> None:
        _, handle = self.handles.pop(step, (0, None))
        if handle is not None:
            handle.cancel()

    def _start_timer(self, command: StartTimer) -> None:
        timer, due_at_ms = command.timer, command.due_at_ms

        def fire() -> None:
            self.timers.pop(timer, None)
            # The loop's clock ticks coarsely and may fire within the millisecond before.
            self.feed(TimerFired(timer, max(due_at_ms, self.host.now_ms())))

        delay_s = max(due_at_ms - self.host.now_ms(), 0) / 1000
        self.timers[timer] = self.loop.call_later(delay_s, fire)

    def _cancel_timer(self, timer: int) -> None:
        handle = self.timers.pop(timer, None)
        if handle is not None:
            handle.cancel()

    def let_go(self) -> None:
        """Do nothing any more, and give up what is under way.

        Children go on; those that it has given up hear of that otherwise.
        """
        self.is_over = True
        for timer in self.timers.values():
            timer.cancel()
        for _, handle in self.handles.values():
            handle.cancel()
        self.timers.clear()
        self.handles.clear()


def _attempt_of(event: OutsideEvent | None) -> tuple[str, int] | None:
    """Return the step and the attempt that an event tells of, if it tells of one."""
    if isinstance(event, CallCompleted | CallFailed | OutcomeUnknown):
        return event.step, event.attempt
    return None


def _is_no_wish_to_end(told: tuple[OutsideEvent | None, str | None]) -> bool:
    return not isinstance(told[0], CancelRequested | CompensationRequested)


def instead_of(event: OutsideEvent, error: Exception) -> OutsideEvent | None:
    """Return what counts in the place of an event; None: it is passed over."""
    if not isinstance(event, CallCompleted):
        return None
    if isinstance(error, PlaitError):
        failure = Failure(error.code, str(error), advice=error.advice)
    else:
        text = f"the answer cannot be taken in: {type(error).__name__}"
        failure = Failure("internal", text, advice=Advice.REPORT)
    return CallFailed(event.step, event.attempt, failure, event.at_ms)
