"""Batch processor: one function for each of many items, so many at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final, Generic, Literal, TypeVar, Unpack

from plait.drivers.inline import Result
from plait.model.json import JsonObject, JsonValue
from plait.patterns.base import Pattern, Where
from plait.patterns.build import call, limits
from plait.patterns.checks import (
    Retry,
    check_choice,
    check_count,
    check_seconds,
    duration,
)
from plait.patterns.outcome import Outcome

Item = TypeVar("Item")
Out = TypeVar("Out")

_EACH: Final = "items"
_PROCESS: Final = "process"
_RESULTS: Final = "results"
_AGGREGATE: Final = "aggregate"


@dataclass(frozen=True, slots=True)
class ItemFailure:
    """An item that failed for good: its number from 0, itself, and its error as JSON."""

    index: int
    item: Any
    error: Any


@dataclass(frozen=True)
class BatchOutcome(Outcome[Out], Generic[Out]):
    """How a batch ended.

    Attributes:
        results: What each item yielded, as JSON, in the order of the items; None for one
            that failed.
        failures: The items that failed.
        success_rate: Of those that ran; 1.0 when none did.
    """

    results: Sequence[Any]
    failures: Sequence[ItemFailure]
    total: int
    success_count: int
    success_rate: float


class BatchProcessor(Pattern[Iterable[Item], Out]):
    """Calls `process` for each item. The output is the list of what the items yielded that
    did not fail, or what `aggregate` makes of it.

    Args:
        process: Takes an item, and as a second value its number, from 0.
        aggregate: Takes the list of results.
        max_concurrency: How many items are under way at a time.
        batch_size: So many make a batch; the next begins when all of one are over.
        batch_delay_s: Wait between two batches, seconds.
        on_item_error: `continue`: the others go on. `fail`: the first failure is the run's.
        item_timeout_s: Each item, all its attempts together, seconds.
        retry, effect: Of `process`, as in `SagaStep`.
        timeout_s: The whole run, seconds.

    Raises:
        ValueError: A function or a limit is of no use; a delay without batches.

    >>> import asyncio
    >>> def double(n: int) -> int:
    ...     return 2 * n
    >>> batch = BatchProcessor[int, int]("double", double, batch_size=2, aggregate=sum)
    >>> asyncio.run(batch.run(range(5))).output
    20
    """

    kind: ClassVar[str] = "batch"

    def __init__(
        self,
        name: str,
        process: Callable[..., Any],
        *,
        aggregate: Callable[[list[Any]], Any] | None = None,
        max_concurrency: int = 10,
        batch_size: int | None = None,
        batch_delay_s: float | None = None,
        on_item_error: Literal["fail", "continue"] = "continue",
        item_timeout_s: float | None = None,
        timeout_s: float | None = None,
        retry: Retry | int | None = None,
        effect: str = "keyed",
    ) -> None:
        super().__init__(name)
        what = f"{self.kind} '{name}'"
        check_choice(f"{what}: on_item_error", on_item_error, ("fail", "continue"))
        check_count(f"{what}: max_concurrency", max_concurrency, most=1_000)
        callee = self._callee(_PROCESS, process, values=2)
        own = limits(what, timeout_s=item_timeout_s, retry=retry)
        step = {**call(_PROCESS, callee, "${item}", "${index}"), **own, "effect": effect}
        each: JsonObject = {
            "id": _EACH,
            "type": "foreach",
            "items": "${input}",
            "max_concurrency": max_concurrency,
            "on_item_error": on_item_error,
            "steps": [step],
            "result": f"${{{_PROCESS}.response}}",
            **_batches(what, batch_size, batch_delay_s),
            **limits(what, timeout_s=timeout_s),
        }
        self._compile(self._document(each, aggregate))

    def _document(
        self, each: JsonObject, aggregate: Callable[..., Any] | None
    ) -> JsonObject:
        told = f"${{{_EACH}.response}}"
        steps: list[JsonValue] = [each, call(_RESULTS, self._callee(_RESULTS, kept), told)]
        value = f"${{{_RESULTS}.response}}"
        if aggregate is not None:
            callee = self._callee(_AGGREGATE, aggregate)
            self._adapter = callee.function.returns
            steps.append(call(_AGGREGATE, callee, value))
            value = f"${{{_AGGREGATE}.response}}"
        return {"steps": steps, "output": {"told": told, "value": value}}

    def _given(self, value: Iterable[Item]) -> JsonValue:
        if isinstance(value, (str, bytes, dict)) or not isinstance(value, Iterable):
            kind = type(value).__name__
            raise ValueError(f"batch '{self.name}': items are needed, this is a {kind}")
        items: Any = list(value)
        return super()._given(items)

    def _told(self, result: Result) -> BatchOutcome[Out]:
        facts = self._facts(result)
        raw: Any = facts["raw"] or {"told": {}, "value": None}
        told = raw["told"]
        facts["raw"] = raw["value"]
        return BatchOutcome(
            **facts,
            results=told.get("results", []),
            failures=[ItemFailure(**one) for one in told.get("failures", [])],
            total=told.get("total", 0),
            success_count=told.get("success_count", 0),
            success_rate=told.get("success_rate", 0.0),
        )

    async def run(self, value: Iterable[Item], **where: Unpack[Where]) -> BatchOutcome[Out]:
        """See `Pattern.run`."""
        outcome = await super().run(value, **where)
        assert isinstance(outcome, BatchOutcome)
        return outcome


def _batches(what: str, size: int | None, delay_s: float | None) -> JsonObject:
    if size is None:
        if delay_s is not None:
            raise ValueError(f"{what}: batch_delay_s: there are no batches; set batch_size")
        return {}
    check_count(f"{what}: batch_size", size)
    if delay_s is None:
        return {"batch_size": size}
    check_seconds(f"{what}: batch_delay_s", delay_s, zero=True)
    return {"batch_size": size, "batch_delay": duration(delay_s)}


async def kept(told: dict[str, Any]) -> list[Any]:
    """Return the results of the items that did not fail."""
    failed = {one["index"] for one in told["failures"]}
    return [one for index, one in enumerate(told["results"]) if index not in failed]
