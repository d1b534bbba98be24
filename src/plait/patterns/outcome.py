"""How a run of a pattern ended: its output, its failure, and what every step came to."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, Literal, TypeAlias, TypeVar, cast

from pydantic import TypeAdapter, ValidationError

from plait.drivers.inline import Result, StepTrace, Trace
from plait.model.errors import Advice, PlaitError
from plait.model.failure import Failure
from plait.model.json import JsonObject, JsonValue

Out_co = TypeVar("Out_co", covariant=True)

Status: TypeAlias = Literal["completed", "failed", "compensated", "cancelled"]


class PatternFailed(PlaitError):
    """A run has no output. `failure` says why; `code` is that of the failure.

    Attributes:
        outcome: How it ended, and what every step came to.
    """

    code: ClassVar[str] = "pattern.failed"
    advice: ClassVar[Advice] = Advice.REPORT

    def __init__(self, name: str, failure: Failure, outcome: Outcome[Any]) -> None:
        super().__init__(f"{name}: {failure.code}: {failure.message}")
        self.failure = failure
        self.outcome = outcome


@dataclass(frozen=True, slots=True)
class StepReport:
    """What one step came to.

    Attributes:
        path: Its address: `charge`, `charge.compensate/undo`, `tasks[2]/web`.
        status: `completed`, `skipped`, `failed`, `cancelled`, or `pending`: it never began.
        result: What it returned, as JSON; None unless it is a step of the pattern itself
            that completed.
        attempts: How many were made.
        started_s, ended_s: Seconds since the run began; None: it never did.
    """

    path: str
    status: str
    result: JsonValue = None
    failure: Failure | None = None
    attempts: int = 0
    started_s: float | None = None
    ended_s: float | None = None

    @property
    def duration_s(self) -> float:
        """How long it took, seconds, with all attempts and the waits between them."""
        if self.started_s is None or self.ended_s is None:
            return 0.0
        return self.ended_s - self.started_s


@dataclass(frozen=True)
class Outcome(Generic[Out_co]):
    """How a run ended.

    Attributes:
        pattern: The name of the pattern.
        status: `completed`, `failed`, `compensated` (of a saga: all is undone) or
            `cancelled`.
        failure: Why, unless it completed.
        raw: The output as JSON; None unless it completed.
        steps: What each step came to, by path, in the order in which they began.
        timeline: The same, to be drawn.
    """

    pattern: str
    execution_id: str
    status: Status
    failure: Failure | None
    raw: JsonValue
    steps: Mapping[str, StepReport]
    timeline: Trace
    decode: Callable[[JsonValue], Any]

    @property
    def is_completed(self) -> bool:
        """True when there is an output."""
        return self.status == "completed"

    @property
    def output(self) -> Out_co:
        """What the run yields.

        Raises:
            PatternFailed: It did not complete.
        """
        if self.status != "completed":
            reason = f"the run was {self.status}"
            failure = self.failure or Failure("execution.cancelled", reason)
            raise PatternFailed(self.pattern, failure, self)
        try:
            return cast("Out_co", self.decode(self.raw))
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]["msg"]
            text = f"the output is not what the function says that it returns: {first}"
            failure = Failure("connector.decode", text)
            raise PatternFailed(self.pattern, failure, self) from error

    @property
    def duration_s(self) -> float:
        """How long it took, seconds."""
        return self.timeline.ended_s - self.timeline.started_s


def decoder(adapter: TypeAdapter[Any] | None) -> Callable[[JsonValue], Any]:
    """Return what makes a value of what a function says that it returns."""
    return (lambda raw: raw) if adapter is None else adapter.validate_python


def facts_of(pattern: str, result: Result, ids: list[str]) -> dict[str, Any]:
    """Return what an `Outcome` is made of, but for what decodes its output."""
    return {
        "pattern": pattern,
        "execution_id": result.execution_id,
        "status": result.status,
        "failure": result.failure,
        "raw": result.output,
        "steps": _reports(result, ids),
        "timeline": result.trace,
    }


def _reports(result: Result, ids: list[str]) -> dict[str, StepReport]:
    views = _views(result, ids)
    told = {
        path: _report(line, result.trace, views.get(path))
        for path, line in result.trace.steps.items()
    }
    return told | {one: StepReport(one, "pending") for one in ids if one not in told}


def _report(line: StepTrace, trace: Trace, view: JsonObject | None) -> StepReport:
    is_answered = view is not None and view["status"] == "completed"
    return StepReport(
        line.step,
        line.status,
        view["response"] if is_answered and view is not None else None,
        line.failure if line.status == "failed" else None,
        len(line.attempts),
        line.started_s - trace.started_s,
        None if line.ended_s is None else line.ended_s - trace.started_s,
    )


def _views(result: Result, ids: list[str]) -> dict[str, JsonObject]:
    """Return what templates see of the steps of the pattern's own scope."""
    root = result.state.root
    names = {} if root is None else root.names
    return {one: names[one] for one in ids if one in names}
