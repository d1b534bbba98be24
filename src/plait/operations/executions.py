"""Executions as people see them: read from the journal, run by nobody.

Not here: running them (plait.drivers.journal), the words of the command line (plait.cli).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import assert_never

import orjson

from plait.drivers.inline import Trace
from plait.drivers.journal import Store, started_of, trace_of, turns_of, verify
from plait.kernel.compensation import cancelled
from plait.kernel.events import (
    CallCompleted,
    Event,
    ExecutionCancelled,
    ExecutionCompensated,
    ExecutionCompleted,
    ExecutionFailed,
    ExecutionStarted,
    HistoryBegun,
    TerminalEvent,
)
from plait.kernel.views import moment_text
from plait.model.failure import Failure
from plait.model.json import JsonObject, JsonValue
from plait.model.record import record
from plait.operations.starters import started_by
from plait.operations.states import signals_refused, states_entered
from plait.ports.counts import Counts
from plait.ports.journal import QUEUED, RUNNING, History, Message, Search, Summary


@record
class Shown:
    """One execution, told from its history.

    Attributes:
        started: What it began with.
        output: What it yielded; None until it has completed.
        failure: Why it failed; None unless it did.
        trace: Its timeline; moments are seconds since the Unix epoch.
        responses: What each call was answered, by step path; of several attempts the last.
        is_degraded: True when the output goes without a step that failed.
        waits: What it waits for (plait.operations.waits).
        requests: What each call was asked, by step path (plait.operations.requests).
        aside: Messages that nobody could read.
        states: Those that a state machine has entered, in their order.
        refused: Signals that were refused, in the order of their refusal.
    """

    summary: Summary
    started: ExecutionStarted
    output: JsonValue
    failure: Failure | None
    trace: Trace
    responses: JsonObject
    is_degraded: bool
    waits: Sequence[JsonObject] = ()
    requests: Mapping[str, JsonValue] = field(default_factory=dict)
    aside: Sequence[Message] = ()
    states: Sequence[JsonObject] = ()
    refused: Sequence[JsonObject] = ()

    @property
    def execution_id(self) -> str:
        """Its id."""
        return self.summary.new.execution_id

    @property
    def status(self) -> str:
        """How it stands: `running`, `completed`, `failed`, `cancelled`."""
        return self.summary.standing.status


def show(history: History, now_ms: int) -> Shown:
    """Return an execution as its history tells it.

    Args:
        now_ms: Until when the timeline of one that has not ended is drawn.

    Raises:
        HistoryDamaged: It is not the history that was written.
        TurnUnreadable: A newer version wrote it.
    """
    verify(history)
    turns = turns_of(history)
    started = started_of(turns[0][0])
    responses: JsonObject = {}
    for events in turns:
        if isinstance(events[0], CallCompleted):
            responses[events[0].step] = events[0].response
    is_running = history.summary.standing.status == RUNNING
    end_ms = now_ms if is_running else history.summary.standing.at_ms
    trace = trace_of(turns, end_ms)
    if history.summary.lane_state == QUEUED:
        trace.unbegin()
    last = turns[-1][-1]
    output, failure = _outcome(last)
    is_degraded = isinstance(last, ExecutionCompleted) and last.passed_over is not None
    said = (started, output, failure, trace, responses, is_degraded)
    return Shown(
        history.summary,
        *said,
        aside=history.aside,
        states=tuple(states_entered(turns)),
        refused=tuple(signals_refused(turns)),
    )


def _outcome(last: object) -> tuple[JsonValue, Failure | None]:
    if not isinstance(last, TerminalEvent):
        return None, None
    match last:
        case ExecutionCompleted(output=output):
            return output, None
        case ExecutionFailed(failure=failure) | ExecutionCompensated(failure=failure):
            return None, failure
        case ExecutionCancelled():
            return None, cancelled(last)
        case _:
            assert_never(last)


async def total_of(store: Store, search: Search) -> int | None:
    """Return how many executions a search finds; None: too many to be told soon.

    Raises:
        StoreUnavailable: It could not be read.
    """
    return await store.count(search) if isinstance(store, Counts) else None


def row_json(summary: Summary) -> JsonObject:
    """Return the object that stands for one execution in a list."""
    new, standing = summary.new, summary.standing
    row: JsonObject = {
        "id": new.execution_id,
        "workflow": new.workflow,
        "tenant": new.tenant,
        "status": standing.status,
        "created_at": moment_text(new.created_at_ms),
        "updated_at": moment_text(standing.at_ms),
        "wake_at": _moment(standing.wake_at_ms),
        "error_code": standing.error_code,
        "plan": new.plan_hash,
        "key": new.key,
        "tags": list(new.tags),
        "priority": new.priority,
        "lane": new.lane,
        "queued": summary.lane_state == QUEUED,
        "parent": new.parent,
        "worker": summary.owner,
        "entries": summary.length,
    }
    return row


def _moment(at_ms: int | None) -> str | None:
    return moment_text(at_ms) if at_ms else None


def shown_json(shown: Shown) -> JsonObject:
    """Return everything about one execution, as JSON."""
    error = None if shown.failure is None else shown.failure.as_json()
    return {
        **row_json(shown.summary),
        "started_by": started_by(shown.started.trigger),
        "input": shown.started.input,
        "output": shown.output,
        "error": error,
        "waits": list(shown.waits),
        "steps": [*steps_json(shown)],
        "states": [*shown.states],
        "refused": [*shown.refused],
        "unreadable": [aside_json(one) for one in shown.aside],
    }


def aside_json(message: Message) -> JsonObject:
    """Return a message that nobody could read, as far as it is text."""
    return {"id": message.message_id, "body": message.body.decode(errors="replace")}


def steps_json(shown: Shown) -> list[JsonObject]:
    """Return an object per step: its times, its attempts, what was asked and answered."""
    sides = {"request": shown.requests, "response": shown.responses}
    return [
        {
            **line,
            **{name: side[path] for name, side in sides.items() if path in side},
        }
        for line in shown.trace.as_json()
        for path in [str(line["step"])]
    ]


def event_json(event: Event, *, is_whole: bool = True) -> JsonObject:
    """Return one event of a history, as JSON.

    Args:
        is_whole: False: without inputs, outputs and answers, names and times only.
    """
    facts: JsonObject = orjson.loads(orjson.dumps(event, default=list))
    if isinstance(event, HistoryBegun):
        # How it stands is for the kernel; what it began with, `show` tells.
        facts = {"number": event.number, "at_ms": event.at_ms}
    if not is_whole:
        facts = {name: facts[name] for name in ("step", "at_ms") if name in facts}
    return {"type": type(event).__name__, **facts}
