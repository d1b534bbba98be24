"""Tellings: events fed to the kernel, with a book of what it still waits for.

An execution that ended can go on. Its events are told to a fresh state once more, without
what some steps came to: those are then under way again, everything that was known before
them is known still, and what followed from them has not happened. The same makes a new
execution out of an old one (a fork), with another input or another plan.

Not here: where the events come from and go to (plait.drivers.journal.history).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from typing import Final

import orjson

from plait.drivers.children import KIND
from plait.kernel import (
    Ambient,
    CancelCall,
    CancelTimer,
    Command,
    Execution,
    Kernel,
    Recorded,
    StartCall,
    StartTimer,
    Turn,
)
from plait.kernel.events import (
    ApprovalDecided,
    CallCompleted,
    CallFailed,
    CompensationRequested,
    ExecutionResumed,
    ExecutionStarted,
    FallbackStarted,
    HistoryBegun,
    IncidentResolved,
    OutcomeUnknown,
    OutsideEvent,
    SignalReceived,
    SignalTaken,
    StepFailed,
    StepStarted,
    TimerFired,
)
from plait.kernel.failures import OUT_OF_TIME
from plait.kernel.frames import active_runs
from plait.kernel.lifecycle import StepState
from plait.kernel.paths import with_groups, without_rounds
from plait.kernel.recorded import Key, failures_of
from plait.kernel.snapshot import secrets_in
from plait.kernel.state import Run
from plait.model.failure import Failure
from plait.ports.calls import Lacks

_ENDS_CALL: Final = (CallCompleted, CallFailed, OutcomeUnknown, IncidentResolved)


@dataclass(slots=True)
class Outstanding:
    """What the kernel has asked for and not yet heard of.

    Attributes:
        calls: Calls under way, by step path.
        timers: Timers running: number → the command.
        given_up: Calls that were taken back and had asked for children; whether those
            have heard of it is not known.
        is_quarantined: True when nobody may act on any of it.
        lacks: Tells which calls this process leaves to others.
        elsewhere: The steps whose calls those are.
    """

    calls: dict[str, StartCall] = field(default_factory=dict)
    timers: dict[int, StartTimer] = field(default_factory=dict)
    given_up: list[StartCall] = field(default_factory=list)
    is_quarantined: bool = False
    lacks: Lacks | None = None
    elsewhere: set[str] = field(default_factory=set)

    def look(self, lacks: Lacks) -> None:
        """Find out which of the calls this process leaves to others, now and later."""
        self.lacks = lacks
        self.elsewhere = {step for step, call in self.calls.items() if lacks(call)}

    def ask(self, commands: Sequence[Command]) -> None:
        """Take in what the kernel asks for, or takes back."""
        known = set(self.calls)
        for command in commands:
            match command:
                case StartCall(step=step):
                    self.calls[step] = command
                    if self.lacks is not None and self.lacks(command):
                        self.elsewhere.add(step)
                case CancelCall(step=step):
                    call = self.calls.pop(step, None)
                    self.elsewhere.discard(step)
                    # What was taken back within its own turn has never been begun.
                    if call is not None and call.kind == KIND and step in known:
                        self.given_up.append(call)
                case StartTimer(timer=timer):
                    self.timers[timer] = command
                case CancelTimer(timer=timer):
                    self.timers.pop(timer, None)

    def hear(self, event: OutsideEvent) -> None:
        """Take in that one of them has come to its end."""
        if isinstance(event, _ENDS_CALL):
            self.calls.pop(event.step, None)
            self.elsewhere.discard(event.step)
        elif isinstance(event, TimerFired):
            self.timers.pop(event.timer, None)

    @property
    def is_lacking(self) -> bool:
        """Whether only other workers can make what calls there are.

        They read secrets that are elsewhere, or this process cannot make them.
        """
        if self.is_quarantined or not self.calls:
            return False
        calls, elsewhere = self.calls.items(), self.elsewhere
        return all(call.lacking or step in elsewhere for step, call in calls)

    @property
    def wake_at_ms(self) -> int | None:
        """When somebody must look: 0 for at once, None when nothing here will happen.

        1 is at once too, for one that waits for children only: these act, it does not.
        """
        if self.is_quarantined:
            return None
        if self.calls:
            return int(all(call.kind == KIND for call in self.calls.values()))
        return min((one.due_at_ms for one in self.timers.values()), default=None)


@dataclass(slots=True)
class Telling:
    """One execution as its events tell it.

    Attributes:
        events: The outside events that were told and mattered, the start first.
        steps: The paths of all step instances that began, in that order.
        timers: Each timer there has been: whose it was, and which of that step's.
        takers: Which step took each signal, by the signal's id.
        made: The attempts whose calls were asked for.
        refused: The attempts that failed as they began, and how.
        overtime: The timers that were limits, and ended the steps whose they were.
        after: Which steps had failed a `try` before, by the step of its `finally` that
            failed too, and is told as what failed it.
        groups: Paths of the groups that were under way when the history began anew. Such
            a one goes on where it is, with all its time: what it did before is not told.
        resumed: How it went on after it had ended, and how many events it had then.
    """

    kernel: Kernel
    secrets: Mapping[str, str]
    state: Execution
    outstanding: Outstanding
    events: list[OutsideEvent]
    steps: dict[str, None] = field(default_factory=dict)
    timers: dict[int, tuple[str, int]] = field(default_factory=dict)
    timer_counts: dict[str, int] = field(default_factory=dict)
    takers: dict[str, str] = field(default_factory=dict)
    made: set[tuple[str, int]] = field(default_factory=set)
    refused: dict[tuple[str, int], Failure] = field(default_factory=dict)
    overtime: set[int] = field(default_factory=set)
    after: dict[str, list[str]] = field(default_factory=dict)
    groups: frozenset[str] = frozenset()
    resumed: list[tuple[int, ExecutionResumed]] = field(default_factory=list)

    @classmethod
    def begin(
        cls,
        kernel: Kernel,
        started: ExecutionStarted,
        secrets: Mapping[str, str],
        recorded: Recorded | None = None,
        known: Iterable[str] | None = None,
    ) -> tuple[Telling, Turn]:
        """Start; return the telling and its first turn.

        Args:
            recorded: What this turn came to when it ran; None: it runs now.
            known: Names of secrets that are elsewhere at least; None: as it began.
        """
        ambient = ambient_of(started, secrets)
        if known is not None:
            ambient.known = frozenset(known)
        state, turn = kernel.start(started, ambient, recorded)
        state.recorded = None
        told = cls(kernel, secrets, state, Outstanding(), [started])
        told._note(turn)
        return told, turn

    @classmethod
    def anew(
        cls,
        kernel: Kernel,
        begun: HistoryBegun,
        secrets: Mapping[str, str],
        known: Iterable[str] | None = None,
    ) -> Telling:
        """Go on from where a history began anew.

        Args:
            known: Names of secrets that are elsewhere at least; None: as it stood then.
        """
        ambient = ambient_of(begun.started, secrets)
        stood = secrets_in(begun.started, begun.state)
        ambient.known = stood if known is None else frozenset(known)
        state, commands = kernel.restore(begun.started, begun.state, ambient)
        told = cls(kernel, secrets, state, Outstanding(), [begun])
        told.steps.update(dict.fromkeys(run.path for run in active_runs(state)))
        told.groups = frozenset(run.path for run in active_runs(state) if _is_at_work(run))
        told._note(Turn([], commands))
        return told

    @property
    def started(self) -> ExecutionStarted:
        """What it began with."""
        return self.state.started

    def tell(self, event: OutsideEvent, recorded: Recorded | None = None) -> Turn:
        """Tell an event; return what followed from it, nothing if it came too late.

        Args:
            recorded: What this turn came to when it ran; None: it runs now.
        """
        self.outstanding.hear(event)
        self.state.recorded = recorded
        turn = self.kernel.decide(self.state, event)
        self.state.recorded = None
        if turn.events:
            self.events.append(event)
        self._note(turn)
        return turn

    def again(self, resumed: ExecutionResumed) -> Telling:
        """Return this execution as it goes on: without what `again` came to."""
        first = self.events[0]
        known = self.state.ambient.known
        seen = dict(self.secrets)
        if resumed.secrets is not None:
            # What was not there then is not here either, until it goes on.
            known = frozenset(resumed.secrets)
            seen = {name: seen[name] for name in seen if name in known}
        if isinstance(first, HistoryBegun):
            told = self._begun_again(first, seen, known, resumed.again)
        else:
            recorded = self.but_for(resumed.again)
            told, _ = Telling.begin(self.kernel, self.started, seen, recorded, known)
        for _ in told.retell(self, resumed.again, self.resumed):
            pass
        seen.update(self.secrets)
        told._go_on(resumed)
        return told

    def _begun_again(
        self,
        begun: HistoryBegun,
        seen: Mapping[str, str],
        known: frozenset[str],
        again: Sequence[str],
    ) -> Telling:
        """Return how it stood when its history began, with steps of `again` at their start.

        A call that was under way then has all its attempts before it. A group stays where
        it was: what is inside it has been done.
        """
        told = Telling.anew(self.kernel, begun, seen, known)
        steps = [
            run.path
            for run in active_runs(told.state)
            if run.path in again and not run.node.scopes
        ]
        if not steps:
            return told
        turn = self.kernel.begin_again(told.state, steps, self.but_for(again))
        if told.state.end is not None:
            return told
        told.outstanding.ask(turn.commands)
        # As the beginning from now on, for another resume, and for a fork.
        outstanding = told.outstanding
        state = self.kernel.snapshot(told.state, outstanding.calls, outstanding.timers)
        state = orjson.loads(orjson.dumps(state))
        begun = replace(begun, state=state)
        return Telling.anew(self.kernel, begun, seen, known)

    def _go_on(self, resumed: ExecutionResumed) -> None:
        """Let the time between the last event and now be a pause."""
        pause_ms = resumed.at_ms - self.state.now_ms
        self.kernel.resume(self.state, pause_ms)
        timers = self.outstanding.timers
        for number, timer in timers.items():
            timers[number] = replace(timer, due_at_ms=timer.due_at_ms + pause_ms)
        renewed = self.kernel.renew(self.state, resumed.again)
        for number, due_at_ms in renewed.items():
            timers[number] = replace(timers[number], due_at_ms=due_at_ms)
        self.resumed.append((len(self.events), resumed))

    def retell(
        self,
        source: Telling,
        again: Sequence[str],
        pauses: Sequence[tuple[int, ExecutionResumed]] = (),
        behind: Iterable[str] = (),
    ) -> Iterator[Turn]:
        """Tell the events of `source`, but for those of the steps in `again`.

        What does not fit any more, since it followed from what is left out, is passed over.

        Args:
            pauses: How `source` went on before, see `resumed`.
            behind: Steps that are done again with those. What came from outside for them,
                a signal, is told: it waits for them.
        """
        going_on = self.groups.intersection(again)
        recorded = source.but_for([*again, *behind], going_on)
        left_out = {*again, *behind} - self.groups
        to_come = deque(pauses)
        # What had ended when it was rolled back stays ended, also by a cancel or for time.
        whole = 0 if again else _last_rollback(source.events)
        for number, event in enumerate(source.events[1:], start=1):
            while to_come and number >= to_come[0][0]:
                self._go_on(to_come.popleft()[1])
            ours = event if number < whole else self._own(source, event, again, left_out)
            is_over = self.state.end and not isinstance(ours, CompensationRequested)
            turn = None if ours is None or is_over else self.tell(ours, recorded)
            if turn is not None and turn.events:
                yield turn
        for _, resumed in to_come:
            self._go_on(resumed)

    def _own(
        self,
        source: Telling,
        event: OutsideEvent,
        again: Sequence[str],
        left_out: Set[str],
    ) -> OutsideEvent | None:
        """Return `event` as it is called here; None when it is left out."""
        match event:
            case (
                CallCompleted(step=step)
                | CallFailed(step=step)
                | OutcomeUnknown(step=step)
                | IncidentResolved(step=step)
                | ApprovalDecided(step=step)
            ):
                return None if _is_any_within(step, left_out) else event
            case TimerFired(timer=timer):
                step, count = source.timers[timer]
                # What has ended for time begins its time anew; what is undone for it, and
                # waits for somebody's word meanwhile, goes on being undone.
                is_given_time = not step and source.state.end is not None
                if is_given_time or _is_any_within(step, left_out):
                    return None
                if timer in source.overtime and step in again:
                    return None
                own = self._timer(step, count)
                return None if own is None else replace(event, timer=own)
            case CompensationRequested():
                # What was undone stays undone, unless it is told without some of it.
                return None if again else event
            case SignalReceived(signal_id=signal_id):
                taker = source.takers.get(signal_id, "")
                return None if _is_any_within(taker, {*again} - self.groups) else event
            case _:
                # The start is told already; a wish to cancel has been reconsidered.
                return None

    @property
    def failing(self) -> list[str]:
        """The steps that failed it, the one that its end names first; empty: none did.

        That one may have cleaned up after another, which would fail it just so.
        """
        failure = getattr(self.state.end, "failure", None)
        steps = [failure.step] if failure is not None and failure.step else []
        for step in steps:
            steps += [one for one in self.after.get(step, ()) if one not in steps]
        return steps

    def secrets_known(self, kernel: Kernel) -> tuple[str, ...]:
        """Return the names of the secrets that are here, or were when it last went on."""
        return kernel.secrets_of(self.state.ambient.known | self.secrets.keys())

    def but_for(self, again: Iterable[str], going_on: Set[str] = frozenset()) -> Recorded:
        """Return what calls came to as they began, but for those of steps in `again`.

        Args:
            going_on: Groups in `again` of which what is inside them counts.
        """
        left_out = {*again} - going_on

        def counts(key: Key) -> bool:
            return key[0] not in going_on and not _is_any_within(key[0], left_out)

        refused = {key: one for key, one in self.refused.items() if counts(key)}
        return Recorded(refused, {key for key in self.made if counts(key)})

    def _timer(self, step: str, count: int) -> int | None:
        found = (number for number, one in self.timers.items() if one == (step, count))
        return next(found, None)

    def _note(self, turn: Turn) -> None:
        for event in turn.events:
            match event:
                case StepStarted(step=step):
                    self.steps[step] = None
                case SignalTaken(step=step, signal_id=signal_id):
                    self.takers[signal_id] = step
                case StepFailed(failure=failure) | FallbackStarted(failure=failure):
                    first = turn.events[0]
                    is_limit = failure.code == OUT_OF_TIME and failure.step == event.step
                    if is_limit and isinstance(first, TimerFired):
                        self.overtime.add(first.timer)
                    self._note_after(event.step, failure)
                case _:
                    pass
        for command in turn.commands:
            if isinstance(command, StartTimer):
                count = self.timer_counts.get(command.step, 0)
                self.timer_counts[command.step] = count + 1
                self.timers[command.timer] = (command.step, count)
            elif isinstance(command, StartCall):
                self.made.add((command.step, command.attempt))
        for key, failure in failures_of(turn.events).items():
            if key not in self.made:
                self.refused[key] = failure
        self.outstanding.ask(turn.commands)

    def _note_after(self, step: str, failure: Failure) -> None:
        """Note what `step`, a `try`, had failed by when its `finally` failed it."""
        told = (failure.details or {}).get("after")
        clean_up = f"{without_rounds(step)}[finally]/"
        is_in_it = without_rounds(failure.step).startswith(clean_up)
        if not isinstance(told, dict) or not is_in_it:
            return
        # A limit is that of `step` itself. What had ended when the history began anew
        # cannot be done again.
        before = told.get("step", step)
        if isinstance(before, str) and before in self.steps:
            self.after.setdefault(failure.step, []).append(before)


def ambient_of(started: ExecutionStarted, secrets: Mapping[str, str]) -> Ambient:
    """Return what the kernel needs beside the events of an execution that began so."""
    trace = tuple((name, value) for name, value in started.trace)
    return Ambient(secrets, trace, frozenset(started.secrets))


def _is_at_work(run: Run) -> bool:
    return bool(run.node.scopes) and run.state is not StepState.FALLING_BACK


def _last_rollback(events: Sequence[OutsideEvent]) -> int:
    """Return the number of the latest wish to undo what had ended; 0: there is none."""
    rollbacks = (
        number
        for number, event in enumerate(events)
        if isinstance(event, CompensationRequested) and event.is_rollback
    )
    return max(rollbacks, default=0)


def _is_any_within(step: str, groups: Set[str]) -> bool:
    return not groups.isdisjoint(with_groups(step))
