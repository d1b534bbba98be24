"""Metrics of the calls that a service answers: how many, how they end, how long they take.

Rule. Labels are bounded, and bound once: methods are those of the protocol.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeAlias

from prometheus_client import CollectorRegistry, Counter, Histogram

# Takes how a call ended, in gRPC's words, and how long it took, in seconds.
Count: TypeAlias = Callable[[str, float], None]

_SECONDS: Final = (
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
)  # fmt: skip


class CallMetrics:
    """The metrics of one process's services."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._calls = Counter(
            "plait_service_calls",
            "Calls of other services that were answered, by how.",
            ("service", "method", "status"),
            registry=registry,
        )
        self._seconds = Histogram(
            "plait_service_call_seconds",
            "From a call to its answer; streams are left out.",
            ("service", "method"),
            buckets=_SECONDS,
            registry=registry,
        )

    def of(self, service: str, method: str, *, is_stream: bool) -> Count:
        """Return what counts the calls of one method."""
        bound: dict[str, Counter] = {}
        observe: Callable[[float], None] | None = None

        def count(status: str, took_s: float) -> None:
            nonlocal observe
            if status not in bound:
                bound[status] = self._calls.labels(service, method, status)
            bound[status].inc()
            if not is_stream:
                if observe is None:
                    observe = self._seconds.labels(service, method).observe
                observe(took_s)

        return count
