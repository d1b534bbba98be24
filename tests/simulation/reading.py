"""Templates, read by hand, for the reference: paths, and a path beside a literal."""

from __future__ import annotations

import json
import re
from typing import Any

Json = Any


class Unreadable(Exception):
    """An expression has no value."""


def render(value: Json, names: dict[str, Json]) -> Json:
    """Return `value` with every ${…} in it replaced."""
    if isinstance(value, dict):
        return {key: render(inner, names) for key, inner in value.items()}
    if isinstance(value, list):
        return [render(inner, names) for inner in value]
    if not isinstance(value, str):
        return value
    whole = re.fullmatch(r"\$\{([^}]*)\}", value)
    if whole:
        return evaluate(whole.group(1), names)
    parts = re.split(r"(\$\$\{|\$\{[^}]*\})", value)
    return "".join(_part(part, names) for part in parts)


def _part(part: str, names: dict[str, Json]) -> str:
    if part == "$${":
        return "${"
    if part.startswith("${"):
        return str(evaluate(part[2:-1], names))
    return part


def truth(value: Json, names: dict[str, Json]) -> bool:
    rendered = render(value, names)
    if not isinstance(rendered, bool):
        raise Unreadable(f"{value} is no bool")
    return rendered


def evaluate(expression: str, names: dict[str, Json]) -> Json:
    """Evaluate `path`, `path == literal` or `path < literal`: all that the tests write."""
    left, less, right = expression.partition(" < ")
    if less:
        return bool(evaluate(left, names) < json.loads(right))
    left, equals, right = expression.partition(" == ")
    if right.startswith("input."):
        return evaluate(left, names) == evaluate(right, names)
    value: Json = names
    for key in left.strip().split("."):
        if not isinstance(value, dict) or key not in value:
            raise Unreadable(expression)
        value = value[key]
    return value == json.loads(right.replace("'", '"')) if equals else value
