"""Samples: what the metrics said at some moments, and what happened in between.

Alerts read the same counters as Prometheus does, and reckon as its rules would: so nothing
is counted for them while a request is answered.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, TypeVar

from prometheus_client import Metric

_FAILED: Final = "failed"
_SERVER_ERROR: Final = "5"
_OPEN: Final = "open"

Labels = Mapping[str, str]
K = TypeVar("K")


@dataclass(slots=True)
class Sample:
    """What the metrics said at one moment.

    Attributes:
        at_s: On any clock that never goes back.
        ended: How many executions had ended, by workflow and status.
        within: How many had ended within a time (seconds), by workflow.
        undoing_failed: Compensations that had failed, by workflow.
        requests: Requests answered, by whether with 5xx.
        now: What held just then, by its word.
    """

    at_s: float
    ended: dict[tuple[str, str], float] = field(default_factory=dict)
    within: dict[str, dict[float, float]] = field(default_factory=dict)
    undoing_failed: dict[str, float] = field(default_factory=dict)
    requests: dict[bool, float] = field(default_factory=dict)
    now: dict[str, float] = field(default_factory=dict)


_NOW: Final = {
    "plait_executions_running": "running",
    "plait_executions_queued": "queued",
    "plait_executions_overdue": "stuck",
    "plait_executions_waiting": "stuck",
    "plait_store_up": "store_up",
}


def sample_of(families: Iterable[Metric], at_s: float) -> Sample:
    """Return what metrics say at a moment."""
    taken = Sample(at_s)
    for family in families:
        for one in family.samples:
            _take(taken, one.name, one.labels, one.value)
    return taken


def _take(taken: Sample, name: str, labels: Labels, value: float) -> None:
    if name == "plait_executions_ended_total":
        key = labels["workflow"], labels["status"]
        taken.ended[key] = taken.ended.get(key, 0.0) + value
    elif name == "plait_execution_seconds_bucket":
        within = taken.within.setdefault(labels["workflow"], {})
        bound = float(labels["le"])
        within[bound] = within.get(bound, 0.0) + value
    elif name == "plait_compensations_total" and labels["outcome"] == _FAILED:
        taken.undoing_failed[labels["workflow"]] = value
    elif name == "plait_requests_total":
        is_error = labels["status"].startswith(_SERVER_ERROR)
        taken.requests[is_error] = taken.requests.get(is_error, 0.0) + value
    elif name == "plait_circuit_breaker_state" and labels["state"] == _OPEN:
        taken.now["open_breakers"] = taken.now.get("open_breakers", 0.0) + value
    elif name in _NOW:
        word = _NOW[name]
        taken.now[word] = taken.now.get(word, 0.0) + value


class Samples:
    """The latest samples.

    Args:
        kept_s: How far back they reach.
    """

    def __init__(self, kept_s: float) -> None:
        self._kept_s = kept_s
        self._taken: deque[Sample] = deque()

    def add(self, taken: Sample) -> None:
        """Keep a sample; drop those that nobody looks back to."""
        self._taken.append(taken)
        while len(self._taken) > 1 and self._taken[1].at_s <= taken.at_s - self._kept_s:
            self._taken.popleft()

    def reach_s(self) -> float:
        """Return how far back they reach by now."""
        return self._taken[-1].at_s - self._taken[0].at_s if self._taken else 0.0

    def words(self, window_s: float, workflow: str | None) -> dict[str, float | int]:
        """Return what alerts read, of a window that ends with the latest sample.

        Args:
            workflow: Whose executions count; None: everybody's.
        """
        last = self._taken[-1]
        since = self._since(last.at_s - window_s)
        ended = _grown(last.ended, since.ended)
        mine = {key: n for key, n in ended.items() if workflow in (None, key[0])}
        failed = sum(n for (_, status), n in mine.items() if status == _FAILED)
        executions = sum(mine.values())
        undoing = _grown(last.undoing_failed, since.undoing_failed)
        requests = _grown(last.requests, since.requests)
        asked, errors = sum(requests.values()), requests.get(True, 0.0)
        within = _within(last, since, workflow)
        return {
            "executions": round(executions),
            "failed": round(failed),
            "failure_rate": failed / executions if executions else 0.0,
            "latency_p50": quantile(within, 0.50),
            "latency_p95": quantile(within, 0.95),
            "latency_p99": quantile(within, 0.99),
            "compensations_failed": round(
                sum(n for name, n in undoing.items() if workflow in (None, name))
            ),
            "requests": round(asked),
            "request_errors": round(errors),
            "request_error_rate": errors / asked if asked else 0.0,
            **{word: round(_now(last, word)) for word in _WORDS_NOW},
        }

    def _since(self, at_s: float) -> Sample:
        """Return the last sample at or before a moment, or the first there is."""
        found = self._taken[0]
        for one in self._taken:
            if one.at_s > at_s:
                break
            found = one
        return found


# What holds where nobody told of it: who has no use for a store does not miss it.
_UNTOLD: Final = {"store_up": 1.0}
_WORDS_NOW: Final = (*dict.fromkeys(_NOW.values()), "open_breakers")


def _now(last: Sample, word: str) -> float:
    return last.now.get(word, _UNTOLD.get(word, 0.0))


def _grown(last: Mapping[K, float], since: Mapping[K, float]) -> dict[K, float]:
    return {key: n - since.get(key, 0.0) for key, n in last.items()}


def _within(last: Sample, since: Sample, workflow: str | None) -> dict[float, float]:
    """Return how many executions ended within each time, of those of the window."""
    found: dict[float, float] = {}
    for name, within in last.within.items():
        if workflow in (None, name):
            for bound, n in _grown(within, since.within.get(name, {})).items():
                found[bound] = found.get(bound, 0.0) + n
    return found


def quantile(within: Mapping[float, float], part: float) -> float:
    """Return the time within which a part of all ended; between two bounds it is reckoned
    as if they were spread evenly. Past the last bound that is finite: that one.

    >>> quantile({0.1: 50, 1.0: 90, float("inf"): 100}, 0.5)
    0.1
    >>> round(quantile({0.1: 50, 1.0: 90, float("inf"): 100}, 0.7), 2)
    0.55
    >>> quantile({}, 0.5)
    0.0
    """
    bounds = sorted(within)
    total = within[bounds[-1]] if bounds else 0.0
    if total <= 0:
        return 0.0
    wanted, low, below = total * part, 0.0, 0.0
    for bound in bounds:
        if within[bound] >= wanted:
            if bound == float("inf"):
                return low
            here = within[bound] - below
            return low + (bound - low) * (wanted - below) / here if here else bound
        low, below = bound, within[bound]
    return low
