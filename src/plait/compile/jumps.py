"""Jumps: where a `goto` leads, which steps may run again, and sequences that never end.

Rule. A step that may run again sees what the others of its round came to when they ran
      last, also those that stand behind it, and itself.

Not here: the order of a scope without jumps (plait.compile.ordering).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from plait.compile.constants import Told, always_runs, may_end_scope, never_runs
from plait.compile.drafts import Draft
from plait.compile.findings import Findings
from plait.compile.order import Edges, behind, reversed_edges
from plait.document.nearest import nearest_hint
from plait.document.tree import ScopeTree, StepTree


def jumps_in(steps: Sequence[StepTree]) -> dict[int, int]:
    """Return, for the position of each `goto` in a sequence, that of its target."""
    position_of = {step.model.id: at for at, step in enumerate(steps)}
    return {
        at: position_of[step.model.jumps_to]
        for at, step in enumerate(steps)
        if not step.is_broken and step.model.jumps_to in position_of
    }


def targets_in(steps: Sequence[StepTree]) -> dict[str, int]:
    """Return the steps that a `goto` of the sequence leads to: id → position."""
    return {steps[to].model.id: to for to in sorted(set(jumps_in(steps).values()))}


def rounds_of(jumps: Iterable[tuple[int, int]]) -> list[range]:
    """Return the stretches of a sequence that may run again, in order, none in another.

    Args:
        jumps: Pairs of positions, from and to.

    >>> rounds_of([(3, 1), (4, 2), (0, 5), (7, 6)])
    [range(1, 5), range(6, 8)]
    """
    found: list[range] = []
    for start, end in sorted((to, at) for at, to in jumps if to <= at):
        if found and start < found[-1].stop:
            last = found.pop()
            start, end = last.start, max(end, last.stop - 1)
        found.append(range(start, end + 1))
    return found


def together(tree: ScopeTree) -> Mapping[int, list[str]]:
    """Return, for the position at which a round begins, the ids of the steps in it."""
    if tree.order != "sequence":
        return {}
    return {
        one.start: [tree.steps[at].model.id for at in one if not tree.steps[at].is_unnamed]
        for one in rounds_of(jumps_in(tree.steps).items())
    }


def check_jumps(tree: ScopeTree, elsewhere: Mapping[str, str], findings: Findings) -> None:
    """Report each `goto` that leads nowhere.

    Args:
        elsewhere: Steps that are inside others: id → that of the outer one.
    """
    known = {step.model.id for step in tree.steps}
    for step in tree.steps:
        target = "" if step.is_broken else step.model.jumps_to
        if not target:
            continue
        path = (*step.path, "to")
        if tree.order != "sequence":
            text = f"'{step.model.id}' stands in no sequence: nothing is next there"
            hint = "give the scope around it `order: sequence`"
            findings.error("P025", text, hint, step.path)
        elif target == step.model.id:
            text = f"'{target}' would jump to itself, and nothing would change"
            findings.error("P025", text, "jump to a step before it", path)
        elif target not in known:
            inside = elsewhere.get(target)
            text = f"there is no step '{target}' in this sequence to go on with"
            hint = nearest_hint(target, known)
            if inside is not None:
                text = f"'{target}' is inside '{inside}': no jump leads into another scope"
                hint = f"go on with '{inside}'"
            findings.error("P025", text, hint, path)


def never_reached(nodes: Sequence[Draft], ends: Sequence[int]) -> list[int]:
    """Return the positions in a sequence that no way leads to.

    Args:
        ends: The steps with which the workflow ends.
    """
    ways = _ways(nodes, ends)
    reached = {0, *behind(reversed_edges(ways), [0])} if nodes else set()
    return [at for at in range(len(nodes)) if at not in reached]


def check_ways_out(nodes: Sequence[Draft], findings: Findings, is_ended: Told) -> None:
    """Report each jump after which a sequence never ends but by a failure.

    Args:
        is_ended: Whether something outside the sequence may end it.
    """
    steps = [node.tree for node in nodes]
    jumps = jumps_in(steps)
    if not jumps:
        return
    leaves = [at for at, node in enumerate(nodes) if may_end_scope(node)]
    ways = _ways(nodes, ())
    out = [*leaves, len(steps)]
    ending = {*out, *behind(ways, out)}
    for at, to in jumps.items():
        if to < at and at not in ending and not never_runs(nodes[at]) and not is_ended():
            step, target = steps[at], steps[to].model.id
            text = (
                f"after '{step.model.id}' nothing ends the circle that begins at '{target}'"
            )
            hint = "give it a `condition`, or let a `goto` between them lead out"
            findings.error("P021", text, hint, (*step.path, "to"))


def is_circle(nodes: Sequence[Draft]) -> bool:
    """Tell whether a sequence with jumps never comes to its end."""
    return 0 not in behind(_ways(nodes, ()), [len(nodes)])


def _ways(nodes: Sequence[Draft], ends: Sequence[int]) -> Edges:
    """Return where each step of a sequence leads; its end is one position more."""
    jumps = jumps_in([node.tree for node in nodes])
    return [*(sorted(_next(at, nodes, ends, jumps)) for at in range(len(nodes))), []]


def _next(
    at: int, nodes: Sequence[Draft], ends: Sequence[int], jumps: Mapping[int, int]
) -> Iterator[int]:
    if at in ends:
        return
    node = nodes[at]
    to = None if never_runs(node) else jumps.get(at)
    if to is not None:
        yield to
    is_certain = always_runs(node) and node.tree.model.on_error != "continue"
    if (to is None or not is_certain) and to != at + 1:
        yield at + 1
