"""Loops, as the reference reads them: one iteration after the other, items in slots."""

from __future__ import annotations

import heapq
import itertools
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from tests.simulation.reading import Unreadable, render, truth
from tests.simulation.reckoning import (
    WHOLE,
    Ambiguous,
    End,
    Error,
    Missed,
    duration,
    either,
    first_missed,
    is_retried,
    told_of,
)

Json = Any
LOOPS = ("while", "repeat", "foreach")
NO_VALUE = Error("expression", "", 0)


class Walks(Protocol):
    """The reference, as loops use it."""

    views: dict[str, Json]

    def scope(
        self, raw: Json, order: str, names: dict[str, Json], start: int, prefix: str
    ) -> list[End]:
        """Return how the steps of `raw` end together."""
        ...

    def cut(self, prefix: str, at: int) -> None:
        """Forget what would have happened below `prefix` from moment `at` on."""
        ...

    def delays(self, retry: Json, attempt: int, asked: int) -> tuple[int, int]:
        """Return the shortest and the longest that the next attempt may have to wait."""
        ...


def loop(walk: Walks, raw: Json, names: Json, now: int, path: str) -> list[End]:
    """Return how `while` or `repeat` ends."""
    at, previous, count, missed = now, None, 0, WHOLE
    for number in itertools.count():
        seen = {**names, "iteration": number, "previous": previous}
        try:
            if "while" in raw and not truth(raw["while"], seen):
                return [_ended(at, previous, count, "condition", missed)]
            if number >= raw.get("max_iterations", 100):
                return [End("failed", at, Error("limit.iterations", "", 0))]
            if truth(raw.get("continue", False), seen):
                continue
            if count:
                at += duration(raw.get("delay")) or 0
            order = raw.get("order", "graph")
            ends = walk.scope(raw, order, seen, at, f"{path}[{number}]/")
            if ends[0].kind != "settled":
                return ends
            at, missed = ends[0].at, either(missed, ends[0].missed)
            after = {**seen, **walk.views}
            stopped_by = "break" if truth(raw.get("break", False), after) else ""
            if not stopped_by and truth(raw.get("until", False), after):
                stopped_by = "condition"
        except Unreadable:
            return [End("failed", at, NO_VALUE)]
        previous, count = ends[0].payload, count + 1
        if stopped_by:
            return [_ended(at, previous, count, stopped_by, missed)]
    raise AssertionError


def _ended(at: int, result: Json, count: int, stopped_by: str, missed: Missed) -> End:
    told = {"result": result, "iterations": count, "stopped_by": stopped_by}
    return End("settled", at, told, missed)


@dataclass(frozen=True)
class Group:
    """A foreach: what the paths in it begin with, its own, and its attempt."""

    around: str
    path: str
    attempt: int


@dataclass
class Taken:
    """What the items have come to so far.

    Attributes:
        ends: Of those that ran, in the order of their beginning.
        over: The moment at which nothing more begins, and whether by `break`.
    """

    results: list[Json]
    ends: list[End] = field(default_factory=list)
    failures: list[Json] = field(default_factory=list)
    enders: list[End] = field(default_factory=list)
    skipped: int = 0
    broken_at: int | None = None
    over_at: int | None = None


def foreach(walk: Walks, raw: Json, names: Json, now: int, group: Group) -> list[End]:
    """Return how `foreach` ends."""
    items = render(raw["items"], names)
    if not isinstance(items, list):
        return [End("failed", now, Error("foreach.items", "", 0))]
    taken = Taken([None] * len(items))
    size = raw.get("batch_size") or len(items) or 1
    at = now
    for first in range(0, len(items), size):
        batch = range(first, min(first + size, len(items)))
        ends_before = len(taken.ends)
        try:
            _run_batch(walk, raw, {**names, ITEMS: items}, at, group, taken, batch)
        except Unreadable:
            raise Ambiguous from None
        if taken.enders:
            moment = min(end.at for end in taken.enders)
            walk.cut(group.around + "[", moment)
            return [end for end in taken.enders if end.at == moment]
        at = max([at, *(end.at for end in taken.ends[ends_before:])])
        if taken.broken_at is not None:
            break
        if batch.stop < len(items):
            at += duration(raw.get("batch_delay")) or 0
    return [_counted(taken, items, at)]


ITEMS = " items"


def _run_batch(
    walk: Walks,
    raw: Json,
    names: Json,
    at: int,
    group: Group,
    taken: Taken,
    batch: range,
) -> None:
    """Let the items of a batch begin, each in the slot that is free first."""
    names = dict(names)
    items = names.pop(ITEMS)
    slots: list[tuple[int, bool]] = [(at, False)] * raw.get("max_concurrency", 10)
    for index in batch:
        begin, is_freed = slots[0]
        if taken.over_at is not None and begin > taken.over_at:
            return
        if taken.over_at == begin and is_freed:
            beside = [slot for slot in slots if slot == (begin, True)]
            if taken.enders or len(beside) > 1:
                raise Ambiguous
            return
        seen = {**names, "item": items[index], "index": index}
        if truth(raw.get("continue", False), seen):
            taken.skipped += 1
            continue
        heapq.heappop(slots)
        ends = _item(walk, raw, seen, begin, group, index)
        _take(walk, raw, seen, taken, index, ends, group)
        free_at = ends[0].at if not taken.enders or ends[0] not in taken.enders else 10**15
        heapq.heappush(slots, (free_at, True))


def _take(
    walk: Walks,
    raw: Json,
    seen: Json,
    taken: Taken,
    index: int,
    ends: list[End],
    group: Group,
) -> None:
    """Take in how an item ended."""
    end = ends[0]
    is_lost = end.kind == "failed" and raw.get("on_item_error") == "continue"
    if is_lost and len(ends) > 1:
        raise Ambiguous
    if end.kind == "settled":
        taken.results[index] = end.payload
        taken.ends.append(end)
        is_broken = truth(raw.get("break", False), {**seen, **walk.views})
        if is_broken and (taken.broken_at is None or end.at < taken.broken_at):
            taken.broken_at = end.at
    elif is_lost:
        error = replace(end.payload, fallback="", retry_on=False)
        lost = {"index": index, "item": seen["item"], "error": {"code": error.code}}
        taken.failures.append(lost)
        missed = frozenset([told_of(end, group.path, group.attempt).payload])
        taken.ends.append(End("settled", end.at, None, missed))
    else:
        taken.enders.extend(ends)
    moments = [one.at for one in taken.enders]
    moments += [] if taken.broken_at is None else [taken.broken_at]
    taken.over_at = min(moments, default=None)


def _item(
    walk: Walks, raw: Json, names: Json, now: int, group: Group, index: int
) -> list[End]:
    """Return how an item ends, after all its attempts."""
    limit, retry = duration(raw.get("item_timeout")), raw.get("item_retry")
    over_at = None if limit is None else now + limit
    order = raw.get("order", "graph")
    for attempt in itertools.count(1):
        again = "" if attempt == 1 else f"~{attempt}"
        prefix = f"{group.around}[{index}]{again}/"
        ends = walk.scope(raw, order, names, now, prefix)
        end = ends[0]
        if over_at is not None and end.at == over_at:
            raise Ambiguous
        if over_at is not None and end.at > over_at:
            walk.cut(prefix, over_at)
            return [End("failed", over_at, Error("step.timeout", "", 0))]
        if end.kind != "failed" or retry is None:
            return ends
        if len(ends) > 1:
            raise Ambiguous
        if attempt >= retry.get("max_attempts", 3):
            return ends
        error = told_of(end, group.path, group.attempt).payload
        try:
            if not is_retried(retry.get("on"), error, names, None):
                return ends
        except Unreadable:
            return [replace(end, payload=replace(error, retry_on=True))]
        now = end.at + walk.delays(retry, attempt, error.retry_after_ms)[0]
        if over_at is not None and now >= over_at:
            return ends
    raise AssertionError


def _counted(taken: Taken, items: list[Json], at: int) -> End:
    failed = len(taken.failures)
    success = len(taken.ends) - failed
    told = {
        "results": taken.results,
        "failures": sorted(taken.failures, key=lambda one: int(one["index"])),
        "total": len(items),
        "success_count": success,
        "failure_count": failed,
        "skipped_count": len(items) - len(taken.ends),
        "success_rate": success / (success + failed) if success + failed else 1.0,
    }
    return End("settled", at, told, first_missed(taken.ends))
