"""Metrics: what Prometheus may ask the gateway.

Rule. Labels are bound once: a look-up by label costs more than the rest of the count.

Not here: where it is answered (plait.gateway.builtin).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

CONTENT_TYPE: Final = CONTENT_TYPE_PLAIN_0_0_4.encode()
SECONDS: Final = (
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
)  # fmt: skip


class Metrics:
    """All of one gateway's metrics, in a registry of their own.

    Args:
        in_flight_count: How many requests are under way; asked when the metrics are read.
        registry: Where others have put theirs; None: nobody has.
    """

    def __init__(
        self,
        in_flight_count: Callable[[], int],
        registry: CollectorRegistry | None = None,
    ) -> None:
        self.registry = CollectorRegistry() if registry is None else registry
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=self.registry)
        self._requests = Counter(
            "plait_requests",
            "Requests answered. Status 499: the client left before the reply.",
            ("method", "route", "status"),
            registry=self.registry,
        )
        self._seconds = Histogram(
            "plait_request_seconds",
            "From the request's last byte to the reply.",
            ("method", "route"),
            buckets=SECONDS,
            registry=self.registry,
        )
        in_flight = Gauge(
            "plait_requests_in_flight",
            "Requests under way now.",
            registry=self.registry,
        )
        in_flight.set_function(in_flight_count)

    def render(self) -> bytes:
        """Return everything in Prometheus' text format."""
        return generate_latest(self.registry)

    def for_route(self, method: str, route: str) -> RouteMetrics:
        """Return the metrics of one route."""
        return RouteMetrics(self._requests, self._seconds, (method, route))


class RouteMetrics:
    """One route's metrics. Labels are bound at the first request: a histogram takes 10 KB,
    and most of many routes are idle.
    """

    def __init__(
        self,
        requests: Counter,
        seconds: Histogram,
        labels: tuple[str, str],
    ) -> None:
        self._requests = requests
        self._labels = labels
        self._seconds = seconds
        self._observe: Callable[[float], None] = self._first_observation
        self._by_status: dict[int, Counter] = {}

    def answered(self, status: int, took_s: float) -> None:
        """Count one request."""
        counter = self._by_status.get(status)
        if counter is None:
            counter = self._requests.labels(*self._labels, str(status))
            self._by_status[status] = counter
        counter.inc()
        self._observe(took_s)

    def _first_observation(self, took_s: float) -> None:
        self._observe = self._seconds.labels(*self._labels).observe
        self._observe(took_s)
