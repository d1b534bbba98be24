"""What stands behind a step: what began after it, and may have been shaped by it.

Rule 1. In a sequence that is whatever came later; in a graph whatever has to wait for it,
        directly or not. The same holds for the groups around it.
Rule 2. A group's later rounds and iterations stand behind its earlier ones. Branches,
        cases and items stand side by side.

Not here: what a fork does with it (plait.operations.forking).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from plait.kernel.paths import outermost_id
from plait.plan import Node, Plan, Scope, scopes_of

# A step of a path: its id and visit, the round of the group, the branch, what is in that.
_PARTS: Final = re.compile(r"(\w+(?:#\d+)?)((?:~\d+)?)((?:\[\w+\])?)(.*)", re.ASCII)
_SIDE_BY_SIDE: Final = ("parallel", "foreach", "switch")


@dataclass(slots=True)
class _Group:
    """A step instance, or a group around it.

    Attributes:
        parts: Of its path's last segment, see `_PARTS`.
        waiting: The ids of the steps of its scope that wait for it; None: all that follow.
    """

    parts: tuple[str, ...]
    node: Node
    waiting: set[str] | None


def behind(began: Iterable[str], step: str, plans: Sequence[Plan]) -> Iterator[str]:
    """Yield the paths of the instances that stand behind one, in any of some plans.

    Args:
        began: The paths of all instances, in the order in which they began.
        step: The path of one of them.
    """
    known = [_groups_of(plan, step) for plan in plans]
    is_later = False
    for path in began:
        if is_later and any(_is_behind(path, groups) for groups in known):
            yield path
        is_later = is_later or path == step


def _groups_of(plan: Plan, step: str) -> list[_Group]:
    """Return the step and the groups around it, the outermost first, while they exist."""
    found: list[_Group] = []
    scopes = [plan.scope]
    for segment in step.split("/"):
        parts, step_id = _parts_of(segment), outermost_id(segment)
        group = next(
            (
                _Group(parts, node, _waiting_for(node, scope))
                for scope in scopes
                for node in scope.nodes
                if node.id == step_id
            ),
            None,
        )
        if group is None:
            break
        found.append(group)
        branch = group.node.scopes.get(parts[2].strip("[]"))
        scopes = scopes_of(group.node) if branch is None else [branch]
    return found


def _parts_of(segment: str) -> tuple[str, ...]:
    found = _PARTS.fullmatch(segment)
    return found.groups() if found is not None else (segment, "", "", "")


def _is_behind(path: str, groups: Sequence[_Group]) -> bool:
    """Tell whether what began later may have been shaped by the last of `groups`."""
    for segment, group in zip(path.split("/"), groups, strict=False):
        instance, round_, branch, rest = _parts_of(segment)
        if instance != group.parts[0]:
            return group.waiting is None or outermost_id(segment) in group.waiting
        if (round_, branch, rest) != group.parts[1:]:
            is_beside = round_ == group.parts[1] and branch != group.parts[2]
            is_page = branch.startswith("[page") or group.parts[2].startswith("[page")
            return not (is_beside and not is_page and group.node.machine in _SIDE_BY_SIDE)
    return False


def _waiting_for(node: Node, scope: Scope) -> set[str] | None:
    """Return the ids of the steps that wait for one, directly or not; None: all behind."""
    if scope.order == "sequence":
        return None
    found = {node.index}
    waiting = [node.index]
    while waiting:
        for index in scope.nodes[waiting.pop()].dependents:
            if index not in found:
                found.add(index)
                waiting.append(index)
    return {scope.nodes[index].id for index in found}
