"""The kernel: (plan, state, event) → events + commands. No clock, no dice, no I/O.

The kernel owns: which step runs when, retries, time limits, fallbacks, outcomes.
The host (a driver) owns: the clock, timers, making calls, recording events.
Contract of one turn: decide, record, act.
"""

from plait.kernel.commands import (
    CallPolicies,
    CancelCall,
    CancelTimer,
    Command,
    StartCall,
    StartTimer,
)
from plait.kernel.kernel import Kernel
from plait.kernel.recorded import Recorded, recorded
from plait.kernel.state import Ambient, Execution
from plait.kernel.turn import BEHAVIOUR, BehaviourUnknown, Limits, Turn

__all__ = [
    "BEHAVIOUR",
    "Ambient",
    "BehaviourUnknown",
    "CallPolicies",
    "CancelCall",
    "CancelTimer",
    "Command",
    "Execution",
    "Kernel",
    "Limits",
    "Recorded",
    "StartCall",
    "StartTimer",
    "Turn",
    "recorded",
]
