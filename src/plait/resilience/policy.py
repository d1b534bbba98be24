"""What all policies have in common: `await policy.call(function, …)`, and `@policy`.

Rule. A policy keeps its own state only; one object protects any number of functions.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Coroutine
from types import CoroutineType
from typing import Any, Generic, ParamSpec, TypeVar, cast, overload

P = ParamSpec("P")
T = TypeVar("T")
S = TypeVar("S")


class Policy(ABC):
    """A policy around calls of coroutine functions."""

    __slots__ = ()

    @abstractmethod
    async def call(
        self, function: Callable[P, Awaitable[T]], /, *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Call `function` under this policy; return what it returns."""

    def check(self, function: Callable[..., Any]) -> None:  # noqa: B027  # none by default
        """Refuse a function that this policy cannot protect, when it is decorated.

        Raises:
            TypeError: It is such a one.
        """

    def policies(self) -> tuple[Any, ...]:
        """Return this policy, and those that it is made of."""
        return (self,)

    def __call__(
        self, function: Callable[P, Awaitable[T]]
    ) -> Callable[P, Coroutine[Any, Any, T]]:
        """Return `function` under this policy: `@policy`."""
        if not is_async(function):
            kind = type(self).__name__
            name = getattr(function, "__qualname__", repr(function))
            raise TypeError(f"{kind} protects coroutine functions; {name} is none")
        return protected(self, function)


class SyncPolicy(Policy):
    """A policy around calls of functions that wait, and of functions that do not."""

    __slots__ = ()

    @abstractmethod
    def call_sync(
        self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Call `function`, which is no coroutine function, under this policy."""

    @overload  # type: ignore[override]
    def __call__(
        self, function: Callable[P, Coroutine[Any, Any, T]]
    ) -> Callable[P, Coroutine[Any, Any, T]]: ...
    @overload
    def __call__(self, function: Callable[P, T]) -> Callable[P, T]: ...
    def __call__(self, function: Callable[P, Any]) -> Callable[P, Any]:
        """Return `function` under this policy: `@policy`."""
        if is_async(function):
            return protected(self, function)
        if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
            name = getattr(function, "__qualname__", repr(function))
            message = f"{type(self).__name__} cannot protect the generator {name}"
            raise TypeError(message)

        @functools.wraps(function)
        def wrapped(*args: P.args, **kwargs: P.kwargs) -> Any:
            return self.call_sync(function, *args, **kwargs)

        return wrapped


def protected(
    policy: Policy, function: Callable[P, Awaitable[T]]
) -> Callable[P, Coroutine[Any, Any, T]]:
    """Return a coroutine function that calls `function` under `policy`."""
    policy.check(function)

    @functools.wraps(function)
    async def wrapped(*args: P.args, **kwargs: P.kwargs) -> T:
        return await policy.call(function, *args, **kwargs)

    # Whoever is given the decorated function finds out what the policy knows it by.
    wrapped.__policies__ = policy.policies()  # type: ignore[attr-defined]
    return wrapped


def is_async(function: Callable[..., Any]) -> bool:
    """Tell whether calling `function` gives a coroutine."""
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(
        getattr(function, "__call__", None)  # noqa: B004
    )


def finished(result: T) -> T:
    """Return `result` of a function that was called as one that does not wait.

    Raises:
        TypeError: It is a coroutine: nothing has run yet, so nothing was protected.
    """
    if isinstance(result, CoroutineType):
        result.close()
        raise TypeError("the function gave a coroutine; use `await policy.call(…)`")
    return result


class Scopes(Generic[S]):
    """What `async with policy:` remembers until its end, for each task by itself."""

    __slots__ = ("_open",)

    def __init__(self) -> None:
        self._open: dict[asyncio.Task[Any], list[S]] = {}

    def push(self, entry: S) -> None:
        """Remember `entry` as the running task's innermost one."""
        self._open.setdefault(_task(), []).append(entry)

    def pop(self) -> S:
        """Forget the running task's innermost entry, and return it."""
        task = _task()
        entries = self._open[task]
        entry = entries.pop()
        if not entries:
            del self._open[task]
        return entry


def _task() -> asyncio.Task[Any]:
    return cast("asyncio.Task[Any]", asyncio.current_task())
