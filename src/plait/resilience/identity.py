"""Which function a key means: the one of its name, or this very object.

Rule 1. A function that holds what was given to it where it was made (variables of the one
    around it, defaults, what it wraps, arguments of a partial) shares its name with others
    that hold something else. In one process such functions are told apart as objects.
Rule 2. Another process has other objects: there only names tell functions apart, and
    those that a name does not tell apart are refused.
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable, Iterator
from typing import Any, Final
from weakref import WeakKeyDictionary

from plait.resilience.policy import Policy

# Numbers, not addresses: an address comes again when its object has gone.
_NUMBERS: Final[WeakKeyDictionary[Any, int]] = WeakKeyDictionary()
_COUNT: Final = itertools.count(1)
# What the first function of each name was made of; it may have gone since.
_FIRST: Final[dict[tuple[str, str], tuple[Any, Any, Any]]] = {}


def has_own_name(function: Any, name: str) -> bool:
    """Tell at a glance whether `name` can mean no other function than this one."""
    if getattr(function, "__closure__", None) is not None or "<" in name:
        return False
    # An object that is called (a partial, a decorator's) may bear the name of another.
    return hasattr(function, "__code__") and _is_first(function, name)


def _is_first(function: Any, name: str) -> bool:
    """Tell whether no other function was known by this name before this one."""
    code = function.__code__
    known = _FIRST.get((function.__module__, name))
    if known is None:
        known = _FIRST[function.__module__, name] = _made_of(function)
    is_same = known[0] is code and known[1] is function.__defaults__ and known[2] is None
    return is_same or _is_equal(known, _made_of(function))


def _made_of(function: Any) -> tuple[Any, Any, Any]:
    return function.__code__, function.__defaults__, function.__kwdefaults__


def _is_equal(known: tuple[Any, Any, Any], other: tuple[Any, Any, Any]) -> bool:
    """Tell whether two functions are one: a module may have been loaded again."""
    if known[0] != other[0]:
        return False
    try:
        # By `==` alone the defaults 1 and True are one.
        return bool(known[1:] == other[1:]) and repr(known[1:]) == repr(other[1:])
    except Exception:  # of a default that compares to nothing
        return False


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
    held = [one for one in wrapped if not hasattr(one, "__code__") or _holds(one, wrapped)]
    if held or "<lambda>" in name:
        raise TypeError(
            f"{name} may be the name of several functions: it holds variables of the one "
            "around it, or is a lambda, a partial or another object; other processes could "
            "not tell their answers apart: give `key`, a function of the arguments that "
            "names what it holds"
        )


def check_alone(function: Any, name: str) -> None:
    """Refuse a function if its name means another one by now, as it is called.

    Raises:
        TypeError: It does.
    """
    held = _held(sys.modules.get(function.__module__), name)
    owner = list(_wrapped(held))[-1] if held is not None else None
    if getattr(owner, "__qualname__", None) == name and hasattr(owner, "__code__"):
        inner = list(_wrapped(function))[-1]
        is_alone = owner is inner or _is_equal(_made_of(owner), _made_of(inner))
    else:
        is_alone = _is_first(function, name)
    if not is_alone:
        raise TypeError(
            f"{name} is the name of another function of {function.__module__}, too; other "
            "processes could not tell their answers apart: give one of them another name, "
            "or give `key`, a function of the arguments, and `name`"
        )


def _held(module: Any, name: str) -> Any:
    """Return what a module holds under a qualified name; None: nothing."""
    found = module
    for word in name.split("."):
        found = getattr(found, word, None)
    return found


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
