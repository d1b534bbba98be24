"""Sequence node: a scope whose steps run one after the other."""

from __future__ import annotations

from typing import ClassVar

from plait.kernel.machine import Machine, Offers
from plait.kernel.state import Execution, Frame, Run
from plait.model.json import JsonValue


class SequenceMachine(Machine):
    """Opens one frame and yields what it yields."""

    name: ClassVar[str] = "sequence"

    def start(self, kernel: Offers, x: Execution, run: Run) -> None:
        """Open the frame; its paths continue this step's own: `prepare/fetch`."""
        kernel.open_frame(x, run, "steps", "/")

    def on_frame_completed(
        self, kernel: Offers, x: Execution, run: Run, frame: Frame, output: JsonValue
    ) -> None:
        """Succeed with the scope's output."""
        kernel.succeed(x, run, output)


MACHINE = SequenceMachine()
