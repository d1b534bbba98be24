"""Order: circles, and steps that can never run."""

from __future__ import annotations

from collections.abc import Sequence

Edges = Sequence[Sequence[int]]


def find_circle(deps: Edges) -> list[int] | None:
    """Return one circle among `deps`, as the nodes on it in reading order, or None.

    `deps[n]` are the nodes that n waits for. The circle starts at its smallest node, so
    equal graphs give equal answers.

    >>> find_circle([[1], [2], [0]])
    [0, 1, 2]
    >>> find_circle([[], [0]]) is None
    True
    """
    left = _on_or_behind_circles(deps)
    if not left:
        return None
    node = min(left)
    seen: dict[int, int] = {}
    walk: list[int] = []
    while node not in seen:
        seen[node] = len(walk)
        walk.append(node)
        node = min(dep for dep in deps[node] if dep in left)
    circle = walk[seen[node] :]
    start = circle.index(min(circle))
    return circle[start:] + circle[:start]


def _on_or_behind_circles(deps: Edges) -> set[int]:
    """Return the nodes that can never start, which are those that wait for a circle."""
    waits = [len(of_node) for of_node in deps]
    free = [node for node, count in enumerate(waits) if not count]
    dependents = reversed_edges(deps)
    while free:
        for dependent in dependents[free.pop()]:
            waits[dependent] -= 1
            if not waits[dependent]:
                free.append(dependent)
    return {node for node, count in enumerate(waits) if count}


def reversed_edges(deps: Edges) -> list[list[int]]:
    """Return, for each node, the nodes that wait for it, ascending."""
    dependents: list[list[int]] = [[] for _ in deps]
    for node, of_node in enumerate(deps):
        for dep in of_node:
            dependents[dep].append(node)
    return dependents


def behind(deps: Edges, ends: Sequence[int]) -> list[int]:
    """Return the nodes that wait, directly or not, for one of `ends`, ascending."""
    dependents = reversed_edges(deps)
    found: set[int] = set()
    stack = list(ends)
    while stack:
        for dependent in dependents[stack.pop()]:
            if dependent not in found:
                found.add(dependent)
                stack.append(dependent)
    return sorted(found)
