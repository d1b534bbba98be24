"""What a picture says of a scope that runs only sometimes: when it does."""

from __future__ import annotations

from plait.compile.draw.loops import shown
from plait.compile.inside import Inner
from plait.plan import Node


def group_label(node: Node, inner: Inner) -> str:
    """Return the scope's name, and the condition, errors or share that it runs for."""
    when = _when(node, inner.label)
    return f"{inner.label}: {when}" if when else inner.label


def _when(node: Node, name: str) -> str:
    for key in (f"when {name}", f"on {name}"):
        if key in node.templates:
            return shown(node.templates[key])
    words, weights = node.options.get("on"), node.options.get("weights")
    if isinstance(words, dict) and name in words:
        found = words[name]
        return ", ".join(map(str, found)) if isinstance(found, list) else ""
    if isinstance(weights, dict) and name in weights:
        return f"weight {weights[name]:g}"
    following = node.options.get("next")
    if isinstance(following, dict) and following.get(name):
        to = following[name]
        return f"then {', '.join(map(str, to))}" if isinstance(to, list | tuple) else ""
    return ""
