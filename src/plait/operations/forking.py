"""Forks: new executions that keep what came before a step of an old one.

Rule 1. A fork is told the events of the old one, but for those of the step that it begins
        from, of what failed the old one, and of what stands behind these
        (plait.operations.behind): also where they settle at once, without a call.
Rule 2. Where the old history began anew, so does the fork's: with the same state, and
        events since. So it can begin from what began since only.

Not here: other changes of a course (plait.operations.course).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence, Set
from dataclasses import replace
from typing import ClassVar, TypeAlias

from plait.drivers.inputs import fitted
from plait.drivers.journal import Telling, entry_of
from plait.drivers.journal.resuming import refuse_undone
from plait.kernel import BEHAVIOUR, Kernel
from plait.kernel.events import Event, ExecutionStarted, HistoryBegun
from plait.kernel.paths import ids
from plait.kernel.snapshot import runs_in
from plait.model.errors import Advice, PlaitError
from plait.model.json import JsonObject, JsonValue
from plait.model.record import record
from plait.operations.behind import behind
from plait.operations.course import (
    UNCHAINED,
    Hand,
    create_from,
    left,
    read_history,
    told_of,
)
from plait.operations.starters import begun_again
from plait.plan import Plan, dump_plan, scopes_of
from plait.ports.journal import Entry, Summary

# Begins a fork without what some steps came to, nor what those behind them did.
Begin: TypeAlias = Callable[[list[str], Set[str]], tuple[Telling, list[Event]]]


class NeverRan(PlaitError):
    """A fork was asked for from a step instance that the execution never had."""

    code: ClassVar[str] = "execution.never_ran"
    advice: ClassVar[Advice] = Advice.FIX_REQUEST

    def __init__(self, execution_id: str, step: str) -> None:
        super().__init__(
            f"execution {execution_id} has no step '{step}' that ran; "
            f"`plait executions show {execution_id}` lists those that did"
        )
        self.execution_id = execution_id
        self.step = step


class BegunAnew(PlaitError):
    """A fork was asked for that a history which has begun anew cannot tell."""

    code: ClassVar[str] = "execution.begun_anew"
    advice: ClassVar[Advice] = Advice.FIX_REQUEST

    def __init__(self, execution_id: str, reason: str) -> None:
        super().__init__(
            f"execution {execution_id} was long, and its history has begun anew: {reason}; "
            "fork it from a step that began since, with its own input and document, or "
            "restart it"
        )
        self.execution_id = execution_id


class UnfitDocument(PlaitError):
    """A fork was asked for with a document that is no newer version of the workflow."""

    code: ClassVar[str] = "execution.unfit_document"
    advice: ClassVar[Advice] = Advice.FIX_REQUEST

    def __init__(self, reason: str) -> None:
        super().__init__(f"nothing can be forked with this document: {reason}")
        self.reason = reason


@record
class Fork:
    """What a fork changes. None: as it was.

    Attributes:
        step: Path of the step instance to begin from: `fan[left]/charge`.
        plan: A newer version of the workflow.
    """

    execution_id: str
    step: str
    input: JsonValue = None
    has_input: bool = False
    plan: Plan | None = None


async def fork(hand: Hand, wanted: Fork, new_id: str) -> Summary:
    """Begin a new execution that keeps what came before a step of an old one.

    Raises:
        UnknownExecution: There is none of that id.
        NeverRan: It has no such step instance.
        BegunAnew: Its history has begun anew, and does not tell what came before the step,
            or cannot be told with another input or document.
        UnfitDocument: The plan is another workflow's, or has no such step.
        InvalidInput: The input, this one or that of before, does not fit the schema.
    """
    history = await read_history(hand, wanted.execution_id)
    told = await told_of(hand, history)
    kernel = told.kernel
    begun = told.events[0]
    if isinstance(begun, HistoryBegun):
        fresh, entries = _forked_anew(told, begun, wanted, new_id, hand.by)
        refuse_undone(told, fresh, wanted.execution_id)
        again = [one for one in told.failing if one in fresh.groups]
        forked = left(hand, fresh, entries, epoch=1, again=again)
        return await create_from(hand, history, forked, entries)
    if wanted.plan is not None:
        kernel = hand.kernel_for(wanted.plan)
    if wanted.step not in told.steps:
        raise NeverRan(wanted.execution_id, wanted.step)
    if wanted.plan is not None:
        _check_fits(wanted.plan, history.summary.new.workflow, wanted.step)
    old = told.started
    started = replace(
        old,
        execution_id=new_id,
        plan_hash=kernel.plan.content_hash,
        input=fitted(kernel.plan, wanted.input if wanted.has_input else old.input),
        behaviour=BEHAVIOUR,
        trigger=begun_again(old.trigger, "fork", wanted.execution_id, hand.by),
        secrets=told.secrets_known(kernel),
    )
    if wanted.plan is not None:
        await hand.store.save_plan(wanted.plan.content_hash, dump_plan(wanted.plan))
    fresh, entries = _forked(told, kernel, started, wanted.step)
    refuse_undone(told, fresh, wanted.execution_id)
    return await create_from(hand, history, left(hand, fresh, entries, epoch=1), entries)


def _forked(
    told: Telling, kernel: Kernel, started: ExecutionStarted, step: str
) -> tuple[Telling, list[Entry]]:
    """Tell `told` anew without what `step` came to, nor what failed it or would now."""

    def begin(again: list[str], followers: Set[str]) -> tuple[Telling, list[Event]]:
        recorded = told.but_for([*again, *followers])
        fresh, first = Telling.begin(kernel, started, told.secrets, recorded)
        return fresh, first.events

    return _retold(told, step, (told.kernel.plan, kernel.plan), begin)


def _forked_anew(
    told: Telling, begun: HistoryBegun, wanted: Fork, new_id: str, by: str
) -> tuple[Telling, list[Entry]]:
    """As `_forked`, from how the execution stood when its history began anew.

    That is a state under one input and one plan. What began before is in it with all that
    it had done by then: it cannot begin once more.
    """
    execution_id, kernel = wanted.execution_id, told.kernel
    if wanted.has_input:
        raise BegunAnew(
            execution_id, "what is kept of it came of its input, not another input"
        )
    if wanted.plan is not None and wanted.plan.content_hash != kernel.plan.content_hash:
        raise BegunAnew(execution_id, "what is kept does not fit another document")
    if begun.state["undoing"] is not None:
        raise BegunAnew(execution_id, "what it had done was being undone then")
    names = told.secrets_known(kernel)
    trigger = begun_again(begun.started.trigger, "fork", execution_id, by)
    started = replace(begun.started, execution_id=new_id, trigger=trigger, secrets=names)
    state: JsonObject = {**begun.state, "secrets": [*names]}
    own = HistoryBegun(started, state, 1, "", begun.at_ms)
    since = told.steps.keys() - {path for path, _, _ in runs_in(begun.state)}

    def begin(again: list[str], followers: Set[str]) -> tuple[Telling, list[Event]]:
        del followers  # none of it had begun when the history began
        fresh = Telling.anew(kernel, own, told.secrets)
        for step in again:
            # A group that failed goes on where it is; it cannot begin once more.
            is_known = step in since or (step in fresh.groups and step != wanted.step)
            if not is_known:
                raise BegunAnew(execution_id, f"'{step}' began before that, if it ever ran")
        return fresh, [own]

    return _retold(told, wanted.step, (kernel.plan,), begin)


def _retold(
    told: Telling, step: str, plans: Sequence[Plan], begin: Begin
) -> tuple[Telling, list[Entry]]:
    again = [step, *told.failing]
    while True:
        begun = [one for one in again if one not in told.groups]
        followers = {path for one in begun for path in behind(told.steps, one, plans)}
        fresh, events = begin(again, followers)
        entries = [entry_of(events, UNCHAINED)]
        for turn in fresh.retell(told, again, behind=followers):
            entries.append(entry_of(turn.events, entries[-1].digest))
        # Another input or plan lets another of the old failures count.
        failing = [one for one in fresh.failing if one not in again]
        if not failing or failing[0] not in told.steps:
            return fresh, entries
        again += failing


def _check_fits(plan: Plan, workflow: str, step: str) -> None:
    if plan.name != workflow:
        raise UnfitDocument(f"it is workflow '{plan.name}', and this was '{workflow}'")
    scopes = [plan.scope]
    for name in ids(step):
        found = [node for scope in scopes for node in scope.nodes if node.id == name]
        if not found:
            raise UnfitDocument(f"it has no step '{step}'")
        scopes = [scope for node in found for scope in scopes_of(node)]
