"""Metrics of the policies around calls: what each did, and what it holds now.

Rule. Nothing is counted twice for this: what the policies count themselves is read when
      somebody asks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

# What holds now; all other numbers only grow.
_NOW: Final = frozenset("running waiting remaining limit requests retries bytes".split())
_NOT_TOLD: Final = "count"


class PolicyMetrics(Collector):
    """Tells of what a snapshot of the policies says (`PolicedCalls.snapshot`).

    Args:
        snapshot: From a policy's name to what each of its kind tells, by its own name.
    """

    def __init__(self, snapshot: Callable[[], Any]) -> None:
        self._snapshot = snapshot

    def collect(self) -> Iterator[CounterMetricFamily | GaugeMetricFamily]:
        """Yield the metrics of now."""
        events = CounterMetricFamily(
            "plait_policy_calls",
            "What policies did with calls: admitted, refused, waited, succeeded, failed.",
            labels=("policy", "name", "outcome"),
        )
        now = GaugeMetricFamily(
            "plait_policy_now",
            "What policies hold now: calls that run, that wait, what is left of a limit.",
            labels=("policy", "name", "what"),
        )
        states = GaugeMetricFamily(
            "plait_circuit_breaker_state",
            "1 for the state in which a circuit breaker is.",
            labels=("name", "state"),
        )
        for policy, named in self._snapshot().items():
            for name, told in named.items():
                for what, value in told.items():
                    if what == "state":
                        states.add_metric((name, value), 1)
                    elif what in _NOW:
                        now.add_metric((policy, name, what), value)
                    elif what != _NOT_TOLD:
                        events.add_metric((policy, name, what), value)
        yield from (events, now, states)
