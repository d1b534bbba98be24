"""The memory store: dictionaries that keep the contract of journal and leases.

The reference for the others, and the store of simulations: nothing in it waits.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from itertools import count, islice

from plait.ports.counts import COUNT_MAX
from plait.ports.journal import (
    IN_LANE,
    LET_IN,
    QUEUED,
    RUNNING,
    Append,
    Created,
    Entry,
    History,
    Hold,
    HoldLost,
    LostRace,
    Message,
    NewExecution,
    Search,
    Standing,
    Summary,
    UnknownExecution,
    UnknownPlan,
)
from plait.ports.leases import Claimed
from plait.stores.fits import fits
from plait.stores.memory.upkeep import MemoryUpkeep
from plait.stores.turns import in_turn


class MemoryStore(MemoryUpkeep):
    """Keeps executions for as long as the process runs.

    Implements Journal, Leases and Upkeep.
    """

    def __init__(self) -> None:
        self._histories: dict[str, History] = {}
        self._keys: dict[tuple[str, str, str], str] = {}
        super().__init__(self._histories, self._drop)
        self._numbers = count(1)
        self._plans: dict[str, bytes] = {}
        self._workers: dict[str, int] = {}
        self._waiting: dict[str, dict[str, Message]] = {}
        self._posted: set[tuple[str, str]] = set()
        self._aside: dict[str, dict[str, Message]] = defaultdict(dict)
        self._change = asyncio.Event()
        self._came_last = ""

    async def close(self) -> None:
        """Nothing is open."""

    # -- Journal -----------------------------------------------------------------------

    async def create(
        self,
        new: NewExecution,
        entries: Sequence[Entry],
        standing: Standing,
        owner: str,
        under: Hold | None = None,
    ) -> Created:
        """See plait.ports.journal.Journal."""
        self._check(under)
        if new.key is not None and (first := self._keys.get(_key_of(new))) is not None:
            return Created(self._histories[first].summary, is_new=False)
        if new.execution_id in self._histories:
            raise LostRace(new.execution_id)
        if new.key is not None:
            self._keys[_key_of(new)] = new.execution_id
        head = entries[-1].digest
        is_queued = standing.status == RUNNING and self._is_full(new)
        holder = None if is_queued or standing.status != RUNNING else owner
        lane_state = QUEUED if is_queued else IN_LANE
        number, length = next(self._numbers), len(entries)
        summary = Summary(new, standing, length, head, 1, holder, lane_state, number)
        self._histories[new.execution_id] = History(summary, list(entries))
        self._workers.setdefault(owner, 0)
        return Created(summary, is_new=True)

    async def append(self, append: Append) -> None:
        """See plait.ports.journal.Journal."""
        self._check(append.under)
        history = self._known(append.execution_id)
        known = history.summary
        is_held = known.owner is not None and known.epoch == append.epoch
        if not is_held or known.length != append.expected_length:
            raise LostRace(append.execution_id)
        summary = replace(
            known,
            standing=append.standing,
            length=known.length + len(append.entries),
            head=append.entries[-1].digest if append.entries else known.head,
            owner=None if append.is_released else known.owner,
            lane_state=self._lane_state(known, append),
        )
        kept = [] if append.begins_history else history.entries
        kept.extend(append.entries)
        self._histories[append.execution_id] = History(summary, kept)
        waiting = self._waiting.get(append.execution_id, {})
        for message_id in append.heard:
            waiting.pop(message_id, None)
        for message_id in append.put_aside:
            if message_id in waiting:
                aside = self._aside[append.execution_id]
                aside[message_id] = waiting.pop(message_id)
        if not known.standing.status == append.standing.status == RUNNING:
            self._hear_all(append.execution_id)
        if append.standing.status != RUNNING or summary.lane_state == QUEUED:
            self._let_in(known.new.lane)

    async def read(self, execution_id: str) -> History:
        """See plait.ports.journal.Journal."""
        history = self._known(execution_id)
        aside = self._aside.get(execution_id, {})
        kept = tuple(aside[one] for one in sorted(aside))
        waiting = tuple(self._waiting.get(execution_id, {}).values())
        return History(history.summary, list(history.entries), kept, waiting)

    async def find(self, search: Search) -> list[Summary]:
        """See plait.ports.journal.Journal."""
        latest_first = [one.summary for one in reversed(self._histories.values())]
        if search.before is not None:
            latest_first = [one for one in latest_first if one.number < search.before]
        return [one for one in latest_first if fits(one, search)][: search.limit]

    async def count(self, search: Search, count_max: int = COUNT_MAX) -> int | None:
        """See plait.ports.counts.Counts."""
        found = sum(fits(one.summary, search) for one in self._histories.values())
        return found if found <= count_max else None

    async def post(self, message: Message) -> None:
        """See plait.ports.journal.Journal."""
        self._known(message.execution_id)
        name = (message.execution_id, message.message_id)
        if name not in self._posted:
            self._posted.add(name)
            waiting = self._waiting.setdefault(message.execution_id, {})
            waiting[message.message_id] = message
            self._change.set()

    async def save_plan(self, plan_hash: str, data: bytes) -> None:
        """See plait.ports.journal.Journal."""
        self._plans.setdefault(plan_hash, data)

    async def load_plan(self, plan_hash: str) -> bytes:
        """See plait.ports.journal.Journal."""
        if plan_hash not in self._plans:
            raise UnknownPlan(plan_hash)
        return self._plans[plan_hash]

    # -- Leases ------------------------------------------------------------------------

    async def join(self, worker_id: str) -> None:
        """See plait.ports.leases.Leases."""

    async def beat(self, worker_id: str, now_ms: int, until_ms: int) -> list[Message]:
        """See plait.ports.leases.Leases."""
        self._workers[worker_id] = until_ms
        for other in [one for one, until in self._workers.items() if until < now_ms]:
            await self.leave(other)
        return [
            message
            for execution_id, waiting in self._waiting.items()
            if self._histories[execution_id].summary.owner == worker_id
            for message in waiting.values()
        ]

    async def claim(self, worker_id: str, now_ms: int, limit: int) -> Claimed:
        """See plait.ports.leases.Leases."""
        due: dict[int, dict[str, list[Summary]]] = defaultdict(lambda: defaultdict(list))
        free = [one for one in self._free() if self._is_due(one, now_ms)]
        for one in sorted(free, key=lambda one: one.standing.wake_at_ms or 0):
            due[one.new.priority][one.new.workflow].append(one)
        held = []
        for workflow, one in islice(in_turn(due, self._came_last), limit):
            held.append(self._hold(worker_id, one))
            self._came_last = workflow
        wakes = [one.standing.wake_at_ms for one in self._free()]
        return Claimed(
            held, min((wake for wake in wakes if wake is not None), default=None)
        )

    async def take(self, worker_id: str, now_ms: int, execution_id: str) -> Summary:
        """See plait.ports.leases.Leases."""
        summary = self._known(execution_id).summary
        if summary.owner not in (None, worker_id):
            assert summary.owner is not None
            if self._workers.get(summary.owner, -1) >= now_ms:
                raise LostRace(execution_id)
        return self._hold(worker_id, summary)

    async def release(self, worker_id: str, executions: list[str]) -> None:
        """See plait.ports.leases.Leases."""
        for execution_id in executions:
            history = self._histories.get(execution_id)
            if history is not None and history.summary.owner == worker_id:
                free = replace(history.summary, owner=None)
                self._histories[execution_id] = History(free, history.entries)

    async def leave(self, worker_id: str) -> None:
        """See plait.ports.leases.Leases."""
        await self.release(worker_id, list(self._histories))
        self._workers.pop(worker_id, None)

    async def changed(self) -> None:
        """See plait.ports.leases.Leases."""
        await self._change.wait()
        self._change.clear()

    # -- helpers -----------------------------------------------------------------------

    def _drop(self, new: NewExecution) -> None:
        del self._histories[new.execution_id]
        if new.key is not None:
            del self._keys[_key_of(new)]
        self._aside.pop(new.execution_id, None)
        self._hear_all(new.execution_id)

    def _hear_all(self, execution_id: str) -> None:
        self._waiting.pop(execution_id, None)
        self._posted -= {one for one in self._posted if one[0] == execution_id}

    def _known(self, execution_id: str) -> History:
        if execution_id not in self._histories:
            raise UnknownExecution(execution_id)
        return self._histories[execution_id]

    def _check(self, under: Hold | None) -> None:
        if under is not None:
            history = self._histories.get(under.execution_id)
            if history is not None and history.summary.epoch != under.epoch:
                raise HoldLost(under.execution_id)

    def _free(self) -> list[Summary]:
        running = (one for one in self._running() if one.lane_state != QUEUED)
        return [one for one in running if one.owner is None]

    def _running(self) -> list[Summary]:
        every = (history.summary for history in self._histories.values())
        return [one for one in every if one.standing.status == RUNNING]

    def _is_full(self, new: NewExecution) -> bool:
        if new.lane is None:
            return False
        side_by_side = [
            one
            for one in self._running()
            if one.new.lane == new.lane and one.lane_state != QUEUED
        ]
        return len(side_by_side) >= new.lane_max

    def _lane_state(self, known: Summary, append: Append) -> int:
        """Return how an execution stands to its lane after an append."""
        if append.standing.status != RUNNING or append.is_begun:
            return IN_LANE
        runs_again = known.standing.status != RUNNING
        return QUEUED if runs_again and known.new.lane is not None else known.lane_state

    def _let_in(self, lane: str | None) -> None:
        """Let in whatever a lane has room for."""
        waiting = [
            one
            for one in self._running()
            if lane is not None and one.new.lane == lane and one.lane_state == QUEUED
        ]
        waiting.sort(key=lambda one: -one.new.priority)
        for one in waiting:
            if self._is_full(one.new):
                return
            history = self._histories[one.new.execution_id]
            standing = replace(one.standing, wake_at_ms=0)
            summary = replace(one, standing=standing, lane_state=LET_IN)
            self._histories[one.new.execution_id] = History(summary, history.entries)
            self._change.set()

    def _is_due(self, summary: Summary, now_ms: int) -> bool:
        wake_at_ms = summary.standing.wake_at_ms
        has_come = wake_at_ms is not None and wake_at_ms <= now_ms
        return has_come or bool(self._waiting.get(summary.new.execution_id))

    def _hold(self, worker_id: str, summary: Summary) -> Summary:
        # A worker whose lease has run out holds it until the next beat of another.
        self._workers.setdefault(worker_id, 0)
        held = replace(summary, owner=worker_id, epoch=summary.epoch + 1)
        history = self._histories[summary.new.execution_id]
        self._histories[summary.new.execution_id] = History(held, history.entries)
        return held


def _key_of(new: NewExecution) -> tuple[str, str, str]:
    return new.tenant, new.workflow, new.key or ""
