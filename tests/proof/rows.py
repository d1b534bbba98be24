"""The rows that are proved here, by their numbers in the scorecard of reliability.

A further row is a module with a `run`, one line here, and a little of it in a test.
"""

from __future__ import annotations

from typing import Final

from tests.proof import (
    canaries,
    damage,
    deaths,
    deliveries,
    forgeries,
    fuzz,
    hangs,
    hostile,
    killings,
    malformed,
    neighbours,
    overload,
    recovery,
    returns,
    sagas,
    slowly,
    stops,
    storms,
)
from tests.proof.scorecard import Outcome, Row, Scale


def _return(scale: Scale) -> Outcome:
    """Time both: how fast a worker takes up very much, and a gateway what it did."""
    outcome, gateway = recovery.run(scale), returns.run(scale)
    outcome.figures |= {f"gateway: {name}": one for name, one in gateway.figures.items()}
    outcome.broken += gateway.broken
    return outcome


def _hostile(scale: Scale) -> Outcome:
    """Send what a schema makes, what no schema would, and calls that no gateway makes."""
    outcome = hostile.run(scale)
    for further in (fuzz.run(scale), malformed.run(scale)):
        outcome.figures |= further.figures
        outcome.broken += further.broken
    return outcome


ROWS: Final = (
    Row(1, "simulated storms", storms.run),
    Row(2, "killed at every commit", deaths.run),
    Row(3, "kill -9 of the gateway under load", killings.run),
    Row(4, "damage to the store's file", damage.run),
    Row(5, "workers stopped for longer than their leases", hangs.run),
    Row(6, "webhooks that are delivered three times", deliveries.run),
    Row(7, "sagas that fail and crash while they are undone", sagas.run),
    Row(8, "planted bugs are caught", storms.hunt),
    Row(9, "three times as much as the gateway can do", overload.run),
    Row(10, "clients whose headers never end", slowly.run),
    Row(11, "one of ten upstreams hangs or fails", neighbours.run),
    Row(12, "hostile input to all that is served", _hostile),
    Row(13, "calls that only the gateway could make", forgeries.run),
    Row(14, "secrets that are looked for", canaries.run),
    Row(15, "SIGTERM of the gateway at 0.8 of its capacity", stops.run),
    Row(16, "recovery of a thousand executions", _return),
)
