"""What an execution that goes on waits for right now: calls, moments, people, events."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final

from plait.drivers.journal import (
    SecretMissing,
    Store,
    Telling,
    is_put_off,
    needs_of,
    waits_for_worker,
)
from plait.kernel.frames import active_runs
from plait.kernel.state import Run
from plait.kernel.timers import DEADLINES
from plait.kernel.views import moment_text
from plait.model.json import JsonObject, JsonValue
from plait.operations.course import Hand, told_of
from plait.ports.journal import QUEUED, RUNNING, History, Search, Summary

_BEHIND_MAX: Final = 1_000
# For what it waits for; behind a purpose may stand the number of an item.
_TIMERS: Final = {
    "retry": "retry",
    "item_retry": "retry",
    "machine": "time",
    "item_after": "time",
}


async def waits(hand: Hand, history: History) -> list[JsonObject]:
    """Return what it waits for, an object each, in the order in which the steps began.

    Each has `step`, `for` (`call`, `secret`, `worker`, `time`, `retry`, `event` or
    `approval`), `until` where there is a limit, and what else is to be known. One that has
    not begun waits `for` its `lane` only, `behind` the executions that go first, or for
    `room` in a worker.

    Raises:
        HistoryMismatch: This version cannot tell the history again.
    """
    if history.summary.lane_state == QUEUED:
        return [await queue_of(hand.store, history.summary)]
    if is_put_off(history.summary.standing):
        return [{"for": "room"}]
    told = await told_of(hand, history)
    if told.state.end is not None:
        return []
    lacking: dict[str, JsonObject] = {}
    standing = history.summary.standing
    if waits_for_worker(standing):
        if standing.error_code == SecretMissing.code:
            names = await _lacking(hand, history, told)
            lacking = {step: {"for": "secret", "secrets": [*names[step]]} for step in names}
        else:
            calls = told.outstanding.calls.values()
            lacking = {one.step: {"for": "worker", "needs": needs_of(one)} for one in calls}
    return [wait for run in active_runs(told.state) for wait in _of(told, run, lacking)]


async def queue_of(store: Store, queued: Summary) -> JsonObject:
    """Return what an execution that queues waits for."""
    lane = queued.new.lane
    search = Search(lane=lane, statuses=(RUNNING,), limit=_BEHIND_MAX)
    oldest_first = (await store.find(search))[::-1]
    first = [one for one in oldest_first if one.lane_state != QUEUED]
    for one in sorted(oldest_first, key=lambda one: -one.new.priority):
        if one.new.execution_id == queued.new.execution_id:
            break
        if one.lane_state == QUEUED:
            first.append(one)
    behind: list[JsonValue] = [one.new.execution_id for one in first]
    return {"for": "lane", "lane": lane, "behind": behind}


def _of(told: Telling, run: Run, lacking: Mapping[str, JsonObject]) -> Iterator[JsonObject]:
    if run.path in lacking:
        yield {"step": run.path, **lacking[run.path]}
    elif run.path in told.outstanding.calls:
        yield {"step": run.path, "for": "call"}
    if run.path in told.state.waiting:
        limits = (one for one, why in run.timers.items() if why == "patience")
        until = next((_due(told, one) for one in limits), None)
        yield {"step": run.path, **told.kernel.wanted(run), "until": until}
    for timer, purpose in run.timers.items():
        kind = purpose.partition(" ")[0]
        if kind not in DEADLINES:
            yield {"step": run.path, "for": _TIMERS[kind], "until": _due(told, timer)}


async def _lacking(hand: Hand, history: History, told: Telling) -> dict[str, Sequence[str]]:
    """Return the names of the secrets that calls wait for, by step path.

    Those that are not here, or all that the call reads if all are: another worker has
    looked, and has not made it.
    """
    here = told.outstanding.calls
    nowhere = (await told_of(replace(hand, secrets={}), history)).outstanding.calls
    names = {step: here[step].lacking or call.lacking for step, call in nowhere.items()}
    return {step: lacking for step, lacking in names.items() if lacking}


def _due(told: Telling, timer: int) -> str:
    return moment_text(told.outstanding.timers[timer].due_at_ms)
