"""Which function a key means: the one of its name, or this very object.

Rule 1. A function that holds what was given to it where it was made (variables of the one
    around it, defaults, what it wraps) shares its name with others that hold something
    else. In one process such functions are told apart as objects.
Rule 2. Another process has other objects: there only names tell functions apart, and
    those that a name does not tell apart are refused.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any, Final
from weakref import WeakKeyDictionary

from plait.resilience.policy import Policy

# Numbers, not addresses: an address comes again when its object has gone.
_NUMBERS: Final[WeakKeyDictionary[Any, int]] = WeakKeyDictionary()
_COUNT: Final = itertools.count(1)


def has_own_name(function: Any, name: str) -> bool:
    """Tell at a glance whether `name` can mean no other function than this one."""
    return getattr(function, "__closure__", None) is None and "<" not in name


def numbered(function: Any, name: str) -> str:
    """Return a name that no other object of this process has, or has had.

    Raises:
        TypeError: The function cannot be told from others.
    """
    try:
        return f"{name}#{_NUMBERS.setdefault(function, next(_COUNT))}"
    except TypeError:
        message = (
            f"{name} cannot be told from others; give `key`, a function of the arguments"
        )
        raise TypeError(message) from None


def check_named(function: Any) -> None:
    """Refuse a function whose name could mean another one, in another process or here.

    Raises:
        TypeError: It holds what its name does not tell.
    """
    name = getattr(function, "__qualname__", None)
    if name is None:
        return
    wrapped = tuple(_wrapped(function))
    held = [one for one in wrapped if _holds(one, wrapped)]
    if held or "<lambda>" in name:
        raise TypeError(
            f"{name} may be the name of several functions: it holds variables of the one "
            "around it, or is a lambda; other processes could not tell their answers "
            "apart: give `key`, a function of the arguments that names what it holds"
        )


def seen_by(policy: Policy, function: Any) -> Any:
    """Return what `policy` protects when `function` is called; else the function."""
    seen = function
    for one in _wrapped(function):
        # Wrappers of others may carry a copy of the mark: the innermost is the policy's.
        marks = getattr(one, "__policies__", ())
        if any(mark is policy for mark in marks):
            seen = one.__wrapped__
    return seen


def _wrapped(function: Any) -> Iterator[Any]:
    """Yield the function, what it wraps, what that wraps, and so on."""
    known = set[int]()
    while function is not None and id(function) not in known:
        known.add(id(function))
        yield function
        function = getattr(function, "__wrapped__", None)


def _holds(function: Callable[..., Any], wrapped: tuple[Any, ...]) -> bool:
    """Tell whether a function holds anything but policies and what it wraps."""
    is_local = "<locals>" in getattr(function, "__qualname__", "")
    has_defaults = getattr(function, "__defaults__", None) or getattr(
        function, "__kwdefaults__", None
    )
    if is_local and has_defaults:
        return True
    for cell in getattr(function, "__closure__", None) or ():
        try:
            content = cell.cell_contents
        except ValueError:  # not set yet
            return True
        is_known = any(content is one for one in wrapped)
        if not (is_known or isinstance(content, Policy)):
            return True
    return False
