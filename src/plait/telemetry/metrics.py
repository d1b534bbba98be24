"""Metrics of executions: how many, how they ended, how long they took.

Rule 1. Labels are bounded: workflows, modes, outcomes. Whoever may send documents names
        workflows at will; past `_WORKFLOWS_MAX` names they count as one.
Rule 2. Labels are bound once: a look-up costs more than the rest of the count.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Histogram

from plait.kernel.events import (
    CallCompleted,
    CallFailed,
    CompensationEnded,
    Event,
    ExecutionStarted,
    StepCancelled,
    StepCompleted,
    StepFailed,
    StepSkipped,
)
from plait.model.failure import Failure
from plait.ports.observer import STATUSES, About, Line

_WORKFLOWS_MAX: Final = 1_000
COMPENSATION_FAILED: Final = "saga.compensation_failed"
OTHERS: Final = "(others)"
_SECONDS: Final = (
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
    60.0, 300.0, 1_800.0, 3_600.0, 21_600.0, 86_400.0, 604_800.0,
)  # fmt: skip
_COMMIT_SECONDS: Final = (
    0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0,
)  # fmt: skip
STEP_OUTCOMES: Final = {
    StepCompleted: "completed",
    StepFailed: "failed",
    StepCancelled: "cancelled",
    StepSkipped: "skipped",
}


class ExecutionMetrics:
    """Counts what it hears (plait.ports.observer.Observer)."""

    draws = False

    def __init__(self, registry: CollectorRegistry) -> None:
        self._started = Counter(
            "plait_executions_started",
            "Executions that began here.",
            ("workflow", "mode"),
            registry=registry,
        )
        self._ended = Counter(
            "plait_executions_ended",
            "Executions that ended here, by how.",
            ("workflow", "mode", "status"),
            registry=registry,
        )
        self._seconds = Histogram(
            "plait_execution_seconds",
            "From an execution's beginning, or its last resume, to its end.",
            ("workflow", "mode"),
            buckets=_SECONDS,
            registry=registry,
        )
        self._steps = Counter(
            "plait_steps",
            "Steps of executions, by how they ended.",
            ("workflow", "outcome"),
            registry=registry,
        )
        self._attempts = Counter(
            "plait_attempts",
            "Attempts of steps, by whether they failed.",
            ("workflow", "outcome"),
            registry=registry,
        )
        self._compensations = Counter(
            "plait_compensations",
            "Compensations that ended: all was undone, or something could not be.",
            ("workflow", "outcome"),
            registry=registry,
        )
        self._commits = Histogram(
            "plait_journal_commit_seconds",
            "From a turn's decision to the store's word that it is kept.",
            buckets=_COMMIT_SECONDS,
            registry=registry,
        )
        self._workflows: dict[str, _Workflow] = {}

    def ran(
        self,
        about: About,
        status: str,
        failure: Failure | None,
        took_s: float,
        lines: Iterable[Line],
        offset_s: float,
    ) -> None:
        """See plait.ports.observer.Observer."""
        counts = self._of(about)
        counts.add(self._started, "started")
        counts.add(self._ended, status)
        counts.took(self._seconds, took_s)
        failed_count = attempt_count = 0
        by_outcome: dict[str, int] = {}
        for line in lines:
            outcome = "cancelled" if line.ended_s is None else line.status
            by_outcome[outcome] = by_outcome.get(outcome, 0) + 1
            attempt_count += len(line.attempts)
            if line.failure is not None or len(line.attempts) > 1:
                failed_count += sum(failed is not None for _, _, failed in line.attempts)
        for outcome, count in by_outcome.items():
            counts.add(self._steps, outcome, count)
        if failed_count:
            counts.add(self._attempts, "failed", failed_count)
        if attempt_count > failed_count:
            counts.add(self._attempts, "succeeded", attempt_count - failed_count)
        if status == "compensated":
            counts.add(self._compensations, "undone")
        elif failure is not None and failure.code == COMPENSATION_FAILED:
            counts.add(self._compensations, "failed")

    def turned(self, about: About, events: Sequence[Event], lines: Iterable[Line]) -> None:
        """See plait.ports.observer.Observer."""
        counts = self._of(about)
        for event in events:
            kind = type(event)
            if kind in STEP_OUTCOMES:
                counts.add(self._steps, STEP_OUTCOMES[kind])
            elif kind is CallCompleted:
                counts.add(self._attempts, "succeeded")
            elif kind is CallFailed:
                counts.add(self._attempts, "failed")
            elif kind is ExecutionStarted:
                counts.add(self._started, "started")
            elif isinstance(event, CompensationEnded):
                outcome = "failed" if event.not_undone else "undone"
                counts.add(self._compensations, outcome)
            elif kind in STATUSES:
                counts.add(self._ended, STATUSES[kind])
                counts.took(self._seconds, event.at_ms / 1000 - about.began_s)

    def recorded(self, took_s: float) -> None:
        """See plait.ports.observer.Observer."""
        self._commits.observe(took_s)

    def _of(self, about: About) -> _Workflow:
        name = f"{about.mode} {about.workflow}"
        known = self._workflows.get(name)
        if known is None:
            workflow = about.workflow
            if len(self._workflows) >= _WORKFLOWS_MAX:
                workflow, name = OTHERS, f"{about.mode} {OTHERS}"
            known = self._workflows.get(name) or _Workflow(workflow, about.mode)
            self._workflows[name] = known
        return known


class _Workflow:
    """The counters of one workflow, bound to its labels."""

    def __init__(self, workflow: str, mode: str) -> None:
        self._values = {"workflow": workflow, "mode": mode}
        self._bound: dict[tuple[int, str], Counter] = {}
        self._seconds: Histogram | None = None

    def add(self, counter: Counter, outcome: str, amount: int = 1) -> None:
        bound = self._bound.get((id(counter), outcome))
        if bound is None:
            told = {**self._values, "status": outcome, "outcome": outcome}
            names = counter._labelnames
            bound = counter.labels(*(told[name] for name in names))
            self._bound[id(counter), outcome] = bound
        bound.inc(amount)

    def took(self, histogram: Histogram, seconds: float) -> None:
        if self._seconds is None:
            self._seconds = histogram.labels(*self._values.values())
        self._seconds.observe(max(seconds, 0.0))
