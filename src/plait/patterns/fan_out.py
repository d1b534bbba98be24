"""Fan out, fan in: one value to several functions at the same time, and their results
together."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Final, Generic, Literal, TypeVar, Unpack

from plait.connectors.python.functions import Adapter
from plait.drivers.inline import Result
from plait.model.json import JsonObject, JsonValue
from plait.patterns.base import Pattern, Where
from plait.patterns.build import call, either, limits
from plait.patterns.checks import (
    Retry,
    check_choice,
    check_count,
    check_names,
    check_seconds,
)
from plait.patterns.outcome import Outcome, StepReport, decoder

In = TypeVar("In")
Out = TypeVar("Out")

_FAN: Final = "tasks"
_TASK: Final = "task"
_RESULTS: Final = "results"
_GATHER: Final = "aggregate"
_OWN: Final = (_FAN, _TASK, _RESULTS, _GATHER)


@dataclass(frozen=True, slots=True)
class Task(Generic[In]):
    """One function of a fan-out.

    Attributes:
        name: For people, paths and reports.
        function: Takes the value.
        timeout_s, attempt_timeout_s, retry, effect: As in `SagaStep`.
    """

    name: str
    function: Callable[[In], Any]
    timeout_s: float | None = None
    attempt_timeout_s: float | None = None
    retry: Retry | int | None = None
    effect: str = "keyed"


@dataclass(frozen=True, slots=True)
class TaskReport:
    """What one task came to.

    Attributes:
        status: `completed`, `failed`, `cancelled` or `pending`: another failed first.
        result: What it returned, as JSON.
        error: Its `code`, `message` and `details`; None unless it failed.
        duration_s: How long it took, seconds, all attempts together.
    """

    name: str
    status: str
    result: Any
    error: Mapping[str, Any] | None
    attempts: int
    duration_s: float


@dataclass(frozen=True)
class FanOutcome(Outcome[Out], Generic[Out]):
    """How a fan-out ended.

    Attributes:
        tasks: What each task came to, by name, in the order in which they were given.
    """

    tasks: Mapping[str, TaskReport]

    @property
    def succeeded(self) -> list[str]:
        """The tasks that completed."""
        return [one.name for one in self.tasks.values() if one.status == "completed"]

    @property
    def failed(self) -> list[str]:
        """The tasks that failed."""
        return [one.name for one in self.tasks.values() if one.status == "failed"]


class FanOutFanIn(Pattern[In, Out]):
    """Gives one value to all tasks at the same time. The output is what the aggregator
    makes of their results, or without one a mapping from task to result.

    Args:
        tasks: By name, or as `Task`s with settings of their own.
        aggregate: Takes the results of the tasks that completed, by name.
        max_concurrency: So many tasks at a time; None: all.
        timeout_s: All tasks together, seconds; when it is over the run fails.
        task_timeout_s: Each task that has no time of its own, seconds.
        on_error: `fail`: the first task that fails ends the others, and the run.
            `continue`: the others go on, and the report says what failed.

    Raises:
        ValueError: There are no tasks, or a name, function or limit is of no use.

    >>> import asyncio
    >>> search = FanOutFanIn[str, list]("search", {
    ...     "web": lambda query: [f"{query} on the web"],
    ...     "news": lambda query: [f"{query} in the news"],
    ... }, aggregate=lambda found: found["web"] + found["news"])
    >>> asyncio.run(search.run("tea")).output
    ['tea on the web', 'tea in the news']
    """

    kind: ClassVar[str] = "fan-out"

    def __init__(
        self,
        name: str,
        tasks: Mapping[str, Callable[[In], Any]] | Iterable[Task[In]],
        *,
        aggregate: Callable[[dict[str, Any]], Any] | None = None,
        max_concurrency: int | None = None,
        timeout_s: float | None = None,
        task_timeout_s: float | None = None,
        on_error: Literal["fail", "continue"] = "fail",
    ) -> None:
        super().__init__(name)
        what = f"{self.kind} '{name}'"
        self.tasks = tasks_of(tasks)
        if not self.tasks:
            raise ValueError(f"{what}: it has no tasks")
        check_names(
            what, [one.name for one in self.tasks], (_FAN, _TASK, _RESULTS, _GATHER)
        )
        check_choice(f"{what}: on_error", on_error, ("fail", "continue"))
        if max_concurrency is not None:
            check_count(f"{what}: max_concurrency", max_concurrency, most=1_000)
        if task_timeout_s is not None:
            check_seconds(f"{what}: task_timeout_s", task_timeout_s)
        self._aggregates = aggregate is not None
        self._is_lenient = on_error == "continue"
        self._task_timeout_s = task_timeout_s
        self._adapters: dict[str, Adapter | None] = {}
        is_bounded = max_concurrency is not None and max_concurrency < len(self.tasks)
        fan = self._bounded(max_concurrency or 1) if is_bounded else self._parallel()
        fan.update(limits(what, timeout_s=timeout_s))
        self._compile({"steps": [fan, *self._gather(aggregate)], "output": self._output()})

    # -- compiling ---------------------------------------------------------------------

    def _task(self, task: Task[In]) -> JsonObject:
        """Return the scope of one task: it yields what a report says of it."""
        callee = self._callee(task.name, task.function)
        self._adapters[task.name] = callee.function.returns
        own = limits(
            f"{self.kind} '{self.name}': {task.name}",
            timeout_s=self._task_timeout_s if task.timeout_s is None else task.timeout_s,
            attempt_timeout_s=task.attempt_timeout_s,
            retry=task.retry,
        )
        given = either("${input}", {"input": "${input}"})
        step: JsonObject = {**call(task.name, callee, given), **own, "effect": task.effect}
        if self._is_lenient:
            step["on_error"] = "continue"
        seen: JsonObject = {
            key: f"${{{task.name}.{key}}}"
            for key in ("response", "status", "error", "attempts")
        }
        return {"steps": [step], "output": seen}

    def _parallel(self) -> JsonObject:
        branches: JsonObject = {task.name: self._task(task) for task in self.tasks}
        return {
            "id": _FAN,
            "type": "parallel",
            "branches": branches,
            "output": f"${{{_FAN}.response}}",
        }

    def _bounded(self, max_concurrency: int) -> JsonObject:
        """Return a loop over the tasks' names, so many at a time."""
        names: list[JsonValue] = [task.name for task in self.tasks]
        cases: list[JsonValue] = [
            {
                "name": _case_of(task.name),
                "when": f"${{item == '{task.name}'}}",
                **self._task(task),
            }
            for task in self.tasks
        ]
        results = f"{_FAN}.response.results"
        each: JsonObject = {
            task.name: f"${{{results}[{index}]}}" for index, task in enumerate(self.tasks)
        }
        return {
            "id": _FAN,
            "type": "foreach",
            "items": names,
            "max_concurrency": max_concurrency,
            "steps": [{"id": _TASK, "type": "switch", "cases": cases}],
            "result": f"${{{_TASK}.response}}",
            "output": each,
        }

    def _gather(self, aggregate: Callable[..., Any] | None) -> list[JsonValue]:
        kept = self._callee(_RESULTS, results_of)
        steps: list[JsonValue] = [call(_RESULTS, kept, f"${{{_FAN}.response}}")]
        if aggregate is not None:
            callee = self._callee(_GATHER, aggregate)
            self._adapter = callee.function.returns
            steps.append(call(_GATHER, callee, f"${{{_RESULTS}.response}}"))
        return steps

    def _output(self) -> JsonObject:
        yields = _GATHER if self._aggregates else _RESULTS
        return {"tasks": f"${{{_FAN}.response}}", "value": f"${{{yields}.response}}"}

    # -- running -----------------------------------------------------------------------

    def _told(self, result: Result) -> FanOutcome[Out]:
        facts = self._facts(result)
        raw: Any = facts["raw"] or {}
        reports = [
            _report(task.name, raw.get("tasks", {}).get(task.name), facts["steps"])
            for task in self.tasks
        ]
        facts["raw"] = raw.get("value")
        if not self._aggregates:
            facts["decode"] = self._made
        return FanOutcome(**facts, tasks={one.name: one for one in reports})

    def _made(self, raw: Any) -> Any:
        return {name: decoder(self._adapters[name])(one) for name, one in raw.items()}

    async def run(self, value: In, **where: Unpack[Where]) -> FanOutcome[Out]:
        """See `Pattern.run`."""
        outcome = await super().run(value, **where)
        assert isinstance(outcome, FanOutcome)
        return outcome


async def results_of(reports: dict[str, Any]) -> dict[str, Any]:
    """Return the results of the tasks that completed."""
    return {
        name: one["response"]
        for name, one in reports.items()
        if one is not None and one["status"] == "completed"
    }


def tasks_of(
    tasks: Mapping[str, Callable[[In], Any]] | Iterable[Task[In]],
) -> tuple[Task[In], ...]:
    """Return tasks however they were given."""
    if isinstance(tasks, Mapping):
        return tuple(Task(name, function) for name, function in tasks.items())
    given: Any = tasks
    listed: tuple[Any, ...] = tuple(given) if isinstance(given, Iterable) else (given,)
    for one in listed:
        if not isinstance(one, Task):
            kind = type(one).__name__
            raise ValueError(
                f"tasks: a mapping from name to function, or Tasks, is needed; not a {kind}"
            )
    return listed


def _case_of(name: str) -> str:
    """Return what the case of a task is called: `default` is the word for no case."""
    return f"{name}_" if name.rstrip("_") == "default" else name


def _report(name: str, told: Any, steps: Mapping[str, StepReport]) -> TaskReport:
    """Return what a task came to, by the fan's output, or if there is none by its step."""
    ends = tuple(f"[{one}]/{name}" for one in (name, _case_of(name)))
    step = next((one for path, one in steps.items() if path.endswith(ends)), None)
    seconds = 0.0 if step is None else step.duration_s
    if told is not None:
        facts = (told["status"], told["response"], told["error"], told["attempts"])
        return TaskReport(name, *facts, seconds)
    if step is None:
        return TaskReport(name, "pending", None, None, 0, seconds)
    error = None if step.failure is None else step.failure.as_json()
    return TaskReport(name, step.status, None, error, step.attempts, seconds)
