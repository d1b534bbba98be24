"""Where along its layer each item stands: near its neighbours, without overlap.

Every layer is placed as well as it can be (least squares) beside the layers that are
placed already, to and fro until it settles.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Final

from plait.compile.draw.ordering import Ordered

_SWEEP_COUNT: Final = 10


def spread_items(items: Ordered, sizes: Sequence[float], gap: float) -> list[float]:
    """Return the middle of each item along its layer; the smallest start is 0.

    Args:
        sizes: How much of the layer each item takes.
        gap: Between neighbours.
    """
    middles = [0.0] * len(sizes)
    for layer in items.layers:
        start = 0.0
        for item in layer:
            middles[item] = start + sizes[item] / 2
            start += sizes[item] + gap
    everyone = [
        before + after for before, after in zip(items.before, items.after, strict=True)
    ]
    for sweep in range(_SWEEP_COUNT):
        is_last = sweep == _SWEEP_COUNT - 1
        neighbours = everyone if is_last else (items.before, items.after)[sweep % 2]
        for layer in items.layers[:: -1 if sweep % 2 else 1]:
            wanted = [_mean(middles, neighbours[item], middles[item]) for item in layer]
            placed = place(wanted, [sizes[item] for item in layer], gap)
            for item, middle in zip(layer, placed, strict=True):
                middles[item] = middle
    first = min(
        (middles[i] - sizes[i] / 2 for layer in items.layers for i in layer), default=0
    )
    return [middle - first for middle in middles]


def _mean(middles: list[float], neighbours: list[int], own: float) -> float:
    if not neighbours:
        return own
    return sum(middles[other] for other in neighbours) / len(neighbours)


def place(wanted: Sequence[float], sizes: Sequence[float], gap: float) -> list[float]:
    """Return middles as near to `wanted` as order, `sizes` and `gap` allow.

    Pool adjacent violators: items that push each other become a block, and a block stands
    at the mean of what its items want.

    >>> place([0, 0, 50], [10, 10, 10], 2)
    [-6.0, 6.0, 50.0]
    """
    offsets = [0.0]
    for one, other in pairwise(sizes):
        offsets.append(offsets[-1] + (one + other) / 2 + gap)
    blocks: list[tuple[float, int]] = []
    for want, offset in zip(wanted, offsets, strict=False):
        start, count = float(want) - offset, 1
        while blocks and blocks[-1][0] > start:
            other_start, other_count = blocks.pop()
            both = count + other_count
            start = (start * count + other_start * other_count) / both
            count = both
        blocks.append((start, count))
    starts = [start for start, count in blocks for _ in range(count)]
    return [start + offset for start, offset in zip(starts, offsets, strict=False)]
