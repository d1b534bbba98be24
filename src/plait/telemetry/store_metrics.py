"""Metrics of the store: what of its executions runs, waits its turn, or is stuck.

The store is asked every `EVERY_S`, not whenever somebody reads the metrics: who scrapes
often makes no load.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
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
# Rows are looked at one by one, the latest first: some milliseconds.
_ROWS_MAX: Final = 1_000
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
            "Of the latest 1,000 of them: those that wait for room in their lane.",
            registry=None,
        )
        self._overdue = Gauge(
            "plait_executions_overdue",
            "Of the latest 1,000 of them: those due for a minute, which nobody holds.",
            registry=None,
        )
        self._waiting = Gauge(
            "plait_executions_waiting",
            "Those that wait for a person or another worker, by why.",
            ("code",),
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
                self._is_seen,
            )
            for gauge in every:
                registry.register(gauge)

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
        found = Search(statuses=(RUNNING,), limit=_ROWS_MAX)
        rows = await store.find(found)
        counted = await store.count(found) if isinstance(store, Counts) else None
        self.running = len(rows) if counted is None else counted
        self.queued = sum(row.lane_state == QUEUED for row in rows)
        overdue = sum(_is_overdue(row, now_ms) for row in rows)
        self.stuck = overdue
        for code in WAITS:
            count = sum(row.standing.error_code == code for row in rows)
            self._waiting.labels(code).set(count)
            self.stuck += count
        self._running.set(self.running)
        self._queued.set(self.queued)
        self._overdue.set(overdue)

    async def run(self, store: Finds, now_ms: Callable[[], int]) -> None:
        """Ask it again and again, until cancelled."""
        while True:
            await self.look(store, now_ms())
            await asyncio.sleep(EVERY_S)


def _is_overdue(row: Summary, now_ms: int) -> bool:
    due_ms = row.standing.wake_at_ms
    if due_ms is None or row.owner is not None or row.lane_state == QUEUED:
        return False
    return max(due_ms, row.standing.at_ms) < now_ms - _OVERDUE_MS
