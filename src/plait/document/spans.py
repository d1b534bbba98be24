"""Where each value of a document stands: a light tree beside the values.

A scalar's place is one integer, which holds both its offsets. A mapping's places are a
dict with its keys, a list's are a list: `Members` and `Items`. A document of 10,000 steps
has 90,000 values: a pair of offsets for each would double the time of reading them, most
of it spent in the garbage collector, which looks at pairs and not at integers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

Offsets: TypeAlias = tuple[int, int]
Node: TypeAlias = "int | Members | Items"

# Offsets are below 2**32: a text has at most as many characters as bytes.
SHIFT = 32
_MASK = (1 << SHIFT) - 1


class Members(dict[str, Node]):
    """The places of a mapping's values, by key; `key_places` has those of the keys.

    While the mapping's text is being read, `end` is where it starts.
    """

    __slots__ = ("end", "key_places", "start")
    start: int
    end: int
    key_places: dict[str, int]


class Items(list[Node]):
    """The places of a list's items. `end` as in `Members`."""

    __slots__ = ("end", "start")
    start: int
    end: int


def packed(start: int, end: int) -> int:
    """Return both offsets as one integer.

    >>> offsets_of(packed(3, 8))
    (3, 8)
    """
    return start << SHIFT | end


def offsets_of(node: Node) -> Offsets:
    """Return where `node` starts, and where it ends (exclusive)."""
    if isinstance(node, int):
        return node >> SHIFT, node & _MASK
    return node.start, node.end


def find(
    root: Node, segments: Sequence[str | int], *, key: bool = False
) -> tuple[Offsets, int]:
    """Return the offsets of the value (or its key) and how many segments exist.

    What does not exist is found at the nearest mapping or list around it. An item of a
    list has no key: its value stands for it.
    """
    node = key_node = root
    for depth, segment in enumerate(segments):
        child = _child(node, segment)
        if child is None:
            return offsets_of(node), depth
        key_node = _key(node, segment, child)
        node = child
    return offsets_of(key_node if key else node), len(segments)


def _child(node: Node, segment: str | int) -> Node | None:
    if isinstance(node, Members):
        return node.get(segment) if isinstance(segment, str) else None
    if isinstance(node, int):
        return None
    index = _index(segment)
    return node[index] if 0 <= index < len(node) else None


def _key(node: Node, segment: str | int, child: Node) -> Node:
    if isinstance(node, Members) and isinstance(segment, str):
        return node.key_places[segment]
    return child


def _index(segment: str | int) -> int:
    """Return the index that `segment` means, -1 if none: `"3"` out of a pointer is 3."""
    if isinstance(segment, int):
        return segment
    # Nine digits are enough for any list, and int() of more could be slow.
    is_index = segment.isascii() and segment.isdigit() and len(segment) <= 9
    return int(segment) if is_index else -1
