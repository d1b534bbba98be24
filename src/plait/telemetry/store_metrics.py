"""Metrics of the store: what of its executions runs, waits its turn, or is stuck.

Rule 1. The store is asked every `EVERY_S`, not whenever somebody reads the metrics: who
        scrapes often makes no load.
Rule 2. All that have not ended are looked at, the latest `_ROWS_MAX` of them at most. Past
        that the store counts what it can, and how many were looked at is told beside.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Protocol

from prometheus_client import CollectorRegistry, Gauge
from prometheus_client.registry import Collector

from plait.model.errors import PlaitError
from plait.ports.counts import Counts
from plait.ports.journal import QUEUED, RUNNING, Search, Summary

logger = logging.getLogger("plait.telemetry")

EVERY_S: Final = 15.0
# Why executions that run wait for a person or another worker (their `error_code`).
WAITS: Final = (
    "execution.quarantined",
    "execution.secret_missing",
    "execution.worker_missing",
    "step.outcome_unknown",
)
# Rows are looked at one by one, the latest first: some milliseconds for each page.
PAGE_ROWS: Final = 1_000
_ROWS_MAX: Final = 10_000
_COUNT_MAX: Final = 100_000
_OVERDUE_MS: Final = 60_000


class Finds(Protocol):
    """What is asked of a store."""

    async def find(self, search: Search) -> list[Summary]:
        """See plait.ports.journal.Journal."""
        ...


class StoreMetrics:
    """Gauges of a store's executions, kept up to date.

    They are in the registry from `begin` on: who has no use for a store says nothing of it.

    Attributes:
        stuck: How many wait for a person or another worker, or are overdue.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry: CollectorRegistry | None = registry
        self._running = Gauge(
            "plait_executions_running",
            "Durable executions in the store that have not ended.",
            registry=None,
        )
        self._queued = Gauge(
            "plait_executions_queued",
            "Those that were looked at and wait for room in their lane.",
            registry=None,
        )
        self._overdue = Gauge(
            "plait_executions_overdue",
            "Those that were looked at, are due for a minute, and nobody holds.",
            registry=None,
        )
        self._waiting = Gauge(
            "plait_executions_waiting",
            "Those that wait for a person or another worker, by why.",
            ("code",),
            registry=None,
        )
        self._looked_at = Gauge(
            "plait_executions_looked_at",
            "How many of them were looked at: all, or the latest 10,000.",
            registry=None,
        )
        self._acting = Gauge(
            "plait_executions_acting",
            "Durable executions that act in this process's memory.",
            registry=None,
        )
        self._backlog = Gauge(
            "plait_executions_backlog",
            "Those that it accepted and that wait for room.",
            registry=None,
        )
        self._is_seen = Gauge(
            "plait_store_up",
            "1 when the store has answered when it was asked last.",
            registry=None,
        )
        self.running = self.queued = self.stuck = 0

    def begin(self) -> None:
        """Say from now on how the store stands; until it has answered, that it is gone."""
        registry, self._registry = self._registry, None
        if registry is not None:
            every: tuple[Collector, ...] = (
                self._running,
                self._queued,
                self._overdue,
                self._waiting,
                self._looked_at,
                self._acting,
                self._backlog,
                self._is_seen,
            )
            for gauge in every:
                registry.register(gauge)

    def watch(self, acting: Callable[[], int], backlog: Callable[[], int]) -> None:
        """Ask a worker, whenever somebody reads, how many it holds and how many wait."""
        self._acting.set_function(acting)
        self._backlog.set_function(backlog)

    async def look(self, store: Finds, now_ms: int) -> None:
        """Ask the store once."""
        self.begin()
        try:
            await self._look(store, now_ms)
        except PlaitError as error:
            self._is_seen.set(0)
            logger.debug("the store was not counted: %s", error)
        else:
            self._is_seen.set(1)

    async def _look(self, store: Finds, now_ms: int) -> None:
        seen = await _seen(store, now_ms)
        running, waiting = seen.running, seen.waiting
        if running == _ROWS_MAX and isinstance(store, Counts):  # there may be more
            search = Search(statuses=(RUNNING,))
            running = await _counted(store, search, _COUNT_MAX)
            for code in WAITS:
                search = Search(statuses=(RUNNING,), error_code=code)
                waiting[code] = await _counted(store, search, waiting[code])
        self.running, self.queued = running, seen.queued
        self.stuck = seen.overdue + waiting.total()
        for code in WAITS:
            self._waiting.labels(code).set(waiting[code])
        self._running.set(running)
        self._queued.set(seen.queued)
        self._overdue.set(seen.overdue)
        self._looked_at.set(seen.running)

    async def run(self, store: Finds, now_ms: Callable[[], int]) -> None:
        """Ask it again and again, until cancelled."""
        while True:
            await self.look(store, now_ms())
            await asyncio.sleep(EVERY_S)


@dataclass(slots=True)
class _Seen:
    """What rows told of executions that have not ended."""

    running: int = 0
    queued: int = 0
    overdue: int = 0
    waiting: Counter[str] = field(default_factory=Counter)

    def take(self, row: Summary, now_ms: int) -> None:
        self.running += 1
        self.queued += row.lane_state == QUEUED
        self.overdue += _is_overdue(row, now_ms)
        if row.standing.error_code in WAITS:
            self.waiting[row.standing.error_code] += 1


async def _seen(store: Finds, now_ms: int) -> _Seen:
    seen, before = _Seen(), None
    while seen.running < _ROWS_MAX:
        search = Search(statuses=(RUNNING,), limit=PAGE_ROWS, before=before)
        page = await store.find(search)
        for row in page:
            seen.take(row, now_ms)
        if len(page) < PAGE_ROWS:
            break
        before = page[-1].number
    return seen


async def _counted(store: Counts, search: Search, otherwise: int) -> int:
    """Return how many the store counts; when it does not come to an end, `otherwise`."""
    count = await store.count(search, _COUNT_MAX)
    return otherwise if count is None else count


def _is_overdue(row: Summary, now_ms: int) -> bool:
    due_ms = row.standing.wake_at_ms
    if due_ms is None or row.owner is not None or row.lane_state == QUEUED:
        return False
    return max(due_ms, row.standing.at_ms) < now_ms - _OVERDUE_MS
