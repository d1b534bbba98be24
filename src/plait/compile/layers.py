"""Layers of a graph: what comes first, what can run at the same time, what hangs on what.

Edges are `deps[n]`: the nodes that n waits for. They hold no circle (plait.compile.order
sees to that) and may point either way in document order.
"""

from __future__ import annotations

from collections import deque

from plait.compile.order import Edges, reversed_edges


def topological(deps: Edges) -> list[int]:
    """Return all nodes, each after those that it waits for; else in document order.

    >>> topological([[2], [], [1]])
    [1, 2, 0]
    """
    waits = [len(of_node) for of_node in deps]
    dependents = reversed_edges(deps)
    free = deque(node for node, count in enumerate(waits) if not count)
    ordered: list[int] = []
    while free:
        node = free.popleft()
        ordered.append(node)
        for dependent in dependents[node]:
            waits[dependent] -= 1
            if not waits[dependent]:
                free.append(dependent)
    return ordered


def backward_edges(deps: Edges) -> set[tuple[int, int]]:
    """Return edges, as (source, target), without which there is no circle.

    The first node of the document comes first where it can; an edge to the node itself is
    one of them.

    >>> backward_edges([[2], [0], [1], [3]]) == {(2, 0), (3, 3)}
    True
    """
    after = reversed_edges(deps)
    found: set[tuple[int, int]] = set()
    state = [0] * len(deps)  # 1: being looked at, 2: done
    for start in range(len(deps)):
        if state[start]:
            continue
        path = [(start, iter(after[start]))]
        state[start] = 1
        while path:
            node, rest = path[-1]
            target = next(rest, None)
            if target is None:
                state[node] = 2
                path.pop()
            elif state[target] == 1:
                found.add((node, target))
            elif not state[target]:
                state[target] = 1
                path.append((target, iter(after[target])))
    return found


def levels(deps: Edges) -> list[int]:
    """Return, for each node, the length of the longest chain of nodes before it.

    >>> levels([[], [], [0], [0, 2]])
    [0, 0, 1, 2]
    """
    found = [0] * len(deps)
    for node in topological(deps):
        found[node] = max((found[dep] + 1 for dep in deps[node]), default=0)
    return found


def behind_masks(deps: Edges) -> list[int]:
    """Return, for each node, the nodes that it waits for, directly or not, as bits.

    >>> [bin(mask) for mask in behind_masks([[], [0], [1]])]
    ['0b0', '0b1', '0b11']
    """
    masks = [0] * len(deps)
    for node in topological(deps):
        mask = 0
        for dep in deps[node]:
            mask |= masks[dep] | 1 << dep
        masks[node] = mask
    return masks


def overlaps(deps: Edges) -> list[int]:
    """Return, for each node, the nodes that may run at the same time, as bits.

    Two nodes may, when neither waits for the other.

    >>> [bin(mask) for mask in overlaps([[], [], [0]])]
    ['0b10', '0b101', '0b10']
    """
    before = behind_masks(deps)
    after = behind_masks(reversed_edges(deps))
    everything = (1 << len(deps)) - 1
    return [
        everything & ~(before[node] | after[node] | 1 << node) for node in range(len(deps))
    ]


def bits(mask: int, count_max: int) -> list[int]:
    """Return the positions of the lowest set bits of `mask`, `count_max` at most.

    >>> bits(0b1011, 2)
    [0, 1]
    """
    found: list[int] = []
    while mask and len(found) < count_max:
        lowest = mask & -mask
        found.append(lowest.bit_length() - 1)
        mask ^= lowest
    return found
