"""How two versions of a workflow differ: as text, and step by step.

Steps are found by their shape, not by the catalogue: a version is compared also when this
gateway lacks what it needs.

Not here: which versions there are (plait.operations.deploying.deployments).
"""

from __future__ import annotations

from collections.abc import Mapping
from difflib import unified_diff
from typing import Final, TypeAlias, TypeGuard

from plait.model.json import JsonObject, JsonValue

_CONTEXT_LINES: Final = 3
# Between a step and those inside it; the names of branches and cases stand behind.
_PASSED_OVER: Final = frozenset({"steps", "branches", "cases"})
_INNER: Final = ("fallback", "compensate")
_ORDER: Final = "steps"

# What is compared, by kind (`key`, `state`, `step`, `steps`) and path.
_Parts: TypeAlias = "dict[tuple[str, str], JsonValue]"


def text_difference(old: str, new: str, old_name: str, new_name: str) -> str:
    """Return the unified difference of two texts; empty when they are equal.

    >>> print(text_difference("a: 1\\n", "a: 2\\n", "one", "two"), end="")
    --- one
    +++ two
    @@ -1 +1 @@
    -a: 1
    +a: 2
    """
    lines = unified_diff(
        _lines(old), _lines(new), old_name, new_name, n=_CONTEXT_LINES, lineterm="\n"
    )
    return "".join(_whole(line) for line in lines)


def _lines(text: str) -> list[str]:
    """Not `splitlines`: it takes a form feed for an end, and forgets which end it was."""
    *lines, last = text.split("\n")
    return [f"{line}\n" for line in lines] + ([last] if last else [])


def _whole(line: str) -> str:
    return line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n"


def changes_between(
    old: Mapping[str, JsonValue], new: Mapping[str, JsonValue]
) -> list[JsonObject]:
    """Return what was done to steps, states and the document's other keys.

    Args:
        old, new: The documents' values.

    Returns:
        `{kind, path, change}` each: a `step`, `state` or `key` was `added`, `removed` or
        `changed` (then with `keys`); of `steps` the order was `reordered`. A step's path is
        made of ids: `fan/left/charge`.

    >>> one = {"steps": [{"id": "a", "type": "set", "value": 1}]}
    >>> two = {"steps": [{"id": "a", "type": "set", "value": 2}]}
    >>> changes_between(one, two)
    [{'kind': 'step', 'path': 'a', 'change': 'changed', 'keys': ['value']}]
    """
    before, after = _parts(old), _parts(new)
    found: list[JsonObject] = []
    for part in [*before, *(part for part in after if part not in before)]:
        told = _change(part[0], before.get(part), after.get(part))
        if told is not None:
            found.append({"kind": part[0], "path": part[1], **told})
    return found


def _change(kind: str, old: JsonValue, new: JsonValue) -> JsonObject | None:
    if kind == _ORDER:
        return {"change": "reordered"} if _is_reordered(old, new) else None
    if old == new:
        return None
    if old is None:
        return {"change": "added"}
    if new is None:
        return {"change": "removed"}
    return {"change": "changed", "keys": [*_changed_keys(old, new)]}


def _is_reordered(old: JsonValue, new: JsonValue) -> bool:
    if not isinstance(old, list) or not isinstance(new, list):
        return False
    return [one for one in old if one in new] != [one for one in new if one in old]


def _changed_keys(old: JsonValue, new: JsonValue) -> list[str]:
    if not isinstance(old, dict) or not isinstance(new, dict):
        return []
    both = {**old, **new}
    return [key for key in both if _entry(old, key) != _entry(new, key)]


def _entry(value: JsonObject, key: str) -> tuple[bool, JsonValue]:
    return key in value, value.get(key)


def _parts(document: Mapping[str, JsonValue]) -> _Parts:
    parts: _Parts = {}
    for key, value in document.items():
        if key == "states" and isinstance(value, dict):
            for name, state in value.items():
                path = f"states/{name}"
                parts["state", path] = _outside(state, path, parts)
        else:
            path = "" if key in _PASSED_OVER else key
            # A list: what is null is there as well.
            own = _outside(value, path, parts)
            if not _are_steps(value):
                parts["key", key] = [own]
    return parts


def _outside(value: JsonValue, path: str, parts: _Parts) -> JsonValue:
    """Return `value` without the steps in it; they become parts of their own."""
    if isinstance(value, dict):
        return {key: _outside_key(key, inner, path, parts) for key, inner in value.items()}
    if _are_steps(value):
        parts[_ORDER, path or _ORDER] = [one["id"] for one in value]
        for one in value:
            _add_step(one, _below(path, str(one["id"])), parts)
        return _ORDER
    if isinstance(value, list):
        # Cases and catches have no names but their places.
        pairs = enumerate(value)
        return [_outside(one, _below(path, str(index)), parts) for index, one in pairs]
    return value


def _outside_key(key: str, value: JsonValue, path: str, parts: _Parts) -> JsonValue:
    if key in _INNER and isinstance(value, dict) and isinstance(value.get("type"), str):
        _add_step(value, f"{path}.{key}", parts)
        return key
    return _outside(value, path if key in _PASSED_OVER else _below(path, key), parts)


def _add_step(step: JsonObject, path: str, parts: _Parts) -> None:
    parts["step", path] = None  # before those inside it
    parts["step", path] = _outside(step, path, parts)


def _below(path: str, name: str) -> str:
    return f"{path}/{name}" if path else name


def _are_steps(value: JsonValue) -> TypeGuard[list[JsonObject]]:
    return (
        isinstance(value, list)
        and bool(value)
        and all(
            isinstance(one, dict)
            and isinstance(one.get("id"), str)
            and isinstance(one.get("type"), str)
            for one in value
        )
    )
