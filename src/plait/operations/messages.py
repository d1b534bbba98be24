"""What executions are told from outside while they run: to stop, signals, decisions.

An execution that nobody holds is told at once, by its history. To one that a worker holds
a message goes; the worker hears it with its next beat. Either way it is durable then.

Not here: what an ended execution can be told (plait.operations.course).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar, TypeAlias, cast

from plait.drivers.journal import (
    Telling,
    cancel_message,
    decision_message,
    entry_of,
    refused_message,
    signal_message,
)
from plait.drivers.journal.standing import standing_of
from plait.kernel import Turn
from plait.kernel.events import (
    ApprovalDecided,
    CancelRequested,
    CompensationRequested,
    OutsideEvent,
    SignalReceived,
    SignalRefused,
)
from plait.kernel.mailbox import NOT_TAKEN, is_new
from plait.model.errors import Advice, PlaitError
from plait.model.json import JsonObject, JsonValue
from plait.model.record import record
from plait.model.signal import InvalidSignal, check_decision, check_signal, is_signal_name
from plait.operations.course import (
    FROM_NOBODY_MS,
    Hand,
    HasEnded,
    Holding,
    left,
    read_history,
    told_of,
    written,
)
from plait.ports.journal import (
    IN_LANE,
    RUNNING,
    Append,
    LostRace,
    Message,
    Summary,
)


class TooManySignals(PlaitError):
    """An execution keeps as many signals as it may; no step waits for this one."""

    code: ClassVar[str] = "signal.too_many"
    advice: ClassVar[Advice] = Advice.RETRY

    def __init__(self, execution_id: str) -> None:
        super().__init__(
            f"execution {execution_id} keeps too many signals that no step has taken: "
            "send this one when it waits for it"
        )
        self.execution_id = execution_id


class NotTaken(PlaitError):
    """A state machine is in a state that does not take this event."""

    code: ClassVar[str] = "signal.not_taken"
    advice: ClassVar[Advice] = Advice.FIX_REQUEST

    def __init__(self, execution_id: str, name: str, machine: JsonObject) -> None:
        taken = cast("list[str]", machine.get("events", []))
        why = f"it takes {', '.join(taken)}" if taken else "it takes none"
        if name in taken:
            why = "no guard lets it pass now"
        super().__init__(
            f"execution {execution_id} is in state '{machine.get('state')}', which does "
            f"not take the event '{name}': {why}"
        )
        self.execution_id = execution_id
        self.details: JsonObject = {"state": machine.get("state"), "events": [*taken]}


class NothingToDecide(PlaitError):
    """An execution does not ask for the decision that somebody made."""

    code: ClassVar[str] = "approval.not_asked"
    advice: ClassVar[Advice] = Advice.FIX_REQUEST

    def __init__(self, execution_id: str, step: str | None) -> None:
        which = f"step '{step}'" if step is not None else "no step"
        asks = "does not ask" if step is not None else "asks"
        super().__init__(
            f"{which} of execution {execution_id} {asks} for a decision; "
            f"`plait executions show {execution_id}` tells what it waits for"
        )
        self.execution_id = execution_id
        self.step = step


class WhichApproval(PlaitError):
    """Several steps ask for a decision, and none was named."""

    code: ClassVar[str] = "approval.ambiguous"
    advice: ClassVar[Advice] = Advice.FIX_REQUEST

    def __init__(self, execution_id: str, steps: list[str]) -> None:
        super().__init__(
            f"execution {execution_id} asks for several decisions, name one: "
            + ", ".join(steps)
        )
        self.steps = steps


class NotAnApprover(PlaitError):
    """Somebody decides who is not among those who may."""

    code: ClassVar[str] = "approval.not_an_approver"
    advice: ClassVar[Advice] = Advice.FIX_REQUEST

    def __init__(self, execution_id: str, step: str, by: str) -> None:
        super().__init__(
            f"'{by}' is not among the approvers of step '{step}' "
            f"of execution {execution_id}"
        )
        self.step = step
        self.by = by


@record
class Signal:
    """Something to be told. Of several with one id the first counts."""

    signal_id: str
    name: str
    payload: JsonValue = None


@record
class Verdict:
    """What somebody decides.

    Attributes:
        is_approved: False rejects.
        by: Who decides; whoever asks for it has made sure of that.
        roles: What else whoever decides may decide as.
        step: Path of the step that asks; None: the only one that does.
    """

    is_approved: bool
    by: str
    comment: str = ""
    roles: tuple[str, ...] = ()
    step: str | None = None


Said: TypeAlias = tuple[OutsideEvent, Message]


async def cancel(
    hand: Hand, execution_id: str, reason: str, *, compensates: bool = False
) -> Summary:
    """End an execution: at once when nobody runs it, else by a word to whoever does.

    Args:
        compensates: Undo what it did first: whoever runs it then does that.

    Returns:
        Its row; still running when somebody else has to stop it first.

    Raises:
        UnknownExecution: There is none of that id.
        HasEnded: There is nothing to cancel.
    """
    worker_id, now_ms = hand.worker_id, hand.now_ms
    message = cancel_message(execution_id, reason, worker_id, compensates=compensates)
    event: OutsideEvent = CancelRequested(reason, now_ms)
    if compensates:
        event = CompensationRequested(reason, False, now_ms)
    return await _tell(hand, execution_id, lambda _: (event, message))


async def signal(hand: Hand, execution_id: str, sent: Signal) -> Summary:
    """Send an execution a signal; it is durable when this returns.

    Returns:
        Its row, which may not show yet what follows from it.

    Raises:
        InvalidSignal: No signal can have this name, id or payload.
        UnknownExecution: There is none of that id.
        HasEnded: Nobody would ever take it.
        NotTaken: It is a state machine in a state without a transition for it; that it
            was sent is recorded.
        TooManySignals: It keeps as many as it may.
    """
    check_signal(sent.name, sent.payload)
    if not is_signal_name(sent.signal_id):
        raise InvalidSignal("a signal's id is written like its name")
    event = SignalReceived(sent.signal_id, sent.name, sent.payload, hand.now_ms)

    def say(told: Telling) -> Said | None:
        if not is_new(told.state, event):
            return None
        before = [one for one in told.events if isinstance(one, SignalReceived)]
        message = signal_message(
            execution_id,
            sent.name,
            sent.payload,
            sent.signal_id,
            refused_count=sum(one.signal_id == sent.signal_id for one in before),
        )
        return event, message

    return await _tell(hand, execution_id, say)


async def judge(hand: Hand, execution_id: str, verdict: Verdict) -> Summary:
    """Approve or reject what an execution asks; it is durable when this returns.

    Raises:
        UnknownExecution: There is none of that id.
        HasEnded: It asks nothing any more.
        NothingToDecide: The step does not ask, or none does.
        WhichApproval: Several steps ask, and none is named.
        NotAnApprover: Whoever decides may not.
        InvalidDecision: No execution can keep this comment, or these names.
    """
    check_decision([verdict.comment, verdict.by, *verdict.roles])
    word = "approved" if verdict.is_approved else "rejected"

    def say(told: Telling) -> Said:
        if told.state.end is not None:
            raise HasEnded(execution_id, standing_of(told.state, told.outstanding).status)
        step = _asking(told, execution_id, verdict.step)
        event = ApprovalDecided(
            step,
            word,
            verdict.by,
            verdict.comment,
            list(verdict.roles),
            hand.now_ms,
        )
        if not told.kernel.admits(told.state, event):
            raise NotAnApprover(execution_id, step, verdict.by)
        return event, decision_message(execution_id, event, hand.worker_id)

    return await _tell(hand, execution_id, say)


def _asking(told: Telling, execution_id: str, step: str | None) -> str:
    """Return the path of the step that is decided about."""
    waiting = told.state.waiting
    asking = [
        path
        for path, run in waiting.items()
        if told.kernel.wanted(run)["for"] == "approval" and step in (None, path)
    ]
    if not asking:
        raise NothingToDecide(execution_id, step)
    if len(asking) > 1:
        raise WhichApproval(execution_id, asking)
    return asking[0]


async def _tell(
    hand: Hand, execution_id: str, say: Callable[[Telling], Said | None]
) -> Summary:
    """Tell an execution what `say` says, in view of it; None: it knows that already."""
    async with Holding(hand):
        is_held = await _take(hand, execution_id)
        history = await read_history(hand, execution_id)
        told = await told_of(hand, history)
        said, status = say(told), history.summary.standing.status
        if said is None:
            return history.summary
        if status != RUNNING:
            raise HasEnded(execution_id, status)
        event, message = said
        is_calling = bool(told.outstanding.calls)
        wanted = [told.kernel.wanted(run) for run in told.state.waiting.values()]
        turn = told.tell(event)
        refused = _refusal(execution_id, event, turn, wanted)
        is_early = history.summary.lane_state != IN_LANE
        if refused is not None:
            if is_held and not is_early:
                await _record(hand, history.summary, told, turn)
            else:
                await hand.store.post(_refused_message(hand, execution_id, event))
            raise refused
        ends = isinstance(event, CancelRequested | CompensationRequested)
        if not is_held or (is_early and not ends):
            # What queues hears of it when it has begun.
            await hand.store.post(message)
            return history.summary
        if not turn.events:
            return history.summary
        entries = [entry_of(turn.events, history.summary.head)]
        if not is_calling:
            # Whatever is called for now, nobody has called yet.
            told = left(hand, told, entries, epoch=history.summary.epoch)
        return await written(hand, history.summary, told, entries)


async def _take(hand: Hand, execution_id: str) -> bool:
    try:
        await hand.store.take(hand.worker_id, FROM_NOBODY_MS, execution_id)
    except LostRace:
        return False
    return True


def _refusal(
    execution_id: str, event: OutsideEvent, turn: Turn, wanted: list[JsonObject]
) -> PlaitError | None:
    """Return why the execution refuses a signal: whoever sent it can still be told.

    Args:
        wanted: What it waited for before.
    """
    if not isinstance(event, SignalReceived):
        return None
    reasons = {
        one.signal_id: one.reason for one in turn.events if isinstance(one, SignalRefused)
    }
    reason = reasons.get(event.signal_id)
    if reason != NOT_TAKEN:
        return None if reason is None else TooManySignals(execution_id)
    machine = next((one for one in wanted if "state" in one), {})
    return NotTaken(execution_id, event.name, machine)


def _refused_message(hand: Hand, execution_id: str, event: OutsideEvent) -> Message:
    assert isinstance(event, SignalReceived)
    message_id = f"refused:{event.signal_id} {hand.worker_id}"
    return refused_message(
        execution_id, event.name, event.payload, event.signal_id, message_id
    )


async def _record(hand: Hand, held: Summary, told: Telling, turn: Turn) -> None:
    """Write down a turn that changes nothing, and give the execution back as it was."""
    entries = [entry_of(turn.events, held.head)]
    standing = standing_of(told.state, told.outstanding)
    execution_id = held.new.execution_id
    await hand.store.append(
        Append(execution_id, entries, standing, held.length, held.epoch, is_released=True)
    )
