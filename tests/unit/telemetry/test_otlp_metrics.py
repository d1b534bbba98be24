"""What Prometheus reads, as OpenTelemetry has it."""

from __future__ import annotations

from typing import Any

from opentelemetry.sdk.metrics.export import Gauge as OtelGauge
from opentelemetry.sdk.metrics.export import Histogram as OtelHistogram
from opentelemetry.sdk.metrics.export import Metric, Sum
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from plait.telemetry.otlp import resource_of
from plait.telemetry.otlp_metrics import data_of


def told(registry: CollectorRegistry) -> dict[str, Metric]:
    data = data_of(registry.collect(), resource_of("plait"), began_s=5.0, at_s=9.0)
    (resource,) = data.resource_metrics
    (scope,) = resource.scope_metrics
    return {metric.name: metric for metric in scope.metrics}


def points(metric: Metric) -> list[Any]:
    return [*metric.data.data_points]


def test_a_counter_is_a_monotonic_sum_since_it_was_first_counted() -> None:
    registry = CollectorRegistry()
    counter = Counter("plait_steps", "Steps.", ("workflow",), registry=registry)
    counter.labels("pay").inc(3)
    (metric,) = told(registry).values()
    (point,) = points(metric)
    assert (metric.name, metric.description) == ("plait_steps_total", "Steps.")
    assert isinstance(metric.data, Sum)
    assert metric.data.is_monotonic
    assert (point.attributes, point.value) == ({"workflow": "pay"}, 3.0)
    assert point.start_time_unix_nano > 1_700_000_000 * 10**9
    assert point.time_unix_nano == 9 * 10**9


def test_buckets_hold_what_is_in_them_alone_and_the_last_one_has_no_bound() -> None:
    registry = CollectorRegistry()
    histogram = Histogram(
        "plait_request_seconds", "Time.", ("route",), buckets=(0.1, 1.0), registry=registry
    )
    for seconds in (0.05, 0.5, 0.7, 3.0):
        histogram.labels("/a").observe(seconds)
    histogram.labels("/b").observe(0.01)
    metric = told(registry)["plait_request_seconds"]
    first, second = points(metric)
    assert isinstance(metric.data, OtelHistogram)
    assert metric.unit == "s"
    assert first.attributes == {"route": "/a"}
    assert (first.bucket_counts, first.explicit_bounds) == ([1, 2, 1], [0.1, 1.0])
    assert (first.count, first.sum) == (4, 4.25)
    assert (second.attributes, second.bucket_counts) == ({"route": "/b"}, [1, 0, 0])


def test_what_holds_now_is_a_gauge_and_what_has_no_value_yet_is_left_out() -> None:
    registry = CollectorRegistry()
    Gauge("plait_store_up", "Up.", registry=registry).set(1)
    Gauge("plait_alerts", "Alerts.", ("alert",), registry=registry)
    found = told(registry)
    assert [*found] == ["plait_store_up"]
    metric = found["plait_store_up"]
    assert isinstance(metric.data, OtelGauge)
    assert [point.value for point in points(metric)] == [1.0]


def test_one_process_has_one_id_in_traces_and_metrics_under_each_name() -> None:
    first, again = resource_of("plait").attributes, resource_of("plait").attributes
    assert first["service.instance.id"] == again["service.instance.id"]
    assert first["service.name"] == "plait"
