"""Switch node: the cases whose conditions hold, or those that the dice choose.

The choice of `weighted` is drawn from execution and step, so a replay, another attempt and
another worker choose the same.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar, Final, cast

from plait.kernel.backoff import draw
from plait.kernel.machine import Machine, Offers
from plait.kernel.paths import without_rounds
from plait.kernel.state import Execution, Frame, Run
from plait.model.json import JsonObject, JsonValue
from plait.plan import Node

DEFAULT: Final = "default"


@dataclass(slots=True)
class Taken:
    """The cases that run, in the order of their priority, and what they have yielded."""

    names: list[str]
    outputs: JsonObject = field(default_factory=dict)


class SwitchMachine(Machine):
    """Opens a frame for each case that is taken; the default when none is."""

    name: ClassVar[str] = "switch"

    def suffix(self, name: str) -> str:
        """Cases are told apart by their names."""
        return f"[{name}]/"

    def turns(self, node: Node) -> tuple[tuple[str, ...], ...]:
        """One case only, but where all that fit are taken."""
        is_one = node.options["strategy"] != "all_match"
        return (tuple(node.scopes),) if is_one else ()

    def start(self, kernel: Offers, x: Execution, run: Run) -> None:
        """Choose, and open what was chosen; nothing is an answer, too."""
        chosen = self._chosen(x, run)
        if not chosen and DEFAULT in run.node.scopes:
            chosen = [DEFAULT]
        run.memory = Taken(chosen)
        if not chosen:
            kernel.succeed(x, run, _response(run.node.options, run.memory), _facts([]))
        for name in chosen:
            kernel.open_frame(x, run, name, self.suffix(name))

    def _chosen(self, x: Execution, run: Run) -> list[str]:
        names, templates = run.frame.names, run.node.templates
        # Highest priority first, then in the document's order.
        order = cast("list[str]", run.node.options["order"])
        strategy = run.node.options["strategy"]
        holding: list[str] = []
        for case in order:
            template = templates.get(f"when {case}")
            if template is None or template.render_bool(names):
                holding.append(case)
                if strategy == "first_match":
                    break
        if strategy != "weighted" or not holding:
            return holding
        weights = cast("dict[str, float]", run.node.options["weights"])
        return _drawn(x, run, holding, weights)

    def dump_memory(self, memory: Taken) -> JsonValue:
        """See plait.kernel.machine.Machine."""
        return [[*memory.names], memory.outputs]

    def load_memory(self, saved: Any) -> Taken:
        """See plait.kernel.machine.Machine."""
        names, outputs = saved
        return Taken(list(names), dict(outputs))

    def on_frame_completed(
        self, kernel: Offers, x: Execution, run: Run, frame: Frame, output: JsonValue
    ) -> None:
        """Succeed when all that were taken have completed."""
        taken: Taken = run.memory
        taken.outputs[frame.name] = output
        if len(taken.outputs) == len(taken.names):
            response = _response(run.node.options, taken)
            kernel.succeed(x, run, response, _facts(taken.names))


def _drawn(
    x: Execution, run: Run, holding: list[str], weights: dict[str, float]
) -> list[str]:
    """Return the one that the dice choose; none if all of them weigh nothing."""
    total = sum(weights[case] for case in holding)
    if not total:
        return []
    seed = f"{x.started.execution_id}/{without_rounds(run.path)}/switch"
    left = draw(seed) * total
    for case in holding:
        left -= weights[case]
        if left < 0:
            return [case]
    return [case for case in holding if weights[case]][-1:]


def _response(options: Any, taken: Taken) -> JsonValue:
    if options["strategy"] == "all_match":
        return {name: taken.outputs[name] for name in taken.names}
    return taken.outputs[taken.names[0]] if taken.names else None


def _facts(names: list[str]) -> JsonObject:
    return {"case": names[0] if names else None, "cases": [*names]}


MACHINE = SwitchMachine()
