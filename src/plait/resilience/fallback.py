"""Fallback: what answers when the function fails.

Rule. Only what `on` names is answered for. Cancellation never is.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from inspect import isawaitable
from typing import Any, ParamSpec, TypeVar, cast

from plait.resilience.matching import ErrorWords, matcher
from plait.resilience.policy import SyncPolicy, finished

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class FallbackUsed:
    """A fallback answered.

    Attributes:
        name: The policy's name.
        error: What it answered for: of the function, or of the answer before.
        position: Which of the answers it was, from 0.
    """

    name: str
    error: Exception
    position: int


class Fallback(SyncPolicy):
    """Answers in the function's place when that fails: a policy, a decorator.

    The answers are tried in order. A callable is called with the error, and awaited where
    it asks for that; anything else is the answer itself, the same object each time. An
    answer that fails with an error that `on` names makes way for the next; the last one's
    error is raised.

    >>> from asyncio import run
    >>> async def price(item):
    ...     raise ConnectionError("no route")
    >>> cached = Fallback(lambda error: 1 / 0, 9.99, on=(ConnectionError, ArithmeticError))
    >>> run(cached.call(price, "tea"))
    9.99
    """

    __slots__ = ("_answers", "_matches", "_on_event", "name", "used")

    def __init__(
        self,
        *answers: Any,
        on: ErrorWords = Exception,
        name: str = "",
        on_event: Callable[[FallbackUsed], None] | None = None,
    ) -> None:
        """Remember the answers.

        Args:
            answers: At least one; values, or functions of the error. They answer with what
                the protected function would return; the type checker takes their word.
            on: The errors that are answered for; see `plait.resilience.matching`.
            name: For events and metrics.
            on_event: Called after an answer was given.

        Raises:
            ValueError: There is no answer, or `on` names no errors.
        """
        if not answers:
            raise ValueError("answers is empty; give a value or a function of the error")
        self._answers = answers
        self._matches = matcher("on", on)
        self._on_event = on_event
        self.name = name
        self.used = 0

    async def call(
        self, function: Callable[P, Awaitable[T]], /, *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Call `function`; return what it returns, or what answers for it."""
        try:
            return await function(*args, **kwargs)
        except Exception as error:
            return cast("T", await self.answer(error))

    def call_sync(
        self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Call `function`; return what it returns, or what answers for it."""
        try:
            return finished(function(*args, **kwargs))
        except Exception as error:
            return cast("T", self.answer_sync(error))

    async def answer(self, error: Exception) -> Any:
        """Return what answers for `error`; raise it when nothing does."""
        position = 0
        while position < len(self._answers) and self._matches(error):
            try:
                answer = _asked(self._answers[position], error)
                value = await answer if isawaitable(answer) else answer
            except Exception as next_error:
                error, position = next_error, position + 1
            else:
                return self._given(value, error, position)
        raise error

    def answer_sync(self, error: Exception) -> Any:
        """Return what answers for `error` without waiting; raise it when nothing does."""
        position = 0
        while position < len(self._answers) and self._matches(error):
            try:
                value = finished(_asked(self._answers[position], error))
            except Exception as next_error:
                error, position = next_error, position + 1
            else:
                return self._given(value, error, position)
        raise error

    def _given(self, value: Any, error: Exception, position: int) -> Any:
        self.used += 1
        if self._on_event is not None:
            self._on_event(FallbackUsed(self.name, error, position))
        return value


def _asked(answer: Any, error: Exception) -> Coroutine[Any, Any, Any] | Any:
    return answer(error) if callable(answer) else answer
