"""The graph as DOT text, for Graphviz.

A step with steps inside is a cluster; its edges go to and from a point inside it and are
cut off at its border (`compound`, `lhead`, `ltail`).
"""

from __future__ import annotations

from collections.abc import Iterator

from plait.compile.draw.escape import dot_text
from plait.compile.draw.graph import Graph, GraphEdge, GraphNode, GraphScope
from plait.compile.draw.state_texts import states_dot

_HEAD = """\
    compound=true; rankdir=TB; bgcolor="transparent"; fontname="Helvetica"; labelloc=t;
    node [shape=box, style="rounded,filled", fillcolor="#f8fafc", color="#64748b",
          fontname="Helvetica", fontsize=11, fontcolor="#0f172a"];
    edge [color="#64748b", arrowsize=0.7, fontname="Helvetica", fontsize=9];"""


def draw_dot(graph: Graph) -> str:
    """Return the graph as a DOT digraph."""
    if graph.initial:
        return states_dot(graph)
    containers = {node.id for node, _ in graph.nodes() if node.groups}
    title = f"    label={dot_text(graph.title)};"
    lines = [f"digraph {dot_text(graph.name)} {{", title, _HEAD]
    lines.extend(_scope(graph.root, "    "))
    lines.extend(f"    {_edge(edge, containers)}" for edge in graph.edges())
    lines.extend(f"    {_edge(edge, containers)}" for edge in graph.jumps())
    for node, _ in graph.nodes():
        lines.extend(f"    {one}" for one in _handovers(node))
    return "\n".join([*lines, "}", ""])


def _scope(scope: GraphScope, margin: str) -> Iterator[str]:
    for node in scope.nodes:
        if node.groups:
            yield from _cluster(node, margin)
        else:
            style = ', style="rounded,filled,dashed"' if node.condition else ""
            yield f"{margin}{dot_text(node.id)} [label={dot_text(_label(node))}{style}];"


def _cluster(node: GraphNode, margin: str) -> Iterator[str]:
    style = "rounded,dashed" if node.condition else "rounded"
    yield f"{margin}subgraph {dot_text('cluster ' + node.id)} {{"
    yield f'{margin}    label={dot_text(_label(node))}; style="{style}"; color="#64748b";'
    yield f"{margin}    {dot_text(node.id)} [shape=point, style=invis, width=0];"
    for group in node.groups:
        if not group.label:
            yield from _scope(group.graph, margin + "    ")
            continue
        name = dot_text(f"cluster {node.id} group {group.id}")
        yield f"{margin}    subgraph {name} {{"
        yield f'{margin}        label={dot_text(group.label)}; style="rounded,dotted";'
        yield from _scope(group.graph, margin + "        ")
        yield f"{margin}    }}"
    yield f"{margin}}}"


def _label(node: GraphNode) -> str:
    condition = [f"if {node.condition}"] if node.condition else []
    notes = [", ".join(line) for line in (node.notes, node.policies) if line]
    return "\n".join([node.label, node.kind, *condition, *notes])


def _handovers(node: GraphNode) -> Iterator[str]:
    """Yield lines between handlers: from a step inside each, cut off at the border."""
    inside = {group.id: group.graph.nodes[0].id for group in node.groups}
    for edge in node.handovers:
        told = dot_text(", ".join(reason.text() for reason in edge.reasons))
        tail, head = (
            dot_text(f"cluster {node.id} group {one}") for one in (edge.source, edge.target)
        )
        source, target = dot_text(inside[edge.source]), dot_text(inside[edge.target])
        yield f"{source} -> {target} [tooltip={told}, ltail={tail}, lhead={head}];"


def _edge(edge: GraphEdge, containers: set[str]) -> str:
    settings = [f"tooltip={dot_text(', '.join(reason.text() for reason in edge.reasons))}"]
    if edge.reasons[0].why == "depends_on":
        settings.append("style=dashed")
    if edge.reasons[0].why == "goto":
        settings += ["style=dashed", "constraint=false", 'color="#b45309"', 'label="goto"']
    if edge.source in containers:
        settings.append(f"ltail={dot_text('cluster ' + edge.source)}")
    if edge.target in containers:
        settings.append(f"lhead={dot_text('cluster ' + edge.target)}")
    return f"{dot_text(edge.source)} -> {dot_text(edge.target)} [{', '.join(settings)}];"
