"""Where everything stands: layers by order, boxes within boxes, lines around them.

A scope is laid out by itself, from the inside out; then it is one box of the scope around
it. The flow goes down or to the right, whichever gives the picture the better shape.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final, Literal

from plait.compile.draw.graph import Graph, GraphEdge, GraphGroup, GraphNode, GraphScope
from plait.compile.draw.ordering import Ordered, order_items
from plait.compile.draw.spread import spread_items
from plait.compile.draw.words import Words, lines_of, words
from plait.compile.layers import backward_edges, levels

Direction = Literal["down", "right"]
Point = tuple[float, float]

PADDING: Final = 14.0
LAYER_GAP: Final = 46.0
LAYER_GAP_MAX: Final = 150.0
# How much wider a gap is, per pixel that its longest line goes sideways.
SLANT: Final = 0.08
ITEM_GAP: Final = 20.0
LINE_ROOM: Final = 10.0
WIDTH_MIN: Final = 96.0
KIND_GAP: Final = 16.0
GROUPS_ROOM_MAX: Final = 900.0
# Between ports on one side of a box.
PORT_GAP_MAX: Final = 16.0
SHAPE_BEST: Final = 1.5
SIDE_MAX: Final = 1_400.0


@dataclass(slots=True)
class Box:
    """A step's box. `x`, `y` is its upper left corner."""

    node: GraphNode
    label: Words
    kind: Words
    lines: list[Words]
    x: float
    y: float
    width: float
    height: float
    depth: int = 0


@dataclass(slots=True)
class Frame:
    """A group's box inside a step's box; `told` is its label, uncut."""

    told: str
    label: Words
    is_fallback: bool
    x: float
    y: float
    width: float
    height: float
    depth: int = 0


@dataclass(slots=True)
class Line:
    """An edge: the points it goes through; `bends` tells which stretches are curves."""

    edge: GraphEdge
    points: list[Point]
    bends: list[bool]


@dataclass(slots=True)
class Picture:
    """Everything, each with its place; the upper left corner is (0, 0)."""

    direction: Direction
    width: float = 0.0
    height: float = 0.0
    boxes: list[Box] = field(default_factory=list)
    frames: list[Frame] = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)

    def take(self, other: Picture, x: float, y: float) -> None:
        """Put `other` into this picture with its corner at (x, y)."""
        things: list[Box | Frame] = [*other.boxes, *other.frames]
        for thing in things:
            thing.x += x
            thing.y += y
            thing.depth += 1
        for line in other.lines:
            line.points = [(px + x, py + y) for px, py in line.points]
        self.boxes.extend(other.boxes)
        self.frames.extend(other.frames)
        self.lines.extend(other.lines)


def lay_out(graph: Graph) -> Picture:
    """Return the picture of `graph`, in the direction that suits it."""
    down, right = (_scope(graph.root, way) for way in ("down", "right"))
    return min(down, right, key=_ugliness)


def _ugliness(picture: Picture) -> float:
    """Return how far a picture is from a good shape; sides too long for a page count."""
    shape = picture.width / max(picture.height, 1.0) / SHAPE_BEST
    excess = max(picture.width / SIDE_MAX, picture.height / SIDE_MAX / 2, 1.0)
    return max(shape, 1 / shape) * excess


# -- one scope -------------------------------------------------------------------------


def _scope(scope: GraphScope, direction: Direction) -> Picture:
    insides = [_box(node, direction) for node in scope.nodes]
    things = {node.id: one.boxes[0] for node, one in zip(scope.nodes, insides, strict=True)}
    return _arranged(direction, things, insides, scope.edges)


def _handlers(node: GraphNode, direction: Direction) -> Picture:
    """Return the handlers of a `route`, with a line from each to whom it hands over."""
    insides = [_group(group, direction) for group in node.groups]
    things = {
        group.id: one.frames[0] for group, one in zip(node.groups, insides, strict=True)
    }
    picture = _arranged(direction, things, insides, node.handovers)
    # It is no box of its own: the handlers stand as deep as other groups do.
    deeper: list[Box | Frame] = [*picture.boxes, *picture.frames]
    for thing in deeper:
        thing.depth -= 1
    return picture


def _arranged(
    direction: Direction,
    things: Mapping[str, Box | Frame],
    insides: Sequence[Picture],
    lines: Iterable[GraphEdge],
) -> Picture:
    """Return pictures in layers, by the lines between what stands in each of them."""
    index_of = {name: index for index, name in enumerate(things)}
    edges = [edge for edge in lines if edge.source != edge.target]
    pairs, turned = _forward(
        len(things), [(index_of[edge.source], index_of[edge.target]) for edge in edges]
    )
    # There and back again is one line with two heads.
    apart = list(dict.fromkeys(pairs))
    items = order_items(levels(_deps(len(things), apart)), apart)
    place = _Placer(direction, items, [*things.values()])
    picture = place.picture
    for inside, (x, y) in zip(insides, place.corners(), strict=True):
        picture.take(inside, x, y)
    for edge, pair, is_turned in zip(edges, pairs, turned, strict=True):
        line = place.line(edge, items.chains[pair])
        if is_turned:
            line.points.reverse()
            line.bends.reverse()
        picture.lines.append(line)
    return picture


def _forward(
    count: int, pairs: list[tuple[int, int]]
) -> tuple[list[tuple[int, int]], list[bool]]:
    """Return edges that go in no circle, and which of them were turned round for that."""
    backward = backward_edges(_deps(count, pairs))
    turned = [pair in backward for pair in pairs]
    whole = zip(pairs, turned, strict=True)
    return [(two, one) if is_back else (one, two) for (one, two), is_back in whole], turned


def _deps(count: int, pairs: list[tuple[int, int]]) -> list[list[int]]:
    deps: list[list[int]] = [[] for _ in range(count)]
    for source, target in pairs:
        deps[target].append(source)
    return deps


class _Placer:
    """Places the items of one scope, layer after layer.

    Along the flow is `main`, across it `cross`; only `_point` knows which is x.
    """

    def __init__(
        self, direction: Direction, items: Ordered, boxes: Sequence[Box | Frame]
    ) -> None:
        self._is_down = direction == "down"
        self._items = items
        self._boxes = boxes
        if not self._is_down:
            self._align_widths()
        crosses = [box.width if self._is_down else box.height for box in boxes]
        mains = [box.height if self._is_down else box.width for box in boxes]
        waypoints = len(items.before) - len(boxes)
        self._cross = crosses + [LINE_ROOM] * waypoints
        self._main = mains + [0.0] * waypoints
        self._middles = spread_items(items, self._cross, ITEM_GAP)
        self._before, self._after = self._ranks(items.before), self._ranks(items.after)
        self._starts, self._ends = self._layer_bounds()
        self._layer = {item: n for n, layer in enumerate(items.layers) for item in layer}
        width = max((m + s / 2 for m, s in zip(self._middles, self._cross, strict=True)))
        self.picture = Picture(direction, *self._point(self._ends[-1], width))

    def _align_widths(self) -> None:
        """Boxes above each other look better when they are equally wide."""
        for layer in self._items.layers:
            boxes = [self._boxes[item] for item in layer if item < len(self._boxes)]
            plain = [box for box in boxes if isinstance(box, Box) and not box.node.groups]
            widest = max((box.width for box in plain), default=0.0)
            for box in plain:
                box.width = widest

    def _layer_bounds(self) -> tuple[list[float], list[float]]:
        starts, ends, start = [], [], 0.0
        for layer in self._items.layers:
            end = start + max(self._main[item] for item in layer)
            starts.append(start)
            ends.append(end)
            start = end + self._gap_after(layer)
        return starts, ends

    def _gap_after(self, layer: list[int]) -> float:
        """Return a gap in which no line has to lie flat."""
        middles, after = self._middles, self._items.after
        slants = (abs(middles[one] - middles[two]) for one in layer for two in after[one])
        return min(LAYER_GAP + SLANT * max(slants, default=0.0), LAYER_GAP_MAX)

    def _point(self, main: float, cross: float) -> Point:
        return (cross, main) if self._is_down else (main, cross)

    def corners(self) -> list[Point]:
        """Return the upper left corner of each box."""
        return [
            self._point(
                self._starts[self._layer[item]], self._middles[item] - self._cross[item] / 2
            )
            for item in range(len(self._boxes))
        ]

    def line(self, edge: GraphEdge, chain: list[int]) -> Line:
        """Return the line of `edge`, which passes the items of `chain`."""
        points: list[Point] = []
        bends: list[bool] = []
        for one, other in pairwise(chain):
            layer = self._layer[one]
            leave = self._port(one, other, self._after)
            start = self._starts[layer] + self._main[one]
            points += [self._point(start, leave), self._point(self._ends[layer], leave)]
            arrive = self._port(other, one, self._before)
            points.append(self._point(self._starts[self._layer[other]], arrive))
            bends += [False, True, False]
        return Line(edge, points, bends[:-1])

    def _port(self, item: int, other: int, ranks: list[dict[int, int]]) -> float:
        """Return where on `item`'s side the line to `other` begins or ends."""
        last = len(ranks[item]) - 1
        if item >= len(self._boxes) or not last:
            return self._middles[item]
        room = (self._cross[item] - 2 * PADDING) / last
        offset = ranks[item][other] - last / 2
        return self._middles[item] + offset * min(PORT_GAP_MAX, room)

    def _ranks(self, neighbours: list[list[int]]) -> list[dict[int, int]]:
        """Return, for each item, in which order its neighbours stand."""
        ordered = (
            sorted(one, key=lambda it: (self._middles[it], it)) for one in neighbours
        )
        return [{item: rank for rank, item in enumerate(one)} for one in ordered]


# -- one step --------------------------------------------------------------------------


def _box(node: GraphNode, direction: Direction) -> Picture:
    """Return the box of a step with all that is inside; the step's own box comes first."""
    label, kind = words(node.label, "label"), words(node.kind, "kind")
    lines = lines_of(node)
    texts = [label.width + KIND_GAP + kind.width, *(line.width for line in lines)]
    width = max(WIDTH_MIN, max(texts) + 2 * PADDING)
    height = label.height + sum(line.height for line in lines) + 2 * PADDING - 5
    box = Box(node, label, kind, lines, 0.0, 0.0, width, height)
    picture = Picture(direction, boxes=[box])
    if node.handovers:
        _fill(picture, box, [_handlers(node, direction)])
    elif node.groups:
        _fill(picture, box, [_group(group, direction) for group in node.groups])
    picture.width, picture.height = box.width, box.height
    return picture


def _fill(picture: Picture, box: Box, groups: list[Picture]) -> None:
    """Put the groups into the box, side by side across the flow, and make it fit."""
    is_down = picture.direction == "down"
    x, y, ends_x, ends_y = PADDING, box.height, box.width - PADDING, box.height
    for group in groups:
        if is_down and x > PADDING and x + group.width > GROUPS_ROOM_MAX:
            x, y = PADDING, ends_y + PADDING
        elif not is_down and y + group.height > GROUPS_ROOM_MAX and y > box.height:
            x, y = ends_x + PADDING, box.height
        picture.take(group, x, y)
        ends_x, ends_y = max(ends_x, x + group.width), max(ends_y, y + group.height)
        if is_down:
            x += group.width + PADDING
        else:
            y += group.height + PADDING
    box.width, box.height = ends_x + PADDING, ends_y + PADDING


def _group(group: GraphGroup, direction: Direction) -> Picture:
    inside = _scope(group.graph, direction)
    if not group.label:
        return inside
    label = words(group.label, "group", inside.width)
    top = PADDING + label.height
    width = max(inside.width, label.width) + 2 * PADDING
    frame = Frame(
        group.label,
        label,
        group.is_fallback,
        0.0,
        0.0,
        width,
        top + inside.height + PADDING,
    )
    picture = Picture(direction, width, frame.height, frames=[frame])
    picture.take(inside, (width - inside.width) / 2, top)
    frame.depth = 0
    return picture
