"""Simulates durable executions: many workers, one store, and everything that goes wrong.

    report = storm([Work(plan, {"id": 7})] * 20, script, seed=1)
    assert not report.broken

A seed repeats exactly, so a broken one is a test to keep. `trial` runs one execution whose
worker dies at the writes that one names.
"""

from plait.testing.durable.faults import RATES, Fate, Fault
from plait.testing.durable.storm import Report, storm
from plait.testing.durable.trials import Crash, Position, Reached, Trial, trial
from plait.testing.durable.world import Work

__all__ = [
    "RATES",
    "Crash",
    "Fate",
    "Fault",
    "Position",
    "Reached",
    "Report",
    "Trial",
    "Work",
    "storm",
    "trial",
]
