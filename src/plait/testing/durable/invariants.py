"""What must hold when a durable simulation has come to rest."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from itertools import dropwhile, takewhile
from typing import Final, cast

from plait.drivers.journal import (
    DEATHS_MAX,
    HistoryDamaged,
    HistoryMismatch,
    Quarantined,
    Store,
    replay,
    started_of,
    verify,
)
from plait.drivers.journal.deaths import WAITS_FOR_CHILDREN
from plait.drivers.journal.waiters import is_at_rest
from plait.kernel import Ambient, Execution, Kernel, Recorded, Turn
from plait.kernel.codec import load_turn
from plait.kernel.events import (
    CancelRequested,
    Event,
    ExecutionCompleted,
    ExecutionFailed,
    ExecutionStarted,
    OutsideEvent,
    StepEvent,
    WorkerLost,
)
from plait.model.errors import PlaitError
from plait.model.json import JsonValue
from plait.plan import load_plan
from plait.ports.journal import RUNNING, History
from plait.testing.durable.faults import Fault
from plait.testing.durable.ledger import Account
from plait.testing.durable.rest import waits_for_rest
from plait.testing.durable.world import Promise, World
from plait.testing.script import Script
from plait.testing.simulator import Simulation

# How long a wish to cancel may take once nothing is in its way: a few beats.
CANCEL_S_MAX: Final = 5.0


class Express:
    """How works end when nothing goes wrong: run once each, by the express simulator."""

    def __init__(self, script: Script) -> None:
        self._script = script
        self._known: dict[tuple[str, str], tuple[str, JsonValue, str | None]] = {}

    def end_of(self, promise: Promise) -> tuple[str, JsonValue, str | None]:
        """Return status, output and error code."""
        work = promise.work
        name = (work.plan.content_hash, repr(work.input))
        if name not in self._known:
            done = Simulation(work.plan, self._script, input=work.input).run()
            code = None if done.failure is None else done.failure.code
            self._known[name] = (done.status, done.output, code)
        return self._known[name]


async def check(world: World, express: Express, calm_at_s: float) -> None:
    """Note in the world's ledger whatever does not hold."""
    ledger = world.ledger
    if ledger.broken:
        return
    if world.converged_at_s is None:
        ledger.breach("not everything has come to its end")
    promises = {one.execution_id: one for one in world.promises}
    for execution_id, account in ledger.accounts.items():
        try:
            history = await world.store.read(execution_id)
            promise = promises.get(execution_id)
            for text in await wrong_with(world.store, account, history):
                ledger.breach(f"{execution_id}: {text}")
            if promise is not None:
                is_refused = execution_id in ledger.refused
                if execution_id in ledger.deadly:
                    calm_s = math.inf  # whoever would cancel it dies of it first
                else:
                    calm_s = max(calm_at_s, ledger.killed_at_s)
                found = _broken_promises(
                    promise, account, history, express, calm_s, is_refused
                )
                if _is_quarantined_for_deaths(history):
                    world.fate.fired[Fault.QUARANTINED] += 1
                for text in found:
                    ledger.breach(f"{execution_id}: {text}")
        except PlaitError as error:
            ledger.breach(f"{execution_id}: {error.code}: {error}")


async def wrong_with(store: Store, account: Account, history: History) -> list[str]:
    """Return what does not hold of one history, after the store's and the ledger's book.

    Raises:
        HistoryDamaged, HistoryMismatch: It does not verify, or does not replay.
    """
    if history.entries != account.entries:
        return ["its history is not what the store accepted"]
    standing = history.summary.standing
    if not is_at_rest(standing) and not await waits_for_rest(store, history.summary):
        return [f"it has not ended: {standing}"]
    found = []
    verify(history)
    if account.terminal_count != (standing.status != RUNNING):
        found.append(f"it has {account.terminal_count} terminal events")
    plan = load_plan(await store.load_plan(history.summary.new.plan_hash))
    replay(history, Kernel(plan), {})
    found += [f"{text} goes unnoticed" for text in _unnoticed(history)]
    try:
        replay(history, ChangedKernel(plan), {})
        found.append("a kernel that decides otherwise goes unnoticed")
    except HistoryMismatch:
        pass
    return found


def _unnoticed(history: History) -> Iterator[str]:
    """Yield what could be done to the history without anybody noticing."""
    for text, forged in _forgeries(history):
        try:
            verify(forged)
            yield text
        except HistoryDamaged:
            pass


def _forgeries(history: History) -> Iterator[tuple[str, History]]:
    summary, entries = history.summary, history.entries
    last = entries[-1]
    yield "a lost last entry", History(summary, entries[:-1])
    yield "an entry told twice", History(summary, [*entries, last])
    turned = replace(last, body=last.body.replace(b'"at_ms":1', b'"at_ms":2', 1))
    yield "an altered entry", History(summary, [*entries[:-1], turned])
    if len(entries) > 2:
        first, second, third = entries[:3]
        swapped = [first, third, second, *entries[3:]]
        yield "two entries in each other's place", History(summary, swapped)
        without = [first, third, *entries[3:]]
        shorter = replace(summary, length=len(without))
        yield "a lost entry", History(shorter, without)


def _broken_promises(
    promise: Promise,
    account: Account,
    history: History,
    express: Express,
    calm_at_s: float,
    is_refused: bool,
) -> Iterator[str]:
    status = history.summary.standing.status
    if promise.ended_as not in (None, RUNNING, status):
        yield f"a client was told that it was {promise.ended_as}, and it is {status}"
    if started_of(load_turn(history.entries[0].body)[0]).input != promise.work.input:
        yield "it began with another input"
    if promise.cancel_at_s is not None and account.ended_at_s is not None:
        due_s = max(promise.cancel_at_s, calm_at_s) + CANCEL_S_MAX
        if account.ended_at_s > due_s:
            yield "it was not cancelled in time"
    is_cancelled = any(
        isinstance(load_turn(one.body)[0], CancelRequested) for one in history.entries
    )
    if history.summary.standing.wake_at_ms == WAITS_FOR_CHILDREN:
        return  # for one that is in quarantine: else it has been told of by now
    if history.summary.standing.error_code == Quarantined.code:
        yield from _broken_quarantine(history, is_refused)
        return
    if is_cancelled or account.is_disturbed or not promise.work.is_steady:
        return
    wanted = express.end_of(promise)
    found = _end_of(history, status)
    if found != wanted:
        yield f"it ended as {found}, without a journal as {wanted}"


def _broken_quarantine(history: History, is_refused: bool) -> Iterator[str]:
    lost = _lost_in_a_row(history)
    if lost and not lost[-1].deaths:
        if not is_refused:
            yield "it is in quarantine, and the store refuses nothing of it for ever"
    # Nobody can tell an execution that kills its workers from one that has bad luck.
    elif len(lost) < DEATHS_MAX:
        yield "it is in quarantine, and has lost too few workers for that"


def _is_quarantined_for_deaths(history: History) -> bool:
    is_quarantined = history.summary.standing.error_code == Quarantined.code
    return is_quarantined and len(_lost_in_a_row(history)) >= DEATHS_MAX


def _lost_in_a_row(history: History) -> list[WorkerLost]:
    """Return what was noted of the workers that one in quarantine has lost, in order.

    Whoever held it before may have an answer to a call still, and tells it: of 10,000
    seeds two met that. It stays in quarantine, and the answer is kept.
    """
    latest_first = (load_turn(entry.body)[0] for entry in reversed(history.entries))
    noted = dropwhile(lambda event: not isinstance(event, WorkerLost), latest_first)
    lost = list(takewhile(lambda event: isinstance(event, WorkerLost), noted))
    return cast("list[WorkerLost]", lost[::-1])


def _end_of(history: History, status: str) -> tuple[str, JsonValue, str | None]:
    end = load_turn(history.entries[-1].body)[-1]
    output = end.output if isinstance(end, ExecutionCompleted) else None
    code = end.failure.code if isinstance(end, ExecutionFailed) else None
    return status, output, code


class ChangedKernel(Kernel):
    """A kernel of a version that has changed its mind: it no longer tells of steps."""

    def start(
        self,
        event: ExecutionStarted,
        ambient: Ambient | None = None,
        recorded: Recorded | None = None,
    ) -> tuple[Execution, Turn]:
        """See plait.kernel.Kernel."""
        state, turn = super().start(event, ambient, recorded)
        return state, Turn(_without_steps(turn.events), turn.commands)

    def decide(self, state: Execution, event: OutsideEvent) -> Turn:
        """See plait.kernel.Kernel."""
        turn = super().decide(state, event)
        return Turn(_without_steps(turn.events), turn.commands)


def _without_steps(events: list[Event]) -> list[Event]:
    return [one for one in events if not isinstance(one, StepEvent)]
