"""The graph as Mermaid text, which GitHub and many wikis draw by themselves.

Rule. Names in the text are ours (`n0`, `n1`, …); what the document says stands only in
quoted labels, with every character that Mermaid or HTML could take for its own escaped.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from plait.compile.draw.graph import Graph, GraphEdge, GraphNode, GraphScope

_READS_SHOWN_MAX = 2
_TEXT_LENGTH_MAX = 60
# Letters, digits, spaces and harmless signs stay; all else becomes a character code.
_UNSAFE = re.compile(r"[^\w .,:/()?!=+*%|~'\u2026\u00b7-]")


def draw_mermaid(graph: Graph) -> str:
    """Return the graph as a Mermaid flowchart."""
    names = {node.id: f"n{index}" for index, (node, _) in enumerate(graph.nodes())}
    lines = ["---", f"title: {_title(graph.title)}", "---", "flowchart TD"]
    lines.extend(_scope(graph.root, names, "    "))
    lines.extend(f"    {_edge(edge, names)}" for edge in graph.edges())
    lines.extend(
        f"    {names[edge.source]} -. goto .-> {names[edge.target]}"
        for edge in graph.jumps()
    )
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
        yield f'{margin}    subgraph {name}g{index}["{_escape(group.label)}"]'
        yield from _scope(group.graph, names, margin + "        ")
        yield f"{margin}    end"
    yield f"{margin}end"


def _label(node: GraphNode, between: str = "<br/>") -> str:
    parts = [f"<b>{_escape(node.label)}</b>", _escape(node.kind)]
    if node.condition:
        parts.append(f"<i>if {_escape(node.condition)}</i>")
    if node.notes:
        parts.append(_escape(", ".join(node.notes)))
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
    text = _escape(shown + (f" +{more}" if more > 0 else ""))
    return f'{source} -->|"{text}"| {target}'


def _escape(text: str) -> str:
    """Return `text` for a quoted label.

    >>> _escape('a < "b"')
    'a #60; #34;b#34;'
    """
    if len(text) > _TEXT_LENGTH_MAX:
        text = text[: _TEXT_LENGTH_MAX - 1] + "…"
    return _UNSAFE.sub(lambda match: f"#{ord(match[0])};", text)


def _title(text: str) -> str:
    """Return `text` as a YAML string in single quotes."""
    return "'" + text.replace("'", "''") + "'"
