"""Route node: one handler after the other, each saying who is next, up to so many hops.

Rule. A handler that has its turn again is another instance of itself, at an address of its
      own: `case[billing]/answer`, `case[billing#2]/answer`.

Not here: choosing among cases at one place (plait.kernel.machines.switch).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar, cast

from plait.expression import ExpressionError
from plait.kernel.machine import Machine, Offers
from plait.kernel.paths import visited
from plait.kernel.state import Execution, Frame, Run
from plait.model.errors import Advice
from plait.model.failure import Failure
from plait.model.json import JsonObject, JsonValue
from plait.plan import Node


@dataclass(slots=True)
class Way:
    """Whose turn it was so far, the last one's included; what the one before yielded."""

    path: list[str] = field(default_factory=list)
    previous: JsonValue = None


class RouteMachine(Machine):
    """Opens the frame of one handler, then of the one that it hands over to."""

    name: ClassVar[str] = "route"
    repeats: ClassVar[str] = "each handler"

    def suffix(self, name: str) -> str:
        """Handlers are told apart by their names."""
        return f"[{name}]/"

    def repeated(self, name: str) -> str:
        """Its own name says more of a handler."""
        del name
        return ""

    def turns(self, node: Node) -> tuple[tuple[str, ...], ...]:
        """One handler at a time, whoever is next."""
        return (tuple(node.scopes),)

    def start(self, kernel: Offers, x: Execution, run: Run) -> None:
        """Begin with the first handler."""
        run.memory = Way()
        self._open(kernel, x, run, cast("str", run.node.options["start"]))

    def dump_memory(self, memory: Way) -> JsonValue:
        """See plait.kernel.machine.Machine."""
        return [[*memory.path], memory.previous]

    def load_memory(self, saved: Any) -> Way:
        """See plait.kernel.machine.Machine."""
        path, previous = saved
        return Way(list(path), previous)

    def on_frame_completed(
        self, kernel: Offers, x: Execution, run: Run, frame: Frame, output: JsonValue
    ) -> None:
        """Hand over to the first that fits; nobody: that was the answer."""
        way: Way = run.memory
        try:
            following = _next(run, way.path[-1], frame.names)
        except ExpressionError as error:
            kernel.fail(x, run, error.failure())
            return
        if following is None:
            facts: JsonObject = {"handler": way.path[-1], "path": [*way.path]}
            run.memory = None
            kernel.succeed(x, run, output, facts)
            return
        most = cast("int", run.node.options["max_hops"])
        if len(way.path) > most:
            told: JsonObject = {"max_hops": most, "path": [*way.path, following]}
            text = f"'{run.path}' would hand over more than {most} times"
            kernel.fail(x, run, Failure("limit.hops", text, told, Advice.FIX_REQUEST))
            return
        way.previous = output
        self._open(kernel, x, run, following)

    def _open(self, kernel: Offers, x: Execution, run: Run, name: str) -> None:
        way: Way = run.memory
        names: JsonObject = {"previous": way.previous, "iteration": len(way.path)}
        way.path.append(name)
        suffix = f"[{visited(name, way.path.count(name))}]/"
        kernel.open_frame(x, run, name, suffix, names)


def _next(run: Run, name: str, names: dict[str, Any]) -> str | None:
    """Return the handler that `name` hands over to: the first whose condition holds."""
    transitions = cast("dict[str, list[str]]", run.node.options["next"])[name]
    for number, to in enumerate(transitions, start=1):
        when = run.node.templates.get(f"{name} {number}")
        if when is None or when.render_bool(names):
            return to
    return None


MACHINE = RouteMachine()
