"""Differences between two texts of a workflow: as lines, and step by step."""

from __future__ import annotations

import difflib
from typing import Any, Final

from plait.document.source import SourceErrors, read_source
from plait.model.json import JsonObject, JsonValue

_TEXT_MAX: Final = 100_000
_CHANGES_MAX: Final = 200


def difference(old: str, new: str, name: str) -> JsonObject:
    """Return `{text, changes}`: a unified diff, and what became of which step.

    >>> a = "name: w\\nsteps:\\n  - {id: a, type: set, value: 1}\\n"
    >>> difference(a, a.replace("1", "2"), "w")["changes"]
    [{'change': 'changed', 'step': 'a', 'keys': ['value']}]
    """
    lines = difflib.unified_diff(
        old.splitlines(keepends=True),
        new.splitlines(keepends=True),
        f"{name} (before)",
        f"{name} (after)",
    )
    text = "".join(line if line.endswith("\n") else f"{line}\n" for line in lines)
    changes: list[JsonValue] = list(_changes(_values(old), _values(new))[:_CHANGES_MAX])
    return {"text": text[:_TEXT_MAX], "changes": changes}


def _values(text: str) -> Any:
    try:
        return read_source(text.encode(), name="draft.yaml").value
    except SourceErrors:
        return {}


def _changes(old: Any, new: Any) -> list[JsonObject]:
    before, after = _steps(old), _steps(new)
    gone = [name for name in before if name not in after]
    found: list[JsonObject] = [{"change": "removed", "step": name} for name in gone]
    for name, step in after.items():
        if name not in before:
            found.append({"change": "added", "step": name})
        elif before[name] != step:
            found.append(
                {"change": "changed", "step": name, "keys": _keys(before[name], step)}
            )
    top = [key for key in _keys(old, new) if key not in ("steps", "states")]
    if top:
        found.append({"change": "changed", "step": None, "keys": top})
    return found


def _keys(old: Any, new: Any) -> list[JsonValue]:
    both = dict.fromkeys([*old, *new])
    return [key for key in both if old.get(key) != new.get(key)]


def _steps(value: Any) -> dict[str, Any]:
    """Return every step, at any depth, by its id; without the steps inside it."""
    found: dict[str, Any] = {}
    if isinstance(value, list):
        for inner in value:
            found.update(_steps(inner))
    elif isinstance(value, dict):
        if isinstance(value.get("id"), str) and "type" in value:
            found[value["id"]] = {
                key: inner for key, inner in value.items() if not _holds_steps(inner)
            }
        for inner in value.values():
            found.update(_steps(inner))
    return found


def _holds_steps(value: Any) -> bool:
    if isinstance(value, list):
        return any(_holds_steps(one) for one in value)
    if isinstance(value, dict):
        return ("id" in value and "type" in value) or any(
            _holds_steps(one) for one in value.values()
        )
    return False
