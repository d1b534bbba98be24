"""Frames: opening and leaving one, and which of its steps may start when.

Nothing here knows what a step does. A frame's steps that have become ready go to
`Execution.ready`; the engine takes them from there.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from plait.kernel.paths import visited
from plait.kernel.state import Execution, Frame, Run
from plait.kernel.views import absent_view
from plait.model.failure import Failure
from plait.plan import Node, Scope

# Stands in `Execution.ready` where a node's index would: all of the frame has settled.
FRAME_DONE: Final = -1


class Openings:
    """How each scope of one plan begins, worked out once.

    Keyed by identity: the plan that holds the scopes lives as long as its kernel.
    """

    def __init__(self) -> None:
        self._known: dict[int, tuple[list[int], list[int]]] = {}

    def of(self, scope: Scope) -> tuple[list[int], list[int]]:
        """Return how many deps each node waits for, and which nodes wait for none."""
        known = self._known.get(id(scope))
        if known is None:
            waits = [len(node.deps) for node in scope.nodes]
            free = [index for index, count in enumerate(waits) if not count]
            known = (waits, [0] if scope.order == "sequence" else free)
            self._known[id(scope)] = known
        return known

    def open(
        self,
        x: Execution,
        scope: Scope,
        parent: Run | None,
        name: str,
        prefix: str,
        names: dict[str, Any],
    ) -> Frame:
        """Start `scope`: what waits for nothing is ready (see `Frame` for the rest)."""
        waits, ready = self.of(scope)
        if scope.jumps:
            # What has not run, as it was jumped over or stands further down, is skipped.
            blank = {node.id: absent_view(node, "skipped", 0, None) for node in scope.nodes}
            names = {**names, **blank}
        frame = Frame(scope, parent, name, prefix, names, waits.copy(), len(scope.nodes))
        if parent is not None:
            parent.frames[name] = frame
        x.ready.extend([(frame, index) for index in ready])
        return frame


def leave(frame: Frame) -> None:
    """End `frame`: nothing in it starts any more, and its parent no longer has it."""
    frame.is_open = False
    if frame.parent is not None:
        frame.parent.frames.pop(frame.name, None)


def pass_over(where: Frame | Run, failure: Failure | None) -> None:
    """Note that what `where` yields goes without this; the first failure is kept."""
    if where.passed_over is None:
        where.passed_over = failure


def passed_over_around(run: Run) -> Failure | None:
    """Return the first failure that was passed over beside `run` or around it."""
    frame, found = run.frame, run.frame.passed_over
    while found is None and frame.parent is not None:
        frame = frame.parent.frame
        found = frame.passed_over
    return found


def active_runs(x: Execution) -> Iterator[Run]:
    """Yield every step instance under way, groups before what is inside them."""
    waiting = [] if x.root is None else [x.root]
    while waiting:
        for run in waiting.pop().runs.values():
            if run.is_active:
                yield run
                waiting.extend(run.frames.values())


def address(frame: Frame, node: Node) -> str:
    """Return the address of the instance of `node` that begins now, and count it."""
    path = frame.prefix + node.id
    if not frame.scope.jumps:
        return path
    visit = frame.visits[node.id] = frame.visits.get(node.id, 0) + 1
    return visited(path, visit)


def jump(frame: Frame, to: str) -> None:
    """Let the step `to` of a sequence begin when the one under way has settled."""
    # That one counts as unsettled still: `settle` counts it off.
    frame.unsettled = len(frame.waits) - frame.scope.jumps[to] + 1


def settle(x: Execution, run: Run) -> None:
    """Note that `run` has settled, and which steps have become ready by that."""
    frame = run.frame
    frame.unsettled -= 1
    if not frame.unsettled:
        x.ready.append((frame, FRAME_DONE))
    elif frame.scope.order == "sequence":
        x.ready.append((frame, len(frame.waits) - frame.unsettled))
    else:
        waits = frame.waits
        for index in run.node.dependents:
            waits[index] -= 1
            if not waits[index]:
                x.ready.append((frame, index))
