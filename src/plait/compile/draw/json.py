"""The graph as JSON: flat lists of nodes, edges and groups, for editors and scripts.

Shape, all keys always there:

    {"name", "title",
     "nodes":  [{"id", "label", "kind", "condition", "notes", "group"}],
     "edges":  [{"from", "to", "kind", "reasons": [{"step", "why", …}]}],
     "groups": [{"id", "label", "step", "is_fallback"}]}

`group` names the group that a node stands in, null at the top; `step` is the node that a
group is inside of; an edge's `kind` is `reads`, `depends_on`, `order`, `goto` or
`handover`: those two may lead back. A `handover` stands between two groups, the handlers
of a `route`, and each of its reasons has its condition (`where`). A reason that reads says
what (`read`), in which key (`where`), and in which inner step (`by`).

Of a state machine the nodes are its states (`kind`: `initial`, `state`, `final`) and the
edges its transitions (`event`), each with its event (`read`), guard (`where`) and actions
(`by`).
"""

from __future__ import annotations

import orjson

from plait.compile.draw.graph import Graph, GraphEdge, GraphNode
from plait.model.json import JsonObject


def graph_json(graph: Graph) -> JsonObject:
    """Return the graph as an object."""
    return {
        "name": graph.name,
        "title": graph.title,
        "nodes": [_node(node, group) for node, group in graph.nodes()],
        "edges": [
            *map(_edge, (*graph.edges(), *graph.jumps())),
            *(_edge(edge) for node, _ in graph.nodes() for edge in node.handovers),
        ],
        "groups": [
            {
                "id": group.id,
                "label": group.label,
                "step": node.id,
                "is_fallback": group.is_fallback,
            }
            for node, _ in graph.nodes()
            for group in node.groups
        ],
    }


def draw_json(graph: Graph) -> str:
    """Return the graph as JSON text."""
    return orjson.dumps(graph_json(graph), option=orjson.OPT_INDENT_2).decode() + "\n"


def _node(node: GraphNode, group: str) -> JsonObject:
    return {
        "id": node.id,
        "label": node.label,
        "kind": node.kind,
        "condition": node.condition or None,
        "notes": [*node.notes, *node.policies],
        "group": group or None,
    }


def _edge(edge: GraphEdge) -> JsonObject:
    return {
        "from": edge.source,
        "to": edge.target,
        "kind": edge.reasons[0].why,
        "reasons": [reason.as_json() for reason in edge.reasons],
    }
