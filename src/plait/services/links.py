"""Links in the metrics: how the connection to each service stands."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from plait.services.remote.link import Link

# As gRPC names them.
STATES: Final = ("idle", "connecting", "ready", "transient_failure", "shutdown")


class LinkMetrics(Collector):
    """Tells of links whenever somebody looks at the metrics."""

    def __init__(self, links: Sequence[Link]) -> None:
        self._links = links

    def collect(self) -> Iterator[Metric]:
        """Yield `plait_service_connection{service,state}`: 1 for the one it is in."""
        family = GaugeMetricFamily(
            "plait_service_connection",
            "State of the connection to a service; 1 for the one that holds.",
            labels=("service", "state"),
        )
        for link in self._links:
            for state in STATES:
                family.add_metric((link.role, state), float(link.state == state))
        yield family
