"""Parallel node: named branches at the same time, joined when enough have completed.

`join: all` needs every branch, `any` one, a number that many. The response maps each
completed branch to its output. Branches that are still running then are cancelled; so are
all when too many have failed for the join to succeed.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

from plait.kernel.machine import Machine, Offers
from plait.kernel.state import Execution, Frame, Run
from plait.model.failure import Failure
from plait.model.json import JsonObject, JsonValue


@dataclass(slots=True)
class Tally:
    """What the branches have come to so far."""

    needed: int
    outputs: JsonObject = field(default_factory=dict)
    failed_count: int = 0


class ParallelMachine(Machine):
    """Opens one frame per branch and counts."""

    name: ClassVar[str] = "parallel"

    def suffix(self, name: str) -> str:
        """Branches are told apart by their names."""
        return f"[{name}]/"

    def start(self, kernel: Offers, x: Execution, run: Run) -> None:
        """Open all branches; their paths name them: `enrich[left]/fetch`."""
        branches = run.node.scopes
        needed = run.node.options["join_count"]
        assert isinstance(needed, int)
        run.memory = Tally(needed)
        for name in branches:
            kernel.open_frame(x, run, name, self.suffix(name))

    def dump_memory(self, memory: Tally) -> JsonValue:
        """See plait.kernel.machine.Machine."""
        return [memory.needed, memory.outputs, memory.failed_count]

    def load_memory(self, saved: Any) -> Tally:
        """See plait.kernel.machine.Machine."""
        needed, outputs, failed_count = saved
        return Tally(needed, dict(outputs), failed_count)

    def on_frame_completed(
        self, kernel: Offers, x: Execution, run: Run, frame: Frame, output: JsonValue
    ) -> None:
        """Count it; succeed when enough have completed."""
        tally: Tally = run.memory
        tally.outputs[frame.name] = output
        if len(tally.outputs) == tally.needed:
            outputs = tally.outputs
            in_order = {name: outputs[name] for name in run.node.scopes if name in outputs}
            kernel.succeed(x, run, in_order)

    def on_frame_failed(
        self, kernel: Offers, x: Execution, run: Run, frame: Frame, failure: Failure
    ) -> None:
        """Count it; fail when the join has become impossible."""
        tally: Tally = run.memory
        tally.failed_count += 1
        if len(run.node.scopes) - tally.failed_count < tally.needed:
            kernel.fail(x, run, failure)


MACHINE = ParallelMachine()
