"""All metrics that `/metrics` answers with, in one table.

`python -m plait.telemetry.catalogue` writes docs/reference/metrics.md. A test compares the
table with what a gateway has, and dashboards and rules with the table.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Final

from plait.model.record import record

COUNTER: Final = "counter"
GAUGE: Final = "gauge"
HISTOGRAM: Final = "histogram"


@record
class Metric:
    """One metric.

    Attributes:
        name: As rules and dashboards name it; a histogram's has `_bucket`, `_count` or
            `_sum` behind it there.
        labels: Without `le`.
        where: Who answers with it; empty: every process that does what it tells of.
    """

    name: str
    kind: str
    labels: tuple[str, ...]
    what: str
    where: str = ""


_SPLIT: Final = "the gateway of a split platform"
_SERVICE: Final = "the services of a split platform"
_ONE: Final = "where calls are made"
_STORE: Final = "where the store of executions is open"

METRICS: Final = (
    Metric(
        "plait_requests_total",
        COUNTER,
        ("method", "route", "status"),
        "Requests answered. Status 499: the client left before the reply. No route: none "
        "fits the path",
    ),
    Metric(
        "plait_request_seconds",
        HISTOGRAM,
        ("method", "route"),
        "From the request's last byte to the reply; of a stream, to its beginning",
    ),
    Metric("plait_requests_in_flight", GAUGE, (), "Requests under way now"),
    Metric(
        "plait_executions_started_total",
        COUNTER,
        ("workflow", "mode"),
        "Executions that began here; mode: `express` or `durable`",
    ),
    Metric(
        "plait_executions_ended_total",
        COUNTER,
        ("workflow", "mode", "status"),
        "Executions that ended here: `completed`, `failed`, `compensated`, `cancelled`",
    ),
    Metric(
        "plait_execution_seconds",
        HISTOGRAM,
        ("workflow", "mode"),
        "From an execution's beginning, or its last resume, to its end",
    ),
    Metric(
        "plait_steps_total",
        COUNTER,
        ("workflow", "outcome"),
        "Steps, by how they ended: `completed`, `failed`, `skipped`, `cancelled`",
    ),
    Metric(
        "plait_attempts_total",
        COUNTER,
        ("workflow", "outcome"),
        "Attempts of steps: `succeeded`, `failed`",
    ),
    Metric(
        "plait_compensations_total",
        COUNTER,
        ("workflow", "outcome"),
        "Compensations that ended: `undone`, or `failed` when something could not be",
    ),
    Metric(
        "plait_journal_commit_seconds",
        HISTOGRAM,
        (),
        "From a turn's decision to the store's word that it is kept",
    ),
    Metric(
        "plait_executions_running",
        GAUGE,
        (),
        "Durable executions in the store that have not ended",
        _STORE,
    ),
    Metric(
        "plait_executions_queued",
        GAUGE,
        (),
        "Those of them that wait for room in their lane, as far as they were looked at",
        _STORE,
    ),
    Metric(
        "plait_executions_overdue",
        GAUGE,
        (),
        "Those of them that are due for a minute and nobody holds, as far as they were "
        "looked at",
        _STORE,
    ),
    Metric(
        "plait_executions_waiting",
        GAUGE,
        ("code",),
        "Those of them that wait for a person or another worker",
        _STORE,
    ),
    Metric(
        "plait_executions_looked_at",
        GAUGE,
        (),
        "How many of them were looked at: all, or the latest 10,000. Past those the store "
        "counts the ones that run and that wait, up to 100,000",
        _STORE,
    ),
    Metric(
        "plait_store_up",
        GAUGE,
        (),
        "1 when the store answered when it was asked last",
        _STORE,
    ),
    Metric(
        "plait_executions_acting",
        GAUGE,
        (),
        "Durable executions that act in this process's memory (`execution.held_max`)",
        _STORE,
    ),
    Metric(
        "plait_executions_backlog",
        GAUGE,
        (),
        "Those that it accepted and that wait for room (`execution.backlog_max`)",
        _STORE,
    ),
    Metric(
        "plait_alerts",
        GAUGE,
        ("alert", "state"),
        "1 for the state in which an alert is: `inactive`, `pending`, `firing`",
        "where alert documents are served",
    ),
    Metric(
        "plait_policy_calls_total",
        COUNTER,
        ("policy", "name", "outcome"),
        "What policies did with calls: admitted, refused, waited, succeeded, failed",
        _ONE,
    ),
    Metric(
        "plait_policy_now",
        GAUGE,
        ("policy", "name", "what"),
        "What policies hold now: calls that run, that wait, what is left of a limit",
        _ONE,
    ),
    Metric(
        "plait_circuit_breaker_state",
        GAUGE,
        ("name", "state"),
        "1 for the state in which a circuit breaker is: `closed`, `open`, `half_open`",
        _ONE,
    ),
    Metric(
        "plait_service_connection",
        GAUGE,
        ("service", "state"),
        "1 for the state of the gRPC connection to a service",
        _SPLIT,
    ),
    Metric(
        "plait_service_calls_total",
        COUNTER,
        ("service", "method", "status"),
        "Calls over gRPC that were answered; `OK`, or gRPC's word for what they ended with",
        _SERVICE,
    ),
    Metric(
        "plait_service_call_seconds",
        HISTOGRAM,
        ("service", "method"),
        "From a call to its answer; streams are left out",
        _SERVICE,
    ),
)

_HEAD: Final = """# Metrics

`GET /metrics` answers with these in Prometheus' text format, and with the usual
`process_…` and `python_…` ones: that of a gateway and, where `telemetry.metrics_listen`
says so, those of the services of a split platform. The same are sent to an OpenTelemetry
collector. Who may ask is in [security](../guides/security.md); what they are good for in
[observability](../guides/observability.md). Durations are seconds.
Labels are bounded: routes and workflows are names of the operator's, past 1,000 workflows
the rest count as `(others)`; ids never stand in them.

This page is made by `python -m plait.telemetry.catalogue`.

| metric | kind | labels | what it tells |
|---|---|---|---|
"""


def series_of(metric: Metric) -> Iterator[str]:
    """Yield the names under which rules and dashboards find a metric."""
    if metric.kind != HISTOGRAM:
        yield metric.name
        return
    for ending in ("_bucket", "_count", "_sum"):
        yield metric.name + ending


def page() -> str:
    """Return the page of the reference."""
    rows = []
    for one in METRICS:
        labels = ", ".join(f"`{label}`" for label in one.labels) or "–"
        what = f"{one.what} ({one.where})" if one.where else one.what
        rows.append(f"| `{one.name}` | {one.kind} | {labels} | {what} |\n")
    return _HEAD + "".join(rows)


if __name__ == "__main__":
    sys.stdout.write(page())
