"""Async iterator loop: every item of a stream, so many at a time, however long it is."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Final, Generic, Literal, TypeVar, Unpack

from plait.connectors.python import current_call
from plait.drivers.inline import Result
from plait.model.json import JsonObject, JsonValue
from plait.patterns.base import Pattern, Where
from plait.patterns.batch import kept
from plait.patterns.build import call, limits
from plait.patterns.checks import Retry, check_choice, check_count
from plait.patterns.outcome import Outcome

Item = TypeVar("Item")
Out = TypeVar("Out")

_PAGES: Final = "pages"
_PULL: Final = "pull"
_EACH: Final = "items"
_BODY: Final = "body"
_KEPT: Final = "kept"
_FOLD: Final = "fold"
_TAKEN: Final = "(previous == null ? 0 : previous.taken)"
_FAILED: Final = "(previous == null ? 0 : previous.failed)"
_VALUES_MAX: Final = 2
_PAGES_MAX: Final = 1_000_000


@dataclass(frozen=True)
class StreamOutcome(Outcome[Out], Generic[Out]):
    """How a stream was gone through. `output` is what `reduce` made of it.

    Attributes:
        count: How many items were taken; 0 when it failed.
        failure_count: How many of them failed for good.
    """

    count: int
    failure_count: int


class AsyncIteratorLoop(Pattern[Any, Out], Generic[Item, Out]):
    """Calls `body` for every item of a stream. Never more than a page of items is held, and
    no more than `max_concurrency` are under way.

    Args:
        source: Takes what the run is given, and as a second value how many items were taken
            before; returns an async iterator over the items after those. One that takes no
            second value is begun anew after a crash, and what was taken is passed over.
        body: Takes an item; what it returns goes to `reduce`.
        reduce: Takes what it returned last (None at first) and the results of a page, in
            order; returns what it knows now. None: results are not kept.
        page_size: So many items are taken at a time, and recorded.
        max_concurrency: So many are under way at a time.
        on_item_error: `continue`: the others go on. `fail`: the first failure is the run's.
        item_timeout_s, retry, effect: Of `body`, as in `SagaStep`.
        page_timeout_s: How long a page may take to arrive, seconds; 30 by default.
        timeout_s: The whole run, seconds.

    Raises:
        ValueError: A function or a limit is of no use.

    >>> import asyncio
    >>> async def numbers(last: int) -> AsyncIterator[int]:
    ...     for n in range(last):
    ...         yield n
    >>> def square(n: int) -> int:
    ...     return n * n
    >>> def total(before: int | None, page: list[int]) -> int:
    ...     return (before or 0) + sum(page)
    >>> squares = AsyncIteratorLoop[int, int]("squares", numbers, square, reduce=total)
    >>> outcome = asyncio.run(squares.run(1000))
    >>> outcome.output, outcome.count
    (332833500, 1000)
    """

    kind: ClassVar[str] = "async iterator loop"

    def __init__(
        self,
        name: str,
        source: Callable[..., AsyncIterator[Item]],
        body: Callable[[Item], Any],
        *,
        reduce: Callable[[Any, list[Any]], Any] | None = None,
        page_size: int = 100,
        max_concurrency: int = 10,
        on_item_error: Literal["fail", "continue"] = "fail",
        item_timeout_s: float | None = None,
        page_timeout_s: float | None = None,
        timeout_s: float | None = None,
        retry: Retry | int | None = None,
        effect: str = "keyed",
    ) -> None:
        super().__init__(name)
        what = f"{self.kind} '{name}'"
        check_count(f"{what}: page_size", page_size, most=10_000)
        check_count(f"{what}: max_concurrency", max_concurrency, most=1_000)
        check_choice(f"{what}: on_item_error", on_item_error, ("fail", "continue"))
        self._source = _Source(what, source, page_size)
        own = limits(what, timeout_s=item_timeout_s, retry=retry)
        step = {
            **call(_BODY, self._callee(_BODY, body), "${item}"),
            **own,
            "effect": effect,
        }
        pull = self._callee(_PULL, self._source.pull, values=2)
        each: JsonObject = {
            "id": _EACH,
            "type": "foreach",
            "items": f"${{{_PULL}.response.items}}",
            "max_concurrency": max_concurrency,
            "on_item_error": on_item_error,
            "steps": [step],
            "result": f"${{{_BODY}.response}}",
        }
        steps: list[JsonValue] = [
            {
                **call(_PULL, pull, "${input}", f"${{{_TAKEN}}}"),
                **limits(what, timeout_s=page_timeout_s),
            },
            each,
            call(_KEPT, self._callee(_KEPT, kept), f"${{{_EACH}.response}}"),
            self._fold(reduce),
        ]
        self._compile(_document(steps, limits(what, timeout_s=timeout_s)))

    def _fold(self, reduce: Callable[..., Any] | None) -> JsonObject:
        if reduce is None:
            return {"id": _FOLD, "type": "set", "value": None}
        callee = self._callee(_FOLD, reduce, values=2)
        self._adapter = callee.function.returns
        before = "${previous == null ? null : previous.value}"
        return call(_FOLD, callee, before, f"${{{_KEPT}.response}}")

    def _told(self, result: Result) -> StreamOutcome[Out]:
        facts = self._facts(result)
        told: Any = facts["raw"] or {"taken": 0, "failed": 0, "value": None}
        facts["raw"] = told["value"]
        return StreamOutcome(**facts, count=told["taken"], failure_count=told["failed"])

    async def run(self, value: Any, **where: Unpack[Where]) -> StreamOutcome[Out]:
        """See `Pattern.run`."""
        async with self._source:
            outcome = await super().run(value, **where)
            await self._source.end(outcome.execution_id)
        assert isinstance(outcome, StreamOutcome)
        return outcome


def _document(steps: list[JsonValue], own: JsonObject) -> JsonObject:
    result: JsonObject = {
        "taken": f"${{{_TAKEN} + {_PULL}.response.count}}",
        "failed": f"${{{_FAILED} + {_EACH}.response.failure_count}}",
        "value": f"${{{_FOLD}.response}}",
    }
    pages: JsonObject = {
        "id": _PAGES,
        "type": "repeat",
        "order": "sequence",
        "until": f"${{{_PULL}.response.is_last}}",
        "max_iterations": _PAGES_MAX,
        "steps": steps,
        "result": result,
        **own,
    }
    return {"steps": [pages], "output": f"${{{_PAGES}.response.result}}"}


class _Source:
    """The streams of the runs under way, and how far each has been read."""

    def __init__(self, what: str, open_it: Any, page_size: int) -> None:
        if not callable(open_it):
            kind = type(open_it).__name__
            raise ValueError(f"{what}: source: a function is needed, this is a {kind}")
        self._open_it = open_it
        self._takes = len(inspect.signature(open_it).parameters)
        if self._takes > _VALUES_MAX:
            raise ValueError(f"{what}: source: it is called with two values at most")
        self._page_size = page_size
        self._streams: dict[str, tuple[AsyncIterator[Any], int]] = {}
        self._users = 0

    async def __aenter__(self) -> None:
        self._users += 1

    async def __aexit__(self, *_: object) -> None:
        """Close what nobody reads any more: a run may have been given up in the middle."""
        self._users -= 1
        if not self._users:
            left, self._streams = self._streams, {}
            for stream, _position in left.values():
                await _close(stream)

    async def end(self, run: str) -> None:
        """Close the stream of a run that has ended, maybe in the middle."""
        stream, _position = self._streams.pop(run, (None, 0))
        if stream is not None:
            await _close(stream)

    async def pull(self, value: Any, taken: int) -> JsonObject:
        """Return the page after `taken` items."""
        run = current_call().execution_id
        stream, position = self._streams.pop(run, (None, -1))
        if stream is None or position != taken:
            # After a crash, or a page that was lost on the way.
            stream = await self._opened(value, taken)
        page: list[JsonValue] = []
        is_last = False
        while len(page) < self._page_size and not is_last:
            try:
                page.append(await anext(stream))
            except StopAsyncIteration:
                is_last = True
        if is_last:
            await _close(stream)
        else:
            self._streams[run] = stream, taken + len(page)
        return {"items": page, "count": len(page), "is_last": is_last}

    async def _opened(self, value: Any, taken: int) -> AsyncIterator[Any]:
        """Return a stream that goes on after `taken` items."""
        given = [value, taken]
        stream: AsyncIterator[Any] = aiter(self._open_it(*given[: self._takes]))
        if self._takes < _VALUES_MAX:
            for _ in range(taken):
                await anext(stream)
        return stream


async def _close(stream: AsyncIterator[Any]) -> None:
    close = getattr(stream, "aclose", None)
    if close is not None:
        await close()
