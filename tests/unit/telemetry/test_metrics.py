"""What is counted of executions, and that every metric stands in the table."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.registry import Collector

from plait.drivers.inline import StepTrace
from plait.gateway.metrics import Metrics
from plait.gateway.policy_metrics import PolicyMetrics
from plait.kernel.events import (
    CallCompleted,
    CallFailed,
    CompensationEnded,
    ExecutionFailed,
    StepCompleted,
    StepFailed,
)
from plait.model.failure import Failure
from plait.ports.journal import (
    QUEUED,
    RUNNING,
    NewExecution,
    Search,
    Standing,
    StoreUnavailable,
    Summary,
)
from plait.ports.observer import DURABLE, EXPRESS, About
from plait.services.call_metrics import CallMetrics
from plait.services.links import LinkMetrics
from plait.stores.memory import MemoryRecords, MemoryStore
from plait.telemetry import catalogue, store_metrics
from plait.telemetry.alerts import AlertBoard
from plait.telemetry.metrics import OTHERS, ExecutionMetrics
from plait.telemetry.store_metrics import PAGE_ROWS, StoreMetrics
from plait.testing.store_suite import ANN, AT_ONCE, LATER_MS, NOW_MS, entry, new

ROOT = Path(__file__).resolve().parents[3]
ABOUT = About("e1", "pay", "t1", EXPRESS, (), 100.0)
FAILURE = Failure("http.status", "503")


def counted(*told: Any) -> str:
    registry = CollectorRegistry()
    metrics = ExecutionMetrics(registry)
    for one in told:
        one(metrics)
    return generate_latest(registry).decode()


def test_an_express_execution_is_counted_with_its_steps_and_attempts() -> None:
    attempts = [(0.0, 0.1, FAILURE), (0.2, 0.3, None)]
    lines = [
        StepTrace("a", "completed", 0.0, 0.3, [*attempts]),
        StepTrace("b", "skipped", 0.0, 0.0),
        StepTrace("c", "running", 0.0, None, [(0.0, None, None)]),
    ]
    text = counted(lambda m: m.ran(ABOUT, "completed", None, 0.3, lines, 0.0))
    labels = 'mode="express",status="completed",workflow="pay"'
    assert f"plait_executions_ended_total{{{labels}}} 1.0" in text
    assert 'plait_steps_total{outcome="completed",workflow="pay"} 1.0' in text
    assert 'plait_steps_total{outcome="skipped",workflow="pay"} 1.0' in text
    assert 'plait_steps_total{outcome="cancelled",workflow="pay"} 1.0' in text
    assert 'plait_attempts_total{outcome="failed",workflow="pay"} 1.0' in text
    assert 'plait_attempts_total{outcome="succeeded",workflow="pay"} 2.0' in text
    assert 'plait_execution_seconds_sum{mode="express",workflow="pay"} 0.3' in text


def test_a_durable_execution_is_counted_turn_by_turn() -> None:
    about = replace(ABOUT, mode=DURABLE)
    first = [
        CallCompleted("a", 1, None, {}, 100_100),
        StepCompleted("a", 1, False, 100_100),
    ]
    last = [
        CallFailed("b", 1, FAILURE, 102_000),
        StepFailed("b", FAILURE, False, 102_000),
        CompensationEnded("", 1, [], [{"step": "a"}], 102_000),
        ExecutionFailed(FAILURE, 102_000),
    ]
    text = counted(
        lambda m: m.turned(about, first, ()), lambda m: m.turned(about, last, ())
    )
    labels = 'mode="durable",status="failed",workflow="pay"'
    assert f"plait_executions_ended_total{{{labels}}} 1.0" in text
    assert 'plait_attempts_total{outcome="failed",workflow="pay"} 1.0' in text
    assert 'plait_compensations_total{outcome="failed",workflow="pay"} 1.0' in text
    assert 'plait_execution_seconds_sum{mode="durable",workflow="pay"} 2.0' in text


def test_names_that_callers_choose_do_not_grow_the_metrics_for_ever() -> None:
    def many(metrics: ExecutionMetrics) -> None:
        for number in range(1_200):
            about = replace(ABOUT, workflow=f"w{number}")
            metrics.ran(about, "completed", None, 0.1, (), 0.0)

    text = counted(many)
    assert f'status="completed",workflow="{OTHERS}"}} 200.0' in text
    assert 'workflow="w999"' in text
    assert 'workflow="w1000"' not in text


class Store:
    """A store of a few rows, or one that is not there."""

    def __init__(self, *rows: Summary, is_there: bool = True) -> None:
        self.rows = rows
        self.is_there = is_there

    async def find(self, search: Search) -> list[Summary]:
        if not self.is_there:
            raise StoreUnavailable("it is gone")
        return [*self.rows]


def row(wake_at_ms: int | None, code: str | None = None, **more: Any) -> Summary:
    new = NewExecution("e", "w", "h", 0, "")
    told = {"owner": None, **more}
    return Summary(new, Standing(RUNNING, 0, wake_at_ms, code), 1, b"", 1, **told)


async def test_what_is_stuck_in_the_store_is_told_from_what_waits_in_peace() -> None:
    registry = CollectorRegistry()
    metrics = StoreMetrics(registry)
    rows = (
        row(1),  # due at once, and nobody holds it
        row(1, owner="w1"),
        row(None),
        row(10_000_000),
        row(0, lane_state=QUEUED),
        row(None, "execution.quarantined"),
    )
    await metrics.look(Store(*rows), 200_000)
    text = generate_latest(registry).decode()
    assert "plait_executions_running 6.0" in text
    assert "plait_executions_overdue 1.0" in text
    assert "plait_executions_queued 1.0" in text
    assert 'plait_executions_waiting{code="execution.quarantined"} 1.0' in text
    assert metrics.stuck == 2
    await metrics.look(Store(is_there=False), 200_000)
    assert "plait_store_up 0.0" in generate_latest(registry).decode()


async def queueing(count: int, *codes: str) -> MemoryStore:
    """Return a store with a lane that one is in, and the others wait for; and with those
    that wait because of `codes`, which are older.
    """
    store = MemoryStore()
    await store.join(ANN)
    await store.beat(ANN, NOW_MS, LATER_MS)
    begun = [entry("started")]
    for number, code in enumerate(codes):
        await store.create(new(f"c{number}"), begun, Standing(RUNNING, 0, None, code), ANN)
    for number in range(count):
        started = new(f"x{number}", lane="one", lane_max=1)
        await store.create(started, begun, AT_ONCE, ANN)
    return store


async def test_all_that_run_are_looked_at_and_not_the_latest_page_alone() -> None:
    registry = CollectorRegistry()
    store = await queueing(2 * PAGE_ROWS + 300, "execution.quarantined")
    await StoreMetrics(registry).look(store, NOW_MS)
    text = generate_latest(registry).decode()
    assert f"plait_executions_running {2 * PAGE_ROWS + 301}.0" in text
    assert f"plait_executions_looked_at {2 * PAGE_ROWS + 301}.0" in text
    assert f"plait_executions_queued {2 * PAGE_ROWS + 299}.0" in text
    assert 'plait_executions_waiting{code="execution.quarantined"} 1.0' in text


async def test_past_what_is_looked_at_the_store_counts_what_it_can_and_that_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(store_metrics, "_ROWS_MAX", PAGE_ROWS)
    registry = CollectorRegistry()
    metrics = StoreMetrics(registry)
    store = await queueing(PAGE_ROWS, "execution.quarantined", "step.outcome_unknown")
    await metrics.look(store, NOW_MS)
    text = generate_latest(registry).decode()
    assert f"plait_executions_running {PAGE_ROWS + 2}.0" in text
    assert f"plait_executions_looked_at {PAGE_ROWS}.0" in text
    assert f"plait_executions_queued {PAGE_ROWS - 1}.0" in text
    assert 'plait_executions_waiting{code="execution.quarantined"} 1.0' in text
    assert metrics.stuck == 2
    monkeypatch.setattr(store_metrics, "_COUNT_MAX", PAGE_ROWS - 1)
    await metrics.look(store, NOW_MS)
    assert metrics.running == PAGE_ROWS - 1


async def never(*_: object) -> None:
    """Nobody is told."""


def families() -> dict[str, tuple[str, tuple[str, ...]]]:
    """Return what a gateway registers, by the names of the table: kind and labels."""
    registry = CollectorRegistry()
    ExecutionMetrics(registry)
    StoreMetrics(registry).begin()
    CallMetrics(registry)
    Metrics(lambda: 0, registry)
    AlertBoard([], MemoryRecords(), never, lambda: 0, "p1", registry)
    policies: Collector = PolicyMetrics(dict)
    links: Collector = LinkMetrics([])
    found: dict[str, tuple[str, tuple[str, ...]]] = {}
    for collector in [*registry._collector_to_names, policies, links]:
        for family in collector.collect():
            if family.name.startswith("plait_"):
                name = family.name + "_total" * (family.type == "counter")
                labels = getattr(collector, "_labelnames", None)
                if labels is None:
                    labels = family._labelnames  # type: ignore[attr-defined]
                found[name] = family.type, tuple(labels)
    return found


def test_the_table_has_every_metric_with_its_kind_and_labels() -> None:
    table = {one.name: (one.kind, one.labels) for one in catalogue.METRICS}
    assert table == families()


def test_no_label_is_an_id() -> None:
    labels = {label for one in catalogue.METRICS for label in one.labels}
    assert not {label for label in labels if label.endswith("id")}


def test_the_page_is_what_the_table_says() -> None:
    assert (ROOT / "docs/reference/metrics.md").read_text() == catalogue.page()
