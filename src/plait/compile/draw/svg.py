"""The graph as SVG, drawn by our own layout: no program, font or library is needed.

Rule 1. Readable on light and dark pages: boxes bring their own background, and lines are
        of a grey between.
Rule 2. All text is escaped, and none leaves its box (plait.compile.draw.words).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from html import escape
from typing import Final

from plait.compile.draw.graph import Graph
from plait.compile.draw.layout import PADDING, Box, Frame, Line, Picture, Point, lay_out
from plait.compile.draw.words import FONT_PX, Words, clean, words

_MARGIN: Final = 20.0
_TITLE_ROOM: Final = 34.0
_FONT: Final = (
    "ui-monospace, SFMono-Regular, Menlo, 'DejaVu Sans Mono', 'Liberation Mono', Consolas, "
    "monospace"
)
_COLOURS: Final = {
    "http": "#2563eb",
    "parallel": "#7c3aed",
    "sequence": "#7c3aed",
    "set": "#0d9488",
    "wait": "#b45309",
    "return": "#15803d",
    "fail": "#b91c1c",
}
_COLOUR_ELSE: Final = "#475569"
_FILLS: Final = ("#f8fafc", "#eef2f7", "#e2e8f0")
_STYLE: Final = f"""\
  <style>
    text {{ font-family: {_FONT}; fill: #0f172a; white-space: pre; }}
    .title {{ font-size: {FONT_PX["title"]}px; font-weight: 600; fill: #7b8794; }}
    .label {{ font-size: {FONT_PX["label"]}px; font-weight: 600; }}
    .kind {{ font-size: {FONT_PX["kind"]}px; font-weight: 600; text-anchor: end; }}
    .condition {{ font-size: {FONT_PX["condition"]}px; fill: #92400e; }}
    .notes {{ font-size: {FONT_PX["notes"]}px; fill: #475569; }}
    .group {{ font-size: {FONT_PX["group"]}px; fill: #475569; }}
    .edge {{ fill: none; stroke: #7b8794; stroke-width: 1.5; }}
    .waits {{ stroke-dasharray: 5 4; }}
    .box {{ stroke: #94a3b8; }}
    .frame {{ fill: #ffffff; fill-opacity: 0.6; stroke: #cbd5e1; }}
    .dashed {{ stroke-dasharray: 5 4; stroke: #b45309; }}
  </style>
  <defs>
    <marker id="arrow" viewBox="0 0 8 8" refX="7.5" refY="4" orient="auto"
            markerWidth="7" markerHeight="7">
      <path d="M0 0.5 8 4 0 7.5Z" fill="#7b8794"/>
    </marker>
  </defs>"""


def draw_svg(graph: Graph) -> str:
    """Return the graph as an SVG document."""
    picture = lay_out(graph)
    title = words(graph.title, "title")
    width = max(picture.width, title.width) + 2 * _MARGIN
    height = picture.height + 2 * _MARGIN + _TITLE_ROOM
    size = (
        f'width="{_n(width)}" height="{_n(height)}" viewBox="0 0 {_n(width)} {_n(height)}"'
    )
    name = escape(clean(graph.title))
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" {size}',
            f'     role="img" aria-label="{name}">',
            f"  <title>{name}</title>",
            _STYLE,
            f"  {_text(title, _MARGIN, _MARGIN + FONT_PX['title'])}",
            f'  <g transform="translate({_n((width - picture.width) / 2)} '
            f'{_n(_MARGIN + _TITLE_ROOM)})">',
            *(f"    {element}" for element in _elements(picture)),
            "  </g>",
            "</svg>",
            "",
        ]
    )


def _elements(picture: Picture) -> Iterator[str]:
    """Yield boxes and frames from the outside in, then the lines."""
    things: list[Box | Frame] = [*picture.boxes, *picture.frames]
    for thing in sorted(things, key=lambda thing: thing.depth):
        yield from _box(thing) if isinstance(thing, Box) else _frame(thing)
    for line in picture.lines:
        yield _line(line, is_down=picture.direction == "down")


def _box(box: Box) -> Iterator[str]:
    node, colour = box.node, _COLOURS.get(box.node.kind, _COLOUR_ELSE)
    fill = _FILLS[min(box.depth // 2, 1) + 1 if node.groups else 0]
    style = "box dashed" if node.condition else "box"
    said = [f"{node.id} ({node.kind})"]
    said += [f"if {node.condition}"] if node.condition else []
    said += (*node.notes, *node.policies)
    yield f"<g><title>{_tooltip(said)}</title>"
    yield f'<rect class="{style}" {_rect(box)} rx="8" fill="{fill}"/>'
    yield (
        f'<rect x="{_n(box.x + 4)}" y="{_n(box.y + 8)}" width="3" '
        f'height="{_n(box.height - 16)}" rx="1.5" fill="{colour}"/>'
    )
    y = box.y + PADDING + FONT_PX["label"] - 2
    yield _text(box.label, box.x + PADDING, y)
    yield _text(box.kind, box.x + box.width - PADDING, y, f' style="fill: {colour}"')
    for line in box.lines:
        y += line.height
        yield _text(line, box.x + PADDING, y)
    yield "</g>"


def _tooltip(parts: Iterable[str]) -> str:
    """Return everything, uncut, one part per line."""
    return escape(clean("\n".join(parts)))


def _frame(frame: Frame) -> Iterator[str]:
    style = "frame dashed" if frame.is_fallback else "frame"
    yield f"<g><title>{_tooltip([frame.told])}</title>"
    yield f'<rect class="{style}" {_rect(frame)} rx="6"/>'
    y = frame.y + PADDING / 2 + FONT_PX["group"]
    yield _text(frame.label, frame.x + PADDING, y)
    yield "</g>"


def _line(line: Line, *, is_down: bool) -> str:
    (x, y), *rest = line.points
    path = [f"M{_n(x)} {_n(y)}"]
    before = (x, y)
    for point, bends in zip(rest, line.bends, strict=True):
        path.append(_stretch(before, point, bends=bends, is_down=is_down))
        before = point
    style = "edge waits" if line.edge.reasons[0].why == "depends_on" else "edge"
    said = _tooltip(reason.text() for reason in line.edge.reasons)
    return (
        f'<path class="{style}" d="{"".join(path)}" marker-end="url(#arrow)">'
        f"<title>{escape(line.edge.target)}: {said}</title></path>"
    )


def _stretch(start: Point, end: Point, *, bends: bool, is_down: bool) -> str:
    if start == end:
        return ""
    if not bends:
        return f"L{_n(end[0])} {_n(end[1])}"
    if is_down:
        middle = (start[1] + end[1]) / 2
        first, second = (start[0], middle), (end[0], middle)
    else:
        middle = (start[0] + end[0]) / 2
        first, second = (middle, start[1]), (middle, end[1])
    return "C" + ", ".join(f"{_n(x)} {_n(y)}" for x, y in (first, second, end))


def _text(line: Words, x: float, y: float, extra: str = "") -> str:
    return (
        f'<text class="{line.style}" x="{_n(x)}" y="{_n(y)}"{extra}>'
        f"{escape(line.text)}</text>"
    )


def _rect(thing: Box | Frame) -> str:
    return (
        f'x="{_n(thing.x)}" y="{_n(thing.y)}" '
        f'width="{_n(thing.width)}" height="{_n(thing.height)}"'
    )


def _n(number: float) -> str:
    """Return a number with at most one decimal.

    >>> _n(3.0), _n(2.25)
    ('3', '2.2')
    """
    return f"{number:.1f}".removesuffix(".0")
