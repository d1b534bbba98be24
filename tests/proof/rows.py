"""The rows that are proved here, by their numbers in the scorecard of reliability.

A further row is a module with a `run`, one line here, and a little of it in a test.
"""

from __future__ import annotations

from typing import Final

from tests.proof import damage, deaths, hangs, killings, recovery, sagas, storms
from tests.proof.scorecard import Row

ROWS: Final = (
    Row(1, "simulated storms", storms.run),
    Row(2, "killed at every commit", deaths.run),
    Row(3, "kill -9 of the gateway under load", killings.run),
    Row(4, "damage to the store's file", damage.run),
    Row(5, "workers stopped for longer than their leases", hangs.run),
    Row(7, "sagas that fail and crash while they are undone", sagas.run),
    Row(8, "planted bugs are caught", storms.hunt),
    Row(16, "recovery of a thousand executions", recovery.run),
)
