"""Draw a plan: one file per format, all from the same graph."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from plait.compile.draw.dot import draw_dot
from plait.compile.draw.graph import Graph, step_graph
from plait.compile.draw.json import draw_json, graph_json
from plait.compile.draw.mermaid import draw_mermaid
from plait.compile.draw.states import states_graph
from plait.compile.draw.svg import draw_svg
from plait.plan import Plan

DRAWERS: Final[Mapping[str, Callable[[Graph], str]]] = MappingProxyType(
    {"mermaid": draw_mermaid, "dot": draw_dot, "svg": draw_svg, "json": draw_json}
)


def graph_of(plan: Plan) -> Graph:
    """Return the graph of `plan`: of its steps, or of its states."""
    endpoint = plan.endpoint
    where = f": {endpoint.method} {endpoint.path}" if endpoint is not None else ""
    title = plan.name + where
    return states_graph(plan, title) or step_graph(plan, title)


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
