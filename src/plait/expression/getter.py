"""Getters: functions that read a path from the names, as CEL would.

Rule 1. A getter raises KeyError, IndexError or TypeError where CEL would fail, and says
        no more: it is the hot path. `explain` then finds out what was missing.
Rule 2. Nothing but exact types: a key is asked of a dict, an index of a list.

Not here: rendering (plait.expression.template), the CEL library.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple, TypeAlias

from plait.expression.errors import ExpressionError, NoSuchIndex, NoSuchKey, WrongType
from plait.expression.paths import Read, format_path
from plait.model.diagnostic import did_you_mean
from plait.model.json import JsonValue

Names: TypeAlias = Mapping[str, JsonValue]
# Any: what stands below a name is looked into without asking what it is.
Getter: TypeAlias = Callable[[Mapping[str, Any]], Any]

GETTER_ERRORS: Final = (KeyError, IndexError, TypeError)

# How a message calls a value; more is not said about it.
_TYPE_NAMES: Final = {
    bool: "a boolean",
    int: "an integer",
    float: "a double",
    str: "text",
    list: "a list",
    dict: "an object",
    type(None): "null",
}


def getter_of(path: Read) -> Getter:
    """Return a function that reads `path`.

    >>> getter_of(("user", "tags", 1))({"user": {"tags": ["a", "b"]}})
    'b'
    """
    if all(isinstance(step, str) for step in path):
        return _keys_getter([str(step) for step in path])
    return _steps_getter(path)


def _keys_getter(keys: list[str]) -> Getter:
    """A str key of a str, list, number or None is a TypeError: no check is needed."""
    match keys:
        case [a]:
            return lambda names: names[a]
        case [a, b]:
            return lambda names: names[a][b]
        case [a, b, c]:
            return lambda names: names[a][b][c]
        case [a, b, c, d]:
            return lambda names: names[a][b][c][d]
        case _:
            return _steps_getter(tuple(keys))


def _steps_getter(path: Read) -> Getter:
    root, steps = path[0], path[1:]

    def read(names: Mapping[str, Any]) -> Any:
        value = names[str(root)]
        for step in steps:
            # An index of a text would be a character; in CEL it is an error.
            if type(step) is int and type(value) is not list:
                raise TypeError
            value = value[step]
        return value

    return read


def has_getter_of(path: Read) -> Getter:
    """Return a function that tells whether the last key of `path` is there.

    >>> has_getter_of(("user", "name"))({"user": {}})
    False
    """
    above, key = getter_of(path[:-1]), path[-1]

    def has(names: Mapping[str, Any]) -> bool:
        value = above(names)
        if type(value) is not dict:
            raise TypeError
        return key in value

    return has


class Missing(NamedTuple):
    """Why a path cannot be read. `message` begins with the path."""

    error: type[ExpressionError]
    message: str
    path: str


def explain(names: Names, path: Read) -> Missing | None:
    """Return why `path` cannot be read from `names`; None if it can.

    >>> explain({"input": {"name": "Ada"}}, ("input", "nmae")).message
    "input.nmae: no key 'nmae' (did you mean 'name'?)"
    """
    value: Any = dict(names)
    for depth, step in enumerate(path):
        if (missing := explain_step(value, path[: depth + 1])) is not None:
            return missing
        value = value[step]
    return None


def explain_step(value: JsonValue, path: Read) -> Missing | None:
    """Return why the last step of `path` cannot be taken from `value`, if so."""
    step = path[-1]
    if isinstance(value, dict):
        return None if step in value else _no_key(value, path)
    if isinstance(value, list) and isinstance(step, int):
        if 0 <= step < len(value):
            return None
        text = f"no index {step}; the list has {_count(len(value), 'element')}"
        return _missing(NoSuchIndex, path, text)
    kind = _TYPE_NAMES.get(type(value), "no JSON value")
    wanted = f"no index {step}" if isinstance(step, int) else f"no key '{step}'"
    return _missing(WrongType, path, f"{wanted}; {format_path(path[:-1])} is {kind}")


def _no_key(value: dict[str, JsonValue], path: Read) -> Missing:
    key = path[-1]
    what = f"no name '{key}'" if len(path) == 1 else f"no key '{key}'"
    hint = did_you_mean(str(key), value)
    return _missing(NoSuchKey, path, f"{what} ({hint})" if hint else what)


def _missing(error: type[ExpressionError], path: Read, text: str) -> Missing:
    shown = format_path(path)
    return Missing(error, f"{shown}: {text}", shown)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
