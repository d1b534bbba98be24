"""Saga node: a scope that is undone when it fails.

Not here: undoing (plait.kernel.compensation, and the engine, since whole executions are
undone as well).
"""

from __future__ import annotations

from typing import Any, ClassVar

from plait.kernel.compensation import load_undoing, undoing_json
from plait.kernel.machine import Machine, Offers
from plait.kernel.state import Execution, Frame, Run, Undoing
from plait.model.failure import Failure
from plait.model.json import JsonValue


class SagaMachine(Machine):
    """Opens one frame, yields what it yields, and has it undone when it fails."""

    name: ClassVar[str] = "saga"
    undoes: ClassVar[bool] = True

    def start(self, kernel: Offers, x: Execution, run: Run) -> None:
        """Open the frame; its paths continue this step's own: `order/charge`."""
        kernel.open_frame(x, run, "steps", "/")

    def dump_memory(self, memory: Undoing) -> JsonValue:
        """See plait.kernel.machine.Machine."""
        return undoing_json(memory)

    def load_memory(self, saved: Any) -> Undoing:
        """See plait.kernel.machine.Machine."""
        return load_undoing(saved)

    def outlasts(self, kernel: Offers, x: Execution, run: Run, failure: Failure) -> bool:
        """Undo what completed; the attempt fails when that is over."""
        kernel.undo(x, run, failure)
        return True

    def on_frame_completed(
        self, kernel: Offers, x: Execution, run: Run, frame: Frame, output: JsonValue
    ) -> None:
        """Succeed with the scope's output."""
        kernel.succeed(x, run, output)

    def on_frame_failed(
        self, kernel: Offers, x: Execution, run: Run, frame: Frame, failure: Failure
    ) -> None:
        """Undo what completed; the attempt fails when that is over."""
        kernel.undo(x, run, failure)


MACHINE = SagaMachine()
