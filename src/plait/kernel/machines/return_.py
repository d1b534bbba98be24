"""Return node: ends the whole workflow with a value, from whichever scope it stands in."""

from __future__ import annotations

from typing import ClassVar

from plait.kernel.machine import Machine, Offers
from plait.kernel.state import Execution, Run


class ReturnMachine(Machine):
    """Completes itself, then the execution."""

    name: ClassVar[str] = "return"

    def start(self, kernel: Offers, x: Execution, run: Run) -> None:
        """Finish the execution with the rendered value."""
        kernel.finish(x, run, run.node.templates["value"].render(run.frame.names))


MACHINE = ReturnMachine()
