"""Keys of calls: what makes two calls the same one, for caches, guards and collapsing.

Rule 1. A key names the function and its arguments; two different calls never share one.
    What cannot be told apart is refused, with the remedy: a key function.
Rule 2. In a pipeline the key is that of the protected function, not of the next policy.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Final, ParamSpec, TypeAlias, TypeVar

from plait.resilience.identity import check_alone, check_named, has_own_name, numbered
from plait.resilience.policy import Policy

P = ParamSpec("P")
T = TypeVar("T")

KeyFunction: TypeAlias = Callable[..., Any]
"""Takes a call's arguments; returns a text, a number, or a tuple of them; None: no key."""

# Of exactly these types `repr` is one text for each value, and no two share one.
_PLAIN: Final = frozenset({str, int, float, bool, bytes, type(None)})


class KeyedPolicy(Policy):
    """A policy that knows calls by their keys."""

    __slots__ = ()

    def call(
        self, function: Callable[P, Awaitable[T]], /, *args: P.args, **kwargs: P.kwargs
    ) -> Coroutine[Any, Any, T]:
        """Call `function`, or answer for it."""
        # No coroutine of its own: it would cost a fifth of a cache's hit.
        return self.call_inside(0, function, *args, **kwargs)

    @abstractmethod
    async def call_inside(
        self,
        depth: int,
        function: Callable[..., Awaitable[T]],
        /,
        *args: Any,
        **kwargs: Any,
    ) -> T:
        """Do as `call` does, where a pipeline has `depth` policies further in.

        The first `depth` of `args` are then their `call`s and the function itself.
        """


def call_key(
    key: KeyFunction | None,
    depth: int,
    function: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    *,
    is_shared: bool = False,
) -> str | None:
    """Return the key of a call as text; None: `key` gives it none.

    Args:
        is_shared: True when other processes make keys of the same kind: then no two
            functions of one name are told apart.

    Raises:
        TypeError: The call cannot be told from others.

    >>> async def price(sku): ...
    >>> call_key(None, 0, price, ("A-1",), {})
    "plait.resilience.keys.price('A-1',)"
    >>> call_key(lambda sku: sku.lower(), 0, price, ("A-1",), {})
    "plait.resilience.keys.price'a-1'"
    """
    if depth:
        function, args = args[depth - 1], args[depth:]
    name = getattr(function, "__qualname__", None)
    if key is None:
        if name is None or getattr(function, "__self__", None) is not None:
            raise TypeError(
                f"{name or function!r} belongs to an object that its key would not name; "
                "give `key`, a function of the arguments"
            )
        if is_shared:
            check_named(function)
            check_alone(function, name)
        elif not has_own_name(function, name):
            name = numbered(function, name)
        made: Any = args
        # A list is no argument that makes a key: no call without names has this text.
        named = f"[{text_of(tuple(sorted(kwargs.items())))}]" if kwargs else ""
    else:
        made = key(*args, **kwargs)
        if made is None:
            return None
        name, named = name or type(function).__qualname__, ""
    return f"{function.__module__}.{name}{text_of(made)}{named}"


def text_of(value: Any) -> str:
    """Return one text for each value of plain types, and tuples of them.

    Raises:
        TypeError: `value` is of another type.
    """
    kind = type(value)
    if kind is tuple:
        for part in value:
            if type(part) not in _PLAIN:
                return f"({','.join(map(text_of, value))},)"
    elif kind not in _PLAIN:
        raise TypeError(
            f"a {kind.__qualname__} makes no key; give `key`, a function of the arguments "
            "that returns texts and numbers"
        )
    return repr(value)
