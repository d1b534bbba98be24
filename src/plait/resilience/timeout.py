"""Timeout: a function that takes longer than it may is cancelled.

Rule. Only the time that ran out here becomes `TimedOut`; a cancellation from outside, and
a `TimeoutError` that the function raises itself, pass through as they are.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import ParamSpec, TypeVar

from plait.resilience.checks import check_seconds
from plait.resilience.errors import TimedOut
from plait.resilience.policy import Policy, Scopes

P = ParamSpec("P")
T = TypeVar("T")


class Timeout(Policy):
    """At most so many seconds for each call: a policy, a decorator, `async with`.

    The function is cancelled, and what it does with that counts towards nothing: `TimedOut`
    is raised when it has ended. One that swallows the cancellation and returns a value late
    has returned a value.

    >>> limit = Timeout(0.01, name="prices")
    >>> asyncio.run(limit.call(asyncio.sleep, 60))
    Traceback (most recent call last):
    plait.resilience.errors.TimedOut: prices took longer than 0.01 s
    """

    __slots__ = ("_scopes", "name", "timeout_s", "timeouts")

    def __init__(self, timeout_s: float, *, name: str = "") -> None:
        """Remember the limit.

        Args:
            timeout_s: Seconds, more than 0.
            name: For messages and metrics.

        Raises:
            ValueError: `timeout_s` is no such time.
        """
        check_seconds("timeout_s", timeout_s)
        self.timeout_s = timeout_s
        self.name = name
        self.timeouts = 0
        self._scopes: Scopes[asyncio.Timeout] = Scopes()

    async def call(
        self, function: Callable[P, Awaitable[T]], /, *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Call `function` and return what it returns in time.

        Raises:
            TimedOut: It took longer.
        """
        scope = asyncio.timeout(self.timeout_s)
        try:
            async with scope:
                return await function(*args, **kwargs)
        except TimeoutError as error:
            if not self._ran_out(scope, error):
                raise
            raise self._timed_out() from error.__cause__

    async def __aenter__(self) -> None:
        scope = asyncio.timeout(self.timeout_s)
        await scope.__aenter__()
        self._scopes.push(scope)

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        scope = self._scopes.pop()
        try:
            await scope.__aexit__(kind, error, trace)
        except TimeoutError as raised:
            if not self._ran_out(scope, raised):
                raise
            raise self._timed_out() from raised.__cause__

    def _ran_out(self, scope: asyncio.Timeout, error: TimeoutError) -> bool:
        """Tell whether `error` is what `scope` made of its own time's end."""
        # asyncio raises a bare TimeoutError from the cancellation that it sent; one of the
        # function's own may come in the same turn of the loop.
        bare = type(error) is TimeoutError
        caused = isinstance(error.__cause__, asyncio.CancelledError)
        return bare and caused and scope.expired()

    def _timed_out(self) -> TimedOut:
        self.timeouts += 1
        return TimedOut(
            f"{self.name or 'the call'} took longer than {self.timeout_s:g} s",
            name=self.name,
        )
