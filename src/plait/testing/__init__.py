"""What users test their workflows with: the simulator. Shipped, unlike tests/.

Rule. Nothing in the other rooms knows of this one, or asks whether it is being tested.
"""

from plait.testing.script import HANG, Answer, Script, Unscripted, error, reply
from plait.testing.simulator import (
    Pending,
    Simulated,
    Simulation,
    earliest,
    shuffled,
    simulate,
)

__all__ = [
    "HANG",
    "Answer",
    "Pending",
    "Script",
    "Simulated",
    "Simulation",
    "Unscripted",
    "earliest",
    "error",
    "reply",
    "shuffled",
    "simulate",
]
