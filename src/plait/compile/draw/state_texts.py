"""A state machine as Mermaid's state diagram, and as DOT."""

from __future__ import annotations

from collections.abc import Iterator

from plait.compile.draw.escape import dot_text, mermaid_text, mermaid_title
from plait.compile.draw.graph import Graph, GraphNode

_DOT_HEAD = """\
    rankdir=TB; bgcolor="transparent"; fontname="Helvetica"; labelloc=t;
    node [shape=box, style="rounded,filled", fillcolor="#f8fafc", color="#64748b",
          fontname="Helvetica", fontsize=11, fontcolor="#0f172a"];
    edge [color="#64748b", arrowsize=0.7, fontname="Helvetica", fontsize=9];
    "[*]" [shape=point, width=0.12];"""


def states_mermaid(graph: Graph) -> str:
    """Return the machine as a Mermaid state diagram."""
    names = {node.id: f"s{index}" for index, (node, _) in enumerate(graph.nodes())}
    lines = ["---", f"title: {mermaid_title(graph.title)}", "---", "stateDiagram-v2"]
    for node, _ in graph.nodes():
        label = "<br/>".join(map(mermaid_text, (node.label, *node.notes)))
        lines.append(f'    state "{label}" as {names[node.id]}')
    lines.append(f"    [*] --> {names[graph.initial]}")
    for edge in graph.edges():
        arrow = f"    {names[edge.source]} --> {names[edge.target]}"
        # A colon would end the text.
        lines += [
            f"{arrow}: {mermaid_text(reason.text()).replace(':', '#58;')}"
            for reason in edge.reasons
        ]
    lines += [f"    {names[node.id]} --> [*]" for node, _ in graph.nodes() if _ends(node)]
    return "\n".join(lines) + "\n"


def states_dot(graph: Graph) -> str:
    """Return the machine as a DOT digraph."""
    return "\n".join([*_dot_lines(graph), "}", ""])


def _dot_lines(graph: Graph) -> Iterator[str]:
    yield f"digraph {dot_text(graph.name)} {{"
    yield f"    label={dot_text(graph.title)};"
    yield _DOT_HEAD
    for node, _ in graph.nodes():
        ring = ", peripheries=2" if _ends(node) else ""
        label = dot_text("\n".join((node.label, *node.notes)))
        yield f"    {dot_text(node.id)} [label={label}{ring}];"
    yield f'    "[*]" -> {dot_text(graph.initial)};'
    for edge in graph.edges():
        label = dot_text("\n".join(reason.text() for reason in edge.reasons))
        yield f"    {dot_text(edge.source)} -> {dot_text(edge.target)} [label={label}];"


def _ends(node: GraphNode) -> bool:
    return node.kind == "final"
