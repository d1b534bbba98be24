"""Sending metrics to an OpenTelemetry collector: what `/metrics` says, as OTLP over HTTP.

Imported when there is somebody to send to: that takes 0.2 s.

Rule 1. Nothing is counted for this: what Prometheus would read is read, and translated.
Rule 2. Names and labels are those of `/metrics`; a counter is a monotonic sum, and sums and
        histograms are cumulative, from when each was first counted.

Not here: when it is sent (plait.assembly.pushing).
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    DataT,
    Gauge,
    Histogram,
    HistogramDataPoint,
    Metric,
    MetricExporter,
    MetricsData,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
    Sum,
)
from opentelemetry.sdk.resources import Resource
from prometheus_client import Metric as Family
from prometheus_client.samples import Sample

from plait.telemetry.otlp import SCOPE, resource_of

_NS: Final = 1_000_000_000
_CUMULATIVE: Final = AggregationTemporality.CUMULATIVE
# Prometheus keeps no least and no greatest value; such a field is left out.
_UNKNOWN: Final[Any] = None

_Key: TypeAlias = tuple[tuple[str, str], ...]


class MetricsSender:
    """Sends what metrics say.

    Args:
        endpoint: Where to: `http://collector:4318/v1/metrics`.
        service: What this process is called there.
        exporter: Sends them instead, for tests.
    """

    def __init__(
        self,
        endpoint: str,
        service: str,
        headers: Mapping[str, str] | None = None,
        exporter: MetricExporter | None = None,
    ) -> None:
        if exporter is None:
            exporter = OTLPMetricExporter(endpoint, headers=dict(headers or {}))
        self._exporter = exporter
        self._resource = resource_of(service)
        self._began_s = time.time()

    def send(self, families: Iterable[Family], at_s: float) -> None:
        """Send what metrics said at a moment, and return when that is done.

        What cannot be sent is tried again for a while, then dropped: the next time tells
        it too, for all numbers are cumulative.
        """
        data = data_of(families, self._resource, began_s=self._began_s, at_s=at_s)
        self._exporter.export(data)

    def close(self) -> None:
        """Let go of the connection; what is being sent is given up."""
        self._exporter.shutdown()


def data_of(
    families: Iterable[Family], resource: Resource, *, began_s: float, at_s: float
) -> MetricsData:
    """Return what metrics say, as OpenTelemetry has it.

    Args:
        began_s: Since when those count that do not say it; seconds since the Unix epoch.
    """
    times = _Times(int(began_s * _NS), int(at_s * _NS))
    found = [_metric(family, times) for family in families if family.samples]
    scope = ScopeMetrics(SCOPE, found, "")
    return MetricsData([ResourceMetrics(resource, [scope], resource.schema_url)])


@dataclass(slots=True)
class _Times:
    began_ns: int
    at_ns: int


def _metric(family: Family, times: _Times) -> Metric:
    name, data = family.name, _data(family, times)
    if isinstance(data, Sum):
        name += "_total"
    unit = "s" if family.name.endswith("_seconds") else ""
    return Metric(name, family.documentation, unit, data)


def _data(family: Family, times: _Times) -> DataT:
    match family.type:
        case "counter":
            points = [*_counted(family, times)]
            return Sum(points, _CUMULATIVE, is_monotonic=True)
        case "histogram":
            return Histogram([*_distributed(family, times)], _CUMULATIVE)
        case _:
            return Gauge([*map(_Point(times), family.samples)])


class _Point:
    """Makes points of samples."""

    def __init__(self, times: _Times) -> None:
        self._times = times

    def __call__(self, one: Sample, began_ns: int | None = None) -> NumberDataPoint:
        began_ns = self._times.began_ns if began_ns is None else began_ns
        return NumberDataPoint(dict(one.labels), began_ns, self._times.at_ns, one.value)


def _counted(family: Family, times: _Times) -> Iterator[NumberDataPoint]:
    began = _began(family)
    for one in family.samples:
        if one.name.endswith("_total"):
            yield _Point(times)(one, began.get(_key(one)))


def _distributed(family: Family, times: _Times) -> Iterator[HistogramDataPoint]:
    began, found = _began(family), dict[_Key, _Buckets]()
    for one in family.samples:
        found.setdefault(_key(one), _Buckets()).take(family.name, one)
    for key, buckets in found.items():
        yield HistogramDataPoint(
            dict(key),
            began.get(key, times.began_ns),
            times.at_ns,
            count=int(buckets.count),
            sum=buckets.total,
            bucket_counts=buckets.counts(),
            explicit_bounds=buckets.bounds[:-1],
            min=_UNKNOWN,
            max=_UNKNOWN,
        )


@dataclass(slots=True)
class _Buckets:
    """A histogram as Prometheus has it: each bucket has those below it in it too."""

    bounds: list[float] = field(default_factory=list)
    within: list[float] = field(default_factory=list)
    count: float = 0.0
    total: float = 0.0

    def take(self, name: str, one: Sample) -> None:
        match one.name.removeprefix(name):
            case "_bucket":
                self.bounds.append(float(one.labels["le"]))
                self.within.append(one.value)
            case "_count":
                self.count = one.value
            case "_sum":
                self.total = one.value
            case _:  # since when it counts
                pass

    def counts(self) -> list[int]:
        """Return how many are in each bucket alone."""
        below = [0.0, *self.within]
        return [int(n - under) for under, n in zip(below, self.within, strict=False)]


def _key(one: Sample) -> _Key:
    return tuple(item for item in one.labels.items() if item[0] != "le")


def _began(family: Family) -> dict[_Key, int]:
    """Return since when each counts: Prometheus' client says it beside the number."""
    return {
        _key(one): int(one.value * _NS)
        for one in family.samples
        if one.name.endswith("_created")
    }
