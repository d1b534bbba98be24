"""Loops: a state that a function turns into the next one, as long as a condition says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Final, Generic, TypeVar, Unpack

from plait.drivers.inline import Result
from plait.model.json import JsonObject, JsonValue
from plait.patterns.base import Pattern, Where
from plait.patterns.build import call, limits
from plait.patterns.checks import Retry, check_count, check_seconds, duration
from plait.patterns.outcome import Outcome

S = TypeVar("S")

_FIRST: Final = "first"
_LOOP: Final = "rounds"
_BODY: Final = "body"
_TEST: Final = "test"
# The state that an iteration begins with.
_STATE: Final = "${previous == null ? input : previous.value}"


@dataclass(frozen=True)
class LoopOutcome(Outcome[S], Generic[S]):
    """How a loop ended. `output` is the last state.

    Attributes:
        iterations: How many ran; 0 when it failed.
    """

    iterations: int


class _Loop(Pattern[S, S]):
    """What loops with a condition share."""

    def __init__(
        self,
        name: str,
        condition: Callable[[S], Any],
        body: Callable[..., Any],
        *,
        max_iterations: int = 100,
        delay_s: float | None = None,
        timeout_s: float | None = None,
        body_timeout_s: float | None = None,
        retry: Retry | int | None = None,
        effect: str = "keyed",
    ) -> None:
        super().__init__(name)
        what = f"{self.kind} '{name}'"
        check_count(f"{what}: max_iterations", max_iterations)
        called = self._callee(_BODY, body, values=2)
        self._adapter = called.function.returns
        own = limits(f"{what}: body", timeout_s=body_timeout_s, retry=retry)
        work = {**call(_BODY, called, _STATE, "${iteration}"), **own, "effect": effect}
        test = self._test(_TEST, condition, f"${{{_BODY}.response}}")
        result: JsonObject = {
            "value": f"${{{_BODY}.response}}",
            "goes_on": f"${{{_TEST}.response}}",
        }
        loop: JsonObject = {
            "id": _LOOP,
            "order": "sequence",
            "steps": [work, test],
            "result": result,
            "max_iterations": max_iterations,
            **limits(what, timeout_s=timeout_s),
        }
        if delay_s is not None:
            check_seconds(f"{what}: delay_s", delay_s, zero=True)
            loop["delay"] = duration(delay_s)
        told = f"{_LOOP}.response"
        last = f"{told}.result == null ? input : {told}.result.value"
        output: JsonObject = {
            "value": f"${{{last}}}",
            "iterations": f"${{{told}.iterations}}",
        }
        steps = self._around(loop, condition)
        self._compile({"order": "sequence", "steps": steps, "output": output})

    def _test(self, step: str, condition: Callable[[S], Any], state: str) -> JsonObject:
        callee = self._callee("condition", condition, is_condition=True)
        return {**call(step, callee, state), "effect": "read"}

    def _around(self, loop: JsonObject, condition: Callable[[S], Any]) -> list[JsonValue]:
        """Return all steps: the loop as what it is, and what comes before it."""
        raise NotImplementedError

    def _told(self, result: Result) -> LoopOutcome[S]:
        facts = self._facts(result)
        told: Any = facts["raw"] or {"value": None, "iterations": 0}
        facts["raw"] = told["value"]
        return LoopOutcome(**facts, iterations=told["iterations"])

    async def run(self, value: S, **where: Unpack[Where]) -> LoopOutcome[S]:
        """See `Pattern.run`."""
        outcome = await super().run(value, **where)
        assert isinstance(outcome, LoopOutcome)
        return outcome


class WhileLoop(_Loop[S]):
    """Calls `body` with the state as long as `condition` of it is true; tests first.

    Args:
        condition: Takes the state, returns true or false.
        body: Takes the state, and as a second value the number of the iteration, from 0;
            returns the next state.
        max_iterations: One more and the run fails with `limit.iterations`.
        delay_s: Wait between two iterations, seconds.
        timeout_s: The whole loop, seconds.
        body_timeout_s, retry, effect: Of `body`, as in `SagaStep`.

    Raises:
        ValueError: A function or a limit is of no use.

    >>> import asyncio
    >>> def is_above_one(n: int) -> bool:
    ...     return n > 1
    >>> def next_of(n: int) -> int:
    ...     return n // 2 if n % 2 == 0 else 3 * n + 1
    >>> outcome = asyncio.run(WhileLoop("collatz", is_above_one, next_of).run(6))
    >>> outcome.output, outcome.iterations
    (1, 8)
    """

    kind: ClassVar[str] = "while loop"

    def _around(self, loop: JsonObject, condition: Callable[[S], Any]) -> list[JsonValue]:
        first = self._test(_FIRST, condition, "${input}")
        goes_on = f"${{previous == null ? {_FIRST}.response : previous.goes_on}}"
        return [first, {**loop, "type": "while", "while": goes_on}]


class DoWhileLoop(_Loop[S]):
    """Calls `body` with the state, and again as long as `condition` of what it returned is
    true: at least once. Arguments as those of `WhileLoop`.

    >>> import asyncio
    >>> def is_short(text: str) -> bool:
    ...     return len(text) < 4
    >>> def longer(text: str, iteration: int) -> str:
    ...     return text + str(iteration)
    >>> asyncio.run(DoWhileLoop("fill", is_short, longer).run("ab")).output
    'ab01'
    """

    kind: ClassVar[str] = "do-while loop"

    def _around(self, loop: JsonObject, condition: Callable[[S], Any]) -> list[JsonValue]:
        return [{**loop, "type": "repeat", "until": f"${{!{_TEST}.response}}"}]
