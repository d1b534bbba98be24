"""The graph as Mermaid text, which GitHub and many wikis draw by themselves.

Rule. Names in the text are ours (`n0`, `n1`, …); what the document says stands only in
quoted labels, with every character that Mermaid or HTML could take for its own escaped.
"""

from __future__ import annotations

from collections.abc import Iterator

from plait.compile.draw.escape import mermaid_text, mermaid_title
from plait.compile.draw.graph import Graph, GraphEdge, GraphNode, GraphScope
from plait.compile.draw.state_texts import states_mermaid

_READS_SHOWN_MAX = 2


def draw_mermaid(graph: Graph) -> str:
    """Return the graph as a Mermaid flowchart, or as a state diagram."""
    if graph.initial:
        return states_mermaid(graph)
    names = {node.id: f"n{index}" for index, (node, _) in enumerate(graph.nodes())}
    lines = ["---", f"title: {mermaid_title(graph.title)}", "---", "flowchart TD"]
    lines.extend(_scope(graph.root, names, "    "))
    lines.extend(f"    {_edge(edge, names)}" for edge in graph.edges())
    lines.extend(
        f"    {names[edge.source]} -. goto .-> {names[edge.target]}"
        for edge in graph.jumps()
    )
    lines.extend(_handovers(graph, names))
    conditional = [names[node.id] for node, _ in graph.nodes() if node.condition]
    if conditional:
        lines.append("    classDef conditional stroke-dasharray: 5 4")
        lines.append(f"    class {','.join(conditional)} conditional")
    return "\n".join(lines) + "\n"


def _scope(scope: GraphScope, names: dict[str, str], margin: str) -> Iterator[str]:
    for node in scope.nodes:
        if node.groups:
            yield from _container(node, names, margin)
        else:
            yield f'{margin}{names[node.id]}["{_label(node)}"]'


def _container(node: GraphNode, names: dict[str, str], margin: str) -> Iterator[str]:
    name = names[node.id]
    # One line: Mermaid leaves no room for more above what is inside.
    yield f'{margin}subgraph {name}["{_label(node, " · ")}"]'
    for index, group in enumerate(node.groups):
        if not group.label:
            yield from _scope(group.graph, names, margin + "    ")
            continue
        yield f'{margin}    subgraph {name}g{index}["{mermaid_text(group.label)}"]'
        yield from _scope(group.graph, names, margin + "        ")
        yield f"{margin}    end"
    yield f"{margin}end"


def _handovers(graph: Graph, names: dict[str, str]) -> Iterator[str]:
    for node, _ in graph.nodes():
        own = {
            group.id: f"{names[node.id]}g{index}" for index, group in enumerate(node.groups)
        }
        for edge in node.handovers:
            yield f"    {own[edge.source]} --> {own[edge.target]}"


def _label(node: GraphNode, between: str = "<br/>") -> str:
    parts = [f"<b>{mermaid_text(node.label)}</b>", mermaid_text(node.kind)]
    if node.condition:
        parts.append(f"<i>if {mermaid_text(node.condition)}</i>")
    below = (node.notes, node.policies)
    parts.extend(mermaid_text(", ".join(line)) for line in below if line)
    return between.join(parts)


def _edge(edge: GraphEdge, names: dict[str, str]) -> str:
    source, target = names[edge.source], names[edge.target]
    if edge.reasons[0].why == "depends_on":
        return f"{source} -.-> {target}"
    reads = edge.reads
    if not reads:
        return f"{source} --> {target}"
    shown = ", ".join(reads[:_READS_SHOWN_MAX])
    more = len(reads) - _READS_SHOWN_MAX
    text = mermaid_text(shown + (f" +{more}" if more > 0 else ""))
    return f'{source} -->|"{text}"| {target}'
