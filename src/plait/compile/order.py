"""Order: circles, and steps that can never run."""

from __future__ import annotations

from collections.abc import Sequence

Edges = Sequence[Sequence[int]]


def find_circles(deps: Edges) -> list[list[int]]:
    """Return a circle out of every knot of `deps`, each as its nodes in reading order.

    `deps[n]` are the nodes that n waits for. A knot is a strongly connected component:
    all its nodes wait for each other, maybe in many circles; one of them is enough to
    mend next. Each circle starts at its smallest node, so equal graphs give equal answers.

    >>> find_circles([[1], [2], [0], [4], [3], [0]])
    [[0, 1, 2], [3, 4]]
    >>> find_circles([[], [0]])
    []
    """
    left = _on_or_behind_circles(deps)
    knots = _knots(deps, left) if left else []
    return sorted(_circle_in(knot, deps) for knot in knots)


def _circle_in(knot: set[int], deps: Edges) -> list[int]:
    node = min(knot)
    seen: dict[int, int] = {}
    walk: list[int] = []
    while node not in seen:
        seen[node] = len(walk)
        walk.append(node)
        node = min(dep for dep in deps[node] if dep in knot)
    circle = walk[seen[node] :]
    start = circle.index(min(circle))
    return circle[start:] + circle[:start]


def _knots(deps: Edges, nodes: set[int]) -> list[set[int]]:
    """Return the strongly connected components that hold a circle (Kosaraju).

    All nodes in the order in which a walk along the edges leaves them, last one first; a
    walk against the edges from each then stays inside its component.
    """
    left = _leaving_order(deps, nodes)
    against = reversed_edges(deps)
    seen: set[int] = set()
    knots: list[set[int]] = []
    for start in reversed(left):
        if start in seen:
            continue
        knot, stack = {start}, [start]
        seen.add(start)
        while stack:
            for node in against[stack.pop()]:
                if node in nodes and node not in seen:
                    seen.add(node)
                    knot.add(node)
                    stack.append(node)
        if len(knot) > 1 or start in deps[start]:
            knots.append(knot)
    return knots


def _leaving_order(deps: Edges, nodes: set[int]) -> list[int]:
    """Return `nodes`, each after all that a walk from it along `deps` comes to first."""
    left: list[int] = []
    seen: set[int] = set()
    for start in sorted(nodes):
        stack = [] if start in seen else [(start, iter(deps[start]))]
        seen.add(start)
        while stack:
            node, rest = stack[-1]
            new = next((dep for dep in rest if dep in nodes and dep not in seen), None)
            if new is None:
                left.append(node)
                stack.pop()
            else:
                seen.add(new)
                stack.append((new, iter(deps[new])))
    return left


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
