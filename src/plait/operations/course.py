"""Changing the course of an execution: resume, rollback, restart, decide.

Each leaves a history that is whole: whoever holds the store goes on from there, now or
after the next crash. None of them runs anything itself.

Not here: forks (plait.operations.forking), running (plait.drivers.journal), looking
(plait.operations.executions), telling an execution something while it runs
(plait.operations.messages).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import ClassVar, Final, Literal

from plait.drivers.inputs import fitted
from plait.drivers.journal import Store, Telling, chained, entry_of, replay, verify
from plait.drivers.journal.children import running_of
from plait.drivers.journal.messages import given_up_message
from plait.drivers.journal.payload import searched
from plait.drivers.journal.resuming import going_on
from plait.drivers.journal.standing import put_off, row_of, standing_of
from plait.drivers.journal.starting import placed
from plait.kernel import BEHAVIOUR, Kernel
from plait.kernel.events import (
    CompensationRequested,
    ExecutionResumed,
    IncidentResolved,
    OutcomeUnknown,
)
from plait.model.errors import Advice, PlaitError
from plait.model.json import JsonValue
from plait.model.record import record
from plait.model.signal import InvalidDecision, check_decision
from plait.operations.starters import begun_again
from plait.plan import Plan, load_plan
from plait.ports.journal import (
    RUNNING,
    Append,
    Entry,
    History,
    LostRace,
    NewExecution,
    Standing,
    Summary,
    UnknownExecution,
)

# How long a changed course may take to be written before somebody else may try.
_LEASE_MS: Final = 30_000
# The moment by which a hand judges the leases of workers: none has run out. Its clock may
# differ from theirs; whom it took for dead would make every call under way once more.
FROM_NOBODY_MS: Final = 0
# Entries of a new execution are linked when all of its row is known.
UNCHAINED: Final = b""


class HasEnded(PlaitError):
    """An execution that should be stopped has ended already."""

    code: ClassVar[str] = "execution.has_ended"
    advice: ClassVar[Advice] = Advice.FIX_REQUEST

    def __init__(self, execution_id: str, status: str) -> None:
        super().__init__(f"execution {execution_id} has ended already: {status}")
        self.execution_id = execution_id
        self.status = status


class NoIncident(PlaitError):
    """There is nothing to decide about."""

    code: ClassVar[str] = "execution.no_incident"
    advice: ClassVar[Advice] = Advice.FIX_REQUEST

    def __init__(self, execution_id: str, step: str, open_ones: list[str]) -> None:
        known = ", ".join(open_ones)
        if not known:
            reason = "no step waits for a decision"
        elif step:
            reason = f"no step '{step}' waits for a decision; those that do: {known}"
        else:
            reason = f"several steps wait for a decision, name one: {known}"
        super().__init__(f"execution {execution_id}: {reason}")
        self.execution_id = execution_id


class NothingToUndo(PlaitError):
    """Nothing that an execution did can be undone, or it has not ended."""

    code: ClassVar[str] = "execution.nothing_to_undo"
    advice: ClassVar[Advice] = Advice.FIX_REQUEST

    def __init__(self, execution_id: str, reason: str) -> None:
        super().__init__(f"execution {execution_id} cannot be rolled back: {reason}")
        self.execution_id = execution_id


@record
class Hand:
    """Who changes the course, and with what.

    Attributes:
        worker_id: A worker's name of one's own, for as long as the change takes.
        now_ms: The moment, milliseconds since the Unix epoch.
        secrets: As the driver has them: a history is told with the same.
        by: Who that is, for what is begun; empty: nobody says.
        is_full: Whether nobody here has room for what is let in: it waits for its turn,
            like a start (plait.drivers.journal.room).
    """

    store: Store
    kernel_for: Callable[[Plan], Kernel]
    worker_id: str
    now_ms: int
    secrets: Mapping[str, str]
    by: str = ""
    is_full: bool = False


@record
class Decision:
    """What became of a call of unknown outcome.

    Attributes:
        step: The step's path; empty when the execution has one such step only.
        action: `retry`: make it again. `done`: it was made, with this `response`. `fail`.
        by: Who says so.
    """

    step: str
    action: Literal["retry", "done", "fail"]
    response: JsonValue = None
    by: str = ""


async def resume(hand: Hand, execution_id: str) -> Summary:
    """Let an execution that failed, was cancelled or is in quarantine go on.

    The step that failed gets all its attempts anew; what had completed stays.

    Raises:
        UnknownExecution: There is none of that id.
        NotResumable: It has not ended, has completed, or would end the same way at once.
        LostRace: Somebody else is changing it right now.
    """
    history = await read_history(hand, execution_id)
    told = await told_of(hand, history)
    entries = _doubts(hand, told, history.summary.head)
    epoch = history.summary.epoch + 1
    resumed, onward = going_on(told, execution_id, hand.now_ms, epoch)
    head = entries[-1].digest if entries else history.summary.head
    entries.append(entry_of([resumed], head))
    async with Holding(hand):
        taken = await hand.store.take(hand.worker_id, FROM_NOBODY_MS, execution_id)
        if (taken.length, taken.epoch) != (history.summary.length, epoch):
            raise LostRace(execution_id)
        return await written(hand, taken, onward, entries)


def _doubts(hand: Hand, told: Telling, head: bytes) -> list[Entry]:
    """Tell one in quarantine that nobody knows what became of its unsafe calls."""
    if not told.outstanding.is_quarantined:
        return []
    entries: list[Entry] = []
    for call in list(told.outstanding.calls.values()):
        if call.effect == "unsafe":
            turn = told.tell(OutcomeUnknown(call.step, call.attempt, hand.now_ms))
            entries.append(entry_of(turn.events, head))
            head = entries[-1].digest
    return entries


async def rollback(hand: Hand, execution_id: str, reason: str) -> Summary:
    """Undo what an execution that has ended did; whoever claims it next does that.

    Of one whose compensation failed, what could not be undone is tried again.

    Raises:
        UnknownExecution: There is none of that id.
        NothingToUndo: It has not ended, or no completed step has a `compensate`.
        LostRace: Somebody else is changing it right now.
    """
    async with Holding(hand):
        history = await read_history(hand, execution_id)
        told = await told_of(hand, history)
        if told.state.end is None:
            raise NothingToUndo(execution_id, "it runs; `cancel --compensate` ends it")
        turn = told.tell(CompensationRequested(reason, True, hand.now_ms))
        if not turn.events:
            raise NothingToUndo(execution_id, "no completed step is left to be undone")
        entries = [entry_of(turn.events, history.summary.head)]
        taken = await hand.store.take(hand.worker_id, FROM_NOBODY_MS, execution_id)
        if taken.length != history.summary.length:
            raise LostRace(execution_id)
        told = left(hand, told, entries, epoch=taken.epoch)
        return await written(hand, taken, told, entries)


async def restart(hand: Hand, execution_id: str, new_id: str) -> Summary:
    """Begin a new execution with the plan and the input of an old one.

    Raises:
        UnknownExecution: There is none of that id.
        InvalidInput: Its input does not fit its workflow's schema.
    """
    history = await read_history(hand, execution_id)
    told = await told_of(hand, history)
    old = told.started
    started = replace(
        old,
        execution_id=new_id,
        input=fitted(told.kernel.plan, old.input),
        at_ms=hand.now_ms,
        behaviour=BEHAVIOUR,
        trigger=begun_again(old.trigger, "restart", execution_id, hand.by),
        secrets=told.secrets_known(told.kernel),
    )
    fresh, turn = Telling.begin(told.kernel, started, told.secrets)
    entries = [entry_of(turn.events, UNCHAINED)]
    return await create_from(hand, history, left(hand, fresh, entries, epoch=1), entries)


def left(
    hand: Hand,
    told: Telling,
    entries: list[Entry],
    *,
    epoch: int,
    again: Sequence[str] = (),
) -> Telling:
    """Note that an execution is left to whoever claims it; nobody has acted on it yet.

    Args:
        again: Groups that go on with all their time, see `Telling.groups`.
    """
    if told.state.end is not None or told.outstanding.is_quarantined:
        return told
    resumed = ExecutionResumed([*again], hand.now_ms, epoch)
    entries.append(entry_of([resumed], entries[-1].digest))
    return told.again(resumed)


async def resolve(hand: Hand, execution_id: str, decision: Decision) -> Summary:
    """Say what became of a call of unknown outcome; whoever claims it next goes on.

    Raises:
        UnknownExecution: There is none of that id.
        InvalidDecision: No execution can keep this response, or this name; or there is
            a response to an action that takes none.
        NoIncident: The step does not wait for a decision.
        LostRace: A worker holds the execution: it goes on with something else just now.
    """
    check_decision([decision.response, decision.by])
    if decision.response is not None and decision.action != "done":
        raise InvalidDecision(
            f"`{decision.action}` takes no response: one goes with `done`, a call "
            "that was made"
        )
    async with Holding(hand):
        taken = await hand.store.take(hand.worker_id, FROM_NOBODY_MS, execution_id)
        history = await read_history(hand, execution_id)
        told = await told_of(hand, history)
        try:
            step = _step_in_doubt(told, execution_id, decision.step)
        except NoIncident:
            await hand.store.release(hand.worker_id, [execution_id])
            raise
        event = IncidentResolved(
            step, decision.action, decision.response, decision.by, hand.now_ms
        )
        is_calling = bool(told.outstanding.calls)
        turn = told.tell(event)
        entries = [entry_of(turn.events, history.summary.head)]
        if not is_calling:  # else a dead worker may have made those calls
            told = left(hand, told, entries, epoch=taken.epoch)
        return await written(hand, taken, told, entries)


def _step_in_doubt(told: Telling, execution_id: str, named: str) -> str:
    open_ones = sorted(told.state.incidents)
    step = named or (open_ones[0] if len(open_ones) == 1 else "")
    if step not in open_ones:
        raise NoIncident(execution_id, step, open_ones)
    return step


async def read_history(hand: Hand, execution_id: str) -> History:
    """Return an execution's history, verified.

    Raises:
        UnknownExecution: There is none of that id.
        HistoryDamaged: It is not the history that was written.
    """
    history = await hand.store.read(execution_id)
    verify(history)
    return history


async def told_of(hand: Hand, history: History) -> Telling:
    """Return an execution as its history tells it."""
    plan = load_plan(await hand.store.load_plan(history.summary.new.plan_hash))
    return replay(history, hand.kernel_for(plan), hand.secrets)


async def written(
    hand: Hand, held: Summary, told: Telling, entries: list[Entry]
) -> Summary:
    """Append to an execution that is held, and give it back; return its row.

    Children that it gave up are told before it is given back, or ends.
    """
    execution_id, length = held.new.execution_id, held.length
    if told.outstanding.given_up:
        row = row_of(told.state, told.outstanding, hand.now_ms)
        await hand.store.append(Append(execution_id, entries, row, length, held.epoch))
        await _end_children(hand, told)
        entries, length = [], length + len(entries)
    standing = _due(hand, told)
    await hand.store.append(
        Append(execution_id, entries, standing, length, held.epoch, is_released=True)
    )
    return replace(held, standing=standing, owner=None)


async def _end_children(hand: Hand, told: Telling) -> None:
    async for child_id in running_of(told.outstanding.given_up, hand.store):
        await hand.store.post(given_up_message(child_id))


def _due(hand: Hand, told: Telling) -> Standing:
    """Return how an execution stands that is left: due at once, or in its turn."""
    standing = standing_of(told.state, told.outstanding)
    if standing.status != RUNNING or told.outstanding.is_quarantined:
        return standing
    if hand.is_full and standing.error_code is None:
        return put_off(standing)
    return replace(standing, wake_at_ms=0)


async def create_from(
    hand: Hand, source: History, told: Telling, entries: list[Entry]
) -> Summary:
    """Create an execution that comes of `source`; return its row."""
    started, old = told.started, source.summary.new
    plan = told.kernel.plan
    new = NewExecution(
        started.execution_id,
        plan.name,
        plan.content_hash,
        hand.now_ms,
        searched(started.input),
        tags=old.tags,
        priority=old.priority,
        parent=old.execution_id,
        tenant=old.tenant,
    )
    new = placed(new, plan, started, old.priority)
    entries = chained(new, [one.body for one in entries])
    standing = _due(hand, told)
    async with Holding(hand):
        created = await hand.store.create(new, entries, standing, hand.worker_id)
    return created.summary


class Holding:
    """A worker's short life: what it holds at its end is free for whoever runs things."""

    def __init__(self, hand: Hand) -> None:
        self._hand = hand

    async def __aenter__(self) -> None:
        hand = self._hand
        await hand.store.join(hand.worker_id)
        until_ms = hand.now_ms + _LEASE_MS
        await hand.store.beat(hand.worker_id, FROM_NOBODY_MS, until_ms)

    async def __aexit__(self, *_: object) -> None:
        with suppress(UnknownExecution):
            await self._hand.store.leave(self._hand.worker_id)
