"""Stateful fan-out: round after round, all tasks see one state, and a reducer makes the
next one of it and of what they found."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Final, Generic, Literal, TypeVar, Unpack

from plait.drivers.inline import Result
from plait.model.json import JsonObject, JsonValue
from plait.patterns.base import Pattern, Where
from plait.patterns.build import call, limits
from plait.patterns.checks import check_choice, check_count, check_names, check_seconds
from plait.patterns.fan_out import Task, results_of, tasks_of
from plait.patterns.outcome import Outcome

S = TypeVar("S")

_ROUNDS: Final = "rounds"
_FAN: Final = "tasks"
_RESULTS: Final = "results"
_REDUCE: Final = "reduce"
_UNTIL: Final = "until"
_OWN: Final = (_ROUNDS, _FAN, _RESULTS, _REDUCE, _UNTIL)
_STATE: Final = "${previous == null ? input : previous.state}"


@dataclass(frozen=True)
class RoundsOutcome(Outcome[S], Generic[S]):
    """How it ended. `output` is the last state.

    Attributes:
        rounds: How many there were; 0 when it failed.
    """

    rounds: int


class StatefulFanOutFanIn(Pattern[S, S]):
    """Gives a state to all tasks at the same time, makes the next state of it and of their
    results, and so on until it is enough.

    Args:
        tasks: By name, or as `Task`s; each takes the state.
        reduce: Takes the state and the results of the tasks that completed, by name;
            returns the next state.
        until: Takes that; true ends it. None: there is one round.
        max_rounds: One more and the run fails with `limit.iterations`.
        on_error: `fail`: the first task that fails ends the run. `continue`: a round goes
            on without it.
        timeout_s: All rounds together, seconds.
        task_timeout_s: Each task that has no time of its own, seconds.

    Raises:
        ValueError: There are no tasks, or a name, function or limit is of no use.

    >>> import asyncio
    >>> def merged(seen: list[int], found: dict[str, int]) -> list[int]:
    ...     return seen + sorted(found.values())
    >>> growing = StatefulFanOutFanIn[list[int]]("growing", {
    ...     "sum": lambda seen: sum(seen), "count": lambda seen: len(seen),
    ... }, merged, until=lambda seen: len(seen) > 4)
    >>> outcome = asyncio.run(growing.run([7]))
    >>> outcome.output, outcome.rounds
    ([7, 1, 7, 3, 15], 2)
    """

    kind: ClassVar[str] = "stateful fan-out"

    def __init__(
        self,
        name: str,
        tasks: Mapping[str, Callable[[S], Any]] | Iterable[Task[S]],
        reduce: Callable[[S, dict[str, Any]], Any],
        *,
        until: Callable[[S], Any] | None = None,
        max_rounds: int = 100,
        on_error: Literal["fail", "continue"] = "fail",
        timeout_s: float | None = None,
        task_timeout_s: float | None = None,
    ) -> None:
        super().__init__(name)
        what = f"{self.kind} '{name}'"
        self.tasks = tasks_of(tasks)
        if not self.tasks:
            raise ValueError(f"{what}: it has no tasks")
        check_names(what, [one.name for one in self.tasks], _OWN)
        check_choice(f"{what}: on_error", on_error, ("fail", "continue"))
        check_count(f"{what}: max_rounds", max_rounds)
        if task_timeout_s is not None:
            check_seconds(f"{what}: task_timeout_s", task_timeout_s)
        branches: JsonObject = {
            one.name: self._branch(one, on_error, task_timeout_s) for one in self.tasks
        }
        self._compile(
            {
                "steps": [
                    {
                        "id": _ROUNDS,
                        "type": "repeat",
                        "order": "sequence",
                        "max_iterations": max_rounds,
                        "steps": [
                            {"id": _FAN, "type": "parallel", "branches": branches},
                            *self._reduced(reduce, until),
                        ],
                        "until": True if until is None else f"${{{_UNTIL}.response}}",
                        "result": {"state": f"${{{_REDUCE}.response}}"},
                        **limits(what, timeout_s=timeout_s),
                    }
                ],
                "output": {
                    "state": f"${{{_ROUNDS}.response.result.state}}",
                    "rounds": f"${{{_ROUNDS}.response.iterations}}",
                },
            }
        )

    def _branch(self, task: Task[S], on_error: str, timeout_s: float | None) -> JsonObject:
        callee = self._callee(task.name, task.function)
        own = limits(
            f"{self.kind} '{self.name}': {task.name}",
            timeout_s=timeout_s if task.timeout_s is None else task.timeout_s,
            attempt_timeout_s=task.attempt_timeout_s,
            retry=task.retry,
        )
        step: JsonObject = {
            **call(task.name, callee, _STATE),
            **own,
            "effect": task.effect,
            "on_error": on_error,
        }
        seen: JsonObject = {
            key: f"${{{task.name}.{key}}}" for key in ("response", "status")
        }
        return {"steps": [step], "output": seen}

    def _reduced(
        self, reduce: Callable[..., Any], until: Callable[[S], Any] | None
    ) -> list[JsonValue]:
        kept = call(_RESULTS, self._callee(_RESULTS, results_of), f"${{{_FAN}.response}}")
        callee = self._callee(_REDUCE, reduce, values=2)
        self._adapter = callee.function.returns
        steps: list[JsonValue] = [
            kept,
            call(_REDUCE, callee, _STATE, f"${{{_RESULTS}.response}}"),
        ]
        if until is not None:
            test = self._callee(_UNTIL, until, is_condition=True)
            steps.append(call(_UNTIL, test, f"${{{_REDUCE}.response}}"))
        return steps

    def _told(self, result: Result) -> RoundsOutcome[S]:
        facts = self._facts(result)
        told: Any = facts["raw"] or {"state": None, "rounds": 0}
        facts["raw"] = told["state"]
        return RoundsOutcome(**facts, rounds=told["rounds"])

    async def run(self, value: S, **where: Unpack[Where]) -> RoundsOutcome[S]:
        """See `Pattern.run`."""
        outcome = await super().run(value, **where)
        assert isinstance(outcome, RoundsOutcome)
        return outcome
