"""Draw a plan: one file per format, all from the same graph."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from plait.compile.draw.dot import draw_dot
from plait.compile.draw.graph import Graph, graph_of
from plait.compile.draw.json import draw_json, graph_json
from plait.compile.draw.mermaid import draw_mermaid
from plait.compile.draw.svg import draw_svg

DRAWERS: Final[Mapping[str, Callable[[Graph], str]]] = MappingProxyType(
    {"mermaid": draw_mermaid, "dot": draw_dot, "svg": draw_svg, "json": draw_json}
)

__all__ = [
    "DRAWERS",
    "Graph",
    "draw_dot",
    "draw_json",
    "draw_mermaid",
    "draw_svg",
    "graph_json",
    "graph_of",
]
