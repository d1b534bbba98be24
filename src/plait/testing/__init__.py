"""What users test their workflows with: the simulator. Shipped, unlike tests/.

Rule. Nothing in the other rooms knows of this one, or asks whether it is being tested.
"""

from plait.testing.script import HANG, Answer, Script, Unscripted, error, reply
from plait.testing.simulator import (
    Decided,
    Pending,
    Sent,
    Simulated,
    Simulation,
    Stuck,
    earliest,
    shuffled,
    simulate,
)

__all__ = [
    "HANG",
    "Answer",
    "Decided",
    "Pending",
    "Script",
    "Sent",
    "Simulated",
    "Simulation",
    "Stuck",
    "Unscripted",
    "earliest",
    "error",
    "reply",
    "shuffled",
    "simulate",
]
