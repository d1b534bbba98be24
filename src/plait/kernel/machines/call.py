"""Call node: one request to another system, through whichever connector the kind names.

Its timeouts travel with the call, so no timer of the kernel's runs beside it.

Not here: making the call (plait.connectors), trying it again (plait.kernel.retry).
"""

from __future__ import annotations

from typing import ClassVar

from plait.kernel.machine import Machine, Offers
from plait.kernel.state import Execution, Run


class CallMachine(Machine):
    """Renders the request and waits for the outcome."""

    name: ClassVar[str] = "call"
    watches_deadline: ClassVar[bool] = True

    def start(self, kernel: Offers, x: Execution, run: Run) -> None:
        """Start the call; the kernel ends the attempt when the outcome arrives."""
        kernel.start_call(x, run)


MACHINE = CallMachine()
