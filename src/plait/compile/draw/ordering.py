"""Which item of a layer stands where: long edges cut into pieces, crossings reduced.

An edge that passes layers gets a waypoint in each of them, so that it can be led around
the boxes there. Then every layer is sorted by the mean position of its neighbours, to and
fro, and the order with the fewest crossings is kept.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

_SWEEP_COUNT: Final = 12
# Past this, a picture is a tangle anyway; long edges then go straight.
_WAYPOINT_COUNT_MAX: Final = 3_000


@dataclass(slots=True)
class Ordered:
    """Items in layers. Items below the node count are nodes, the rest are waypoints.

    Attributes:
        layers: The items of each layer, in their order.
        before: For each item, its neighbours in earlier layers.
        after: For each item, its neighbours in later layers.
        chains: For each edge, the items that it passes: source, waypoints, target.
    """

    layers: list[list[int]]
    before: list[list[int]]
    after: list[list[int]]
    chains: dict[tuple[int, int], list[int]]


def order_items(level_of: Sequence[int], edges: Sequence[tuple[int, int]]) -> Ordered:
    """Return the nodes, and waypoints for long edges, in layers of few crossings.

    Args:
        level_of: The layer of each node.
        edges: Pairs of nodes, source and target; the target's layer is later.

    >>> order_items([0, 0, 1, 1], [(0, 3), (1, 2)]).layers
    [[0, 1], [3, 2]]
    """
    items = _with_waypoints(level_of, edges)
    best, fewest = [list(layer) for layer in items.layers], _crossings(items)
    for sweep in range(_SWEEP_COUNT if fewest else 0):
        _sort_layers(items, forward=sweep % 2 == 0)
        count = _crossings(items)
        if count < fewest:
            best, fewest = [list(layer) for layer in items.layers], count
    items.layers = best
    return items


def _with_waypoints(level_of: Sequence[int], edges: Sequence[tuple[int, int]]) -> Ordered:
    count = len(level_of)
    layers: list[list[int]] = [[] for _ in range(max(level_of, default=-1) + 1)]
    for node, level in enumerate(level_of):
        layers[level].append(node)
    items = Ordered(layers, [[] for _ in range(count)], [[] for _ in range(count)], {})
    waypoint_count = sum(
        level_of[target] - level_of[source] - 1 for source, target in edges
    )
    for source, target in edges:
        chain = [source]
        passed = range(level_of[source] + 1, level_of[target])
        for level in passed if waypoint_count <= _WAYPOINT_COUNT_MAX else ():
            chain.append(len(items.before))
            layers[level].append(len(items.before))
            items.before.append([])
            items.after.append([])
        chain.append(target)
        items.chains[source, target] = chain
        for one, other in pairwise(chain):
            items.after[one].append(other)
            items.before[other].append(one)
    return items


def _sort_layers(items: Ordered, *, forward: bool) -> None:
    position = [0.0] * len(items.before)
    for layer in items.layers:
        for index, item in enumerate(layer):
            position[item] = index
    neighbours = items.before if forward else items.after
    for layer in items.layers if forward else reversed(items.layers):
        middle = {
            item: sum(position[other] for other in neighbours[item]) / len(neighbours[item])
            if neighbours[item]
            else position[item]
            for item in layer
        }
        layer.sort(key=middle.__getitem__)
        for index, item in enumerate(layer):
            position[item] = index


def _crossings(items: Ordered) -> int:
    total = 0
    for layer, following in pairwise(items.layers):
        position = {item: index for index, item in enumerate(following)}
        seen: list[int] = []
        for item in layer:
            ends = [position[other] for other in items.after[item] if other in position]
            total += sum(len(seen) - bisect_right(seen, end) for end in ends)
            for end in ends:
                insort(seen, end)
    return total
