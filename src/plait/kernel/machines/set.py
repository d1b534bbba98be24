"""Set node: its response is its `value`, rendered."""

from __future__ import annotations

from typing import ClassVar

from plait.kernel.machine import Machine, Offers
from plait.kernel.state import Execution, Run


class SetMachine(Machine):
    """Renders and succeeds, within the same turn."""

    name: ClassVar[str] = "set"

    def start(self, kernel: Offers, x: Execution, run: Run) -> None:
        """Succeed with the rendered value."""
        kernel.succeed(x, run, run.node.templates["value"].render(run.frame.names))


MACHINE = SetMachine()
