"""Saga: steps that all happen, or are undone."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final, TypeVar, Unpack

from plait.drivers.inline import Result
from plait.model.json import JsonObject, JsonValue
from plait.patterns.base import Pattern, Where
from plait.patterns.build import call, context, either, limits, with_keys
from plait.patterns.checks import Retry, check_names
from plait.patterns.outcome import Outcome, StepReport

C = TypeVar("C")

_UNDO_RETRY: Final = Retry(max_attempts=5, backoff="exponential", max_delay_s=10)
_UNDO: Final = "undo"
_UNDOING: Final = f".compensate/{_UNDO}"
_ERROR: Final[JsonObject] = {
    "code": "${error.code}",
    "message": "${error.message}",
    "details": "${error.details}",
}


@dataclass(frozen=True, slots=True)
class SagaStep:
    """One step forward, and the one back.

    Attributes:
        name: For people, paths and `Context.results`.
        forward: Takes the saga's context: the value that it runs with, or a `Context`.
        backward: Undoes what `forward` did. Takes the context, and as a second value what
            `forward` has returned. None: there is nothing to undo.
        timeout_s: All attempts together, seconds.
        attempt_timeout_s: Each attempt, seconds; 30 without either.
        retry: When and how often `forward` is called again, or how many attempts in all.
        backward_timeout_s, backward_retry: The same for `backward`; five attempts.
        effect: What a repetition of `forward` does: `keyed` (nothing more, as it hands on
            `current_call().idempotency_key`), `read`, or `unsafe`: nobody knows.
    """

    name: str
    forward: Callable[..., Any]
    backward: Callable[..., Any] | None = None
    timeout_s: float | None = None
    attempt_timeout_s: float | None = None
    retry: Retry | int | None = None
    backward_timeout_s: float | None = None
    backward_retry: Retry | int | None = _UNDO_RETRY
    effect: str = "keyed"


@dataclass(frozen=True, slots=True)
class Compensation:
    """What has become of undoing one step.

    Attributes:
        step: The saga's step.
        is_undone: False when it could not be undone; `error` says why.
    """

    step: str
    is_undone: bool
    error: JsonValue
    report: StepReport | None


@dataclass(frozen=True)
class SagaOutcome(Outcome[dict[str, Any]]):
    """How a saga ended. `output` maps each step to what it returned.

    Attributes:
        compensations: What was undone, and what could not be, in that order of doing.
    """

    compensations: Sequence[Compensation] = ()

    @property
    def completed_steps(self) -> list[str]:
        """The steps that went forward, also those that were undone later."""
        return [
            path
            for path, step in self.steps.items()
            if step.status == "completed" and "." not in path
        ]

    @property
    def undone(self) -> list[str]:
        """The steps that were undone, the first first."""
        return [one.step for one in self.compensations if one.is_undone]

    @property
    def not_undone(self) -> list[str]:
        """The steps that somebody has to undo by hand."""
        return [one.step for one in self.compensations if not one.is_undone]


class Saga(Pattern[C, dict[str, Any]]):
    """Runs steps one after the other; when one fails, undoes those before it.

    The status is then `compensated`, or `failed` when something could not be undone.

    Args:
        name: Under which a journal keeps its runs.
        steps: At least one.
        timeout_s: The whole way forward, seconds; what is undone afterwards takes its own.

    Raises:
        ValueError: A step has no name, or one that is there already; a function cannot be
            called with a context; a limit is out of its range.

    >>> import asyncio
    >>> stock = {"tea": 2}
    >>> def reserve(order: dict) -> int:
    ...     stock[order["sku"]] -= 1
    ...     return stock[order["sku"]]
    >>> def release(order: dict) -> None:
    ...     stock[order["sku"]] += 1
    >>> def charge(order: dict) -> None:
    ...     raise PermissionError("the card was declined")
    >>> order = Saga[dict]("order", [
    ...     SagaStep("reserve", reserve, release), SagaStep("charge", charge),
    ... ])
    >>> outcome = asyncio.run(order.run({"sku": "tea"}))
    >>> outcome.status, outcome.failure.code, outcome.undone, stock
    ('compensated', 'python.PermissionError', ['reserve'], {'tea': 2})
    """

    kind: ClassVar[str] = "saga"

    def __init__(
        self, name: str, steps: Iterable[SagaStep], *, timeout_s: float | None = None
    ) -> None:
        super().__init__(name)
        self.saga_steps = _steps_of(f"saga '{name}'", steps)
        names = [step.name for step in self.saga_steps]
        check_names(f"saga '{name}'", names, (_UNDO,))
        written: list[JsonValue] = [
            self._step(step, names[:index]) for index, step in enumerate(self.saga_steps)
        ]
        output: JsonObject = {one: f"${{{one}.response}}" for one in names}
        self._compile(
            {
                "order": "sequence",
                "on_failure": "compensate",
                **limits(f"saga '{name}'", timeout_s=timeout_s),
                "steps": written,
                "output": output,
            }
        )

    def _step(self, step: SagaStep, before: list[str]) -> JsonObject:
        what = f"saga '{self.name}': {step.name}"
        own = context("${input}", before)
        written = with_keys(
            call(step.name, self._callee(step.name, step.forward), either("${input}", own)),
            {
                **limits(
                    what,
                    timeout_s=step.timeout_s,
                    attempt_timeout_s=step.attempt_timeout_s,
                    retry=step.retry,
                ),
                "effect": step.effect,
            },
        )
        times = limits(
            f"{what}: backward",
            timeout_s=step.backward_timeout_s,
            retry=step.backward_retry,
        )
        if step.backward is None:
            return written
        back = self._callee(f"{step.name}.backward", step.backward, values=2)
        seen = context("${input}", [*before, step.name], error=_ERROR)
        values = either("${input}", seen), f"${{{step.name}.response}}"
        undo = with_keys(call(_UNDO, back, *values), times)
        return {**written, "compensate": undo}

    def _told(self, result: Result) -> SagaOutcome:
        facts = self._facts(result)
        log = compensations_of(result, facts["steps"])
        return SagaOutcome(**facts, compensations=log)

    async def run(self, value: C, **where: Unpack[Where]) -> SagaOutcome:
        """See `Pattern.run`."""
        outcome = await super().run(value, **where)
        assert isinstance(outcome, SagaOutcome)
        return outcome


def _steps_of(what: str, steps: Any) -> tuple[SagaStep, ...]:
    if not isinstance(steps, Iterable):
        kind = type(steps).__name__
        raise ValueError(f"{what}: a list of SagaSteps is needed, this is a {kind}")
    listed = tuple(steps)
    if not listed:
        raise ValueError(f"{what}: it has no steps")
    for one in listed:
        if not isinstance(one, SagaStep):
            kind = type(one).__name__
            raise ValueError(f"{what}: a list of SagaSteps is needed, not of {kind}s")
    return listed


def compensations_of(result: Result, steps: Mapping[str, StepReport]) -> list[Compensation]:
    """Return what was undone of a run, and what could not be."""
    told: Any = (result.failure.details if result.failure else None) or {}
    log = told.get("compensation")
    if log is None:
        return []
    errors = {one["step"]: one["error"] for one in log["not_undone"]}
    tried = [path for path in steps if path.endswith(_UNDOING)]
    names = [path.removesuffix(_UNDOING) for path in tried]
    # One whose undoing never began, as after a cancel, stands at the end.
    names += [one for one in errors if one not in names]
    return [
        Compensation(one, one not in errors, errors.get(one), steps.get(one + _UNDOING))
        for one in names
    ]
