"""Pipeline: stages one after the other, each taking what the one before returned.

Rule. A stage is compiled by itself when it is added, so that what is wrong with it is known
then; all of them are compiled together once, when the plan is needed. If each `then` did,
a pipeline of 120 stages would compile 7,260.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, ClassVar, Final, Generic, TypedDict, TypeVar, Unpack, overload

from plait.connectors.python.functions import Adapter
from plait.drivers.inline import Result
from plait.model.json import JsonObject, JsonValue
from plait.patterns.base import Made, Pattern, Where
from plait.patterns.build import call, context, either, limits
from plait.patterns.checks import Retry, check_name, check_names
from plait.patterns.context import Callee, Context, ErrorInfo
from plait.patterns.outcome import Outcome, StepReport, decoder

In = TypeVar("In")
Mid = TypeVar("Mid")
Out = TypeVar("Out")
Next = TypeVar("Next")

_ERROR: Final[JsonObject] = {
    "code": "${error.code}",
    "message": "${error.message}",
    "details": "${error.details}",
}
# What a stage's own steps are called. They stand at `summarize/work`.
_WORK: Final = "work"
_RECOVER: Final = "recover"
_AGAIN: Final = "again"
_HOOKS: Final = ("before", "after", "on_error", _RECOVER)
_OWN: Final = (*_HOOKS, _WORK, _AGAIN)


class StageSettings(TypedDict, total=False):
    """How a stage runs, beside its function.

    Attributes:
        name: For people, paths and `Context.results`; default: the function's name.
        before: Called with the value, before the stage's function.
        after: Called with what the function returned, and as a second value with the
            stage's own.
        on_error: Called with an `ErrorInfo` when the stage has failed for good.
        recover: Called with an `ErrorInfo` then, and as a second value with that of the
            stage; what it returns is the stage's result.
        skip_when: Called with the value; true skips the stage, and the value goes on as it
            is.
        timeout_s, attempt_timeout_s, retry: Of the stage's function, as in `SagaStep`.
        effect: The same.
    """

    name: str
    before: Callable[[Any], Any] | None
    after: Callable[..., Any] | None
    on_error: Callable[[Any], Any] | None
    recover: Callable[..., Any] | None
    skip_when: Callable[[Any], Any] | None
    timeout_s: float | None
    attempt_timeout_s: float | None
    retry: Retry | int | None
    effect: str


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage, as it was given.

    `base` is the number of the stage that its own pipeline began with: a `Context` has as
    input what that one was given.
    """

    name: str
    function: Callable[..., Any]
    settings: StageSettings
    base: int = 0


@dataclass(frozen=True)
class PipelineOutcome(Outcome[Out], Generic[Out]):
    """How a pipeline ended.

    Attributes:
        stages: What each stage came to, by name: `completed`, `skipped`, `failed` or
            `pending`; its result, attempts and times.
    """

    stages: Mapping[str, StepReport]


class Pipeline(Pattern[In, Out]):
    """Takes a value through stages. Make it with `Pipeline.begin`, and add stages with
    `then`; each call gives another pipeline, and leaves the one before as it is.

    >>> import asyncio
    >>> def words(text: str) -> list[str]:
    ...     return text.split()
    >>> async def count(found: list[str]) -> int:
    ...     return len(found)
    >>> counting = Pipeline.begin("counting", words).then(count)
    >>> outcome = asyncio.run(counting.run("as it is"))
    >>> outcome.output, outcome.stages["words"].result
    (3, ['as', 'it', 'is'])
    """

    kind: ClassVar[str] = "pipeline"

    def __init__(
        self,
        name: str,
        stages: tuple[Stage, ...],
        *,
        before: Pipeline[Any, Any] | None = None,
    ) -> None:
        super().__init__(name)
        self.pipeline_stages = stages
        self._adapters: dict[str, Adapter | None] = {}
        self._callees: dict[str, Callee] = {} if before is None else dict(before._callees)
        names = [stage.name for stage in stages]
        skipped = [one.name for one in stages if _has(one, "skip_when")]
        own = [made(one) for one in skipped for made in (_skip_of, _value_of)]
        check_names(f"pipeline '{name}'", [*names, *own], _OWN)
        for callee in self._callees.values():
            self.functions.put(callee.function)
        self._made: Made | None = None
        known = len(before.pipeline_stages) if before is not None else 0
        self._check(known)

    def _check(self, first: int) -> None:
        """Compile each stage by itself, from the number `first` on."""
        values = self._values()
        parts = zip(self.pipeline_stages, values, values[1:], strict=False)
        for stage, value, following in islice(parts, first, None):
            # What the stage before it yields does not matter: anything is put there.
            step, _, _ = value.rpartition(".")
            there: list[JsonValue] = (
                [{"id": step, "type": "set", "value": None}] if step else []
            )
            steps = self._steps(stage, value, context("${input}", ()))
            output = f"${{{following}}}"
            self._compiled(
                {"order": "sequence", "steps": [*there, *steps], "output": output}
            )

    def _values(self) -> list[str]:
        """Return what each stage reads, and as the last what the pipeline yields."""
        return ["input", *(f"{_kept_in(one)}.response" for one in self.pipeline_stages)]

    def _current(self) -> Made:
        if self._made is None:
            values, stages = self._values(), self.pipeline_stages
            names = [stage.name for stage in stages]
            steps: list[JsonValue] = []
            for index, stage in enumerate(stages):
                seen = context(f"${{{values[stage.base]}}}", names[:index])
                steps += self._steps(stage, values[index], seen)
            output = f"${{{values[-1]}}}"
            self._made = self._compiled(
                {"order": "sequence", "steps": steps, "output": output}
            )
        return self._made

    # -- making ------------------------------------------------------------------------

    @overload
    @classmethod
    def begin(
        cls,
        name: str,
        function: Callable[[Mid], Awaitable[Next]],
        /,
        **settings: Unpack[StageSettings],
    ) -> Pipeline[Mid, Next]: ...
    @overload
    @classmethod
    def begin(
        cls,
        name: str,
        function: Callable[[Mid], Next],
        /,
        **settings: Unpack[StageSettings],
    ) -> Pipeline[Mid, Next]: ...
    @classmethod
    def begin(
        cls,
        name: str,
        function: Callable[..., Any],
        /,
        **settings: Unpack[StageSettings],
    ) -> Pipeline[Any, Any]:
        """Return a pipeline of one stage.

        Args:
            name: Of the pipeline: under which a journal keeps its runs.

        Raises:
            ValueError: The function, a hook or a setting is of no use.
        """
        return Pipeline(name, (_stage(function, settings),))

    @overload
    def then(
        self,
        function: Callable[[Context[In]], Awaitable[Next]],
        **settings: Unpack[StageSettings],
    ) -> Pipeline[In, Next]: ...
    @overload
    def then(
        self, function: Callable[[Context[In]], Next], **settings: Unpack[StageSettings]
    ) -> Pipeline[In, Next]: ...
    @overload
    def then(
        self, function: Callable[[Out], Awaitable[Next]], **settings: Unpack[StageSettings]
    ) -> Pipeline[In, Next]: ...
    @overload
    def then(
        self, function: Callable[[Out], Next], **settings: Unpack[StageSettings]
    ) -> Pipeline[In, Next]: ...
    def then(
        self, function: Callable[..., Any], **settings: Unpack[StageSettings]
    ) -> Pipeline[In, Any]:
        """Return this pipeline with one stage more: it takes what the last one returns, or
        a `Context` with the pipeline's input and the results of all stages so far.

        Raises:
            ValueError: The function, a hook or a setting is of no use.
        """
        stages = (*self.pipeline_stages, _stage(function, settings))
        return Pipeline(self.name, stages, before=self)

    def __or__(self, other: Pipeline[Out, Next]) -> Pipeline[In, Next]:
        """Return both as one, under this one's name.

        The input that a `Context` of the other's stages has is what this one yields.
        """
        if not isinstance(other, Pipeline):
            return NotImplemented
        first = len(self.pipeline_stages)
        later = [replace(one, base=one.base + first) for one in other.pipeline_stages]
        return Pipeline(self.name, (*self.pipeline_stages, *later), before=self)

    def renamed(self, name: str) -> Pipeline[In, Out]:
        """Return the same stages under another name."""
        return Pipeline(name, self.pipeline_stages)

    # -- compiling ---------------------------------------------------------------------

    def _callee(self, part: str, function: Callable[..., Any], **told: Any) -> Callee:
        """Register a function of a stage, once for all pipelines that go on with it."""
        known = self._callees.get(part)
        if known is None:
            known = self._callees[part] = super()._callee(part, function, **told)
        return known

    def _steps(self, stage: Stage, value: str, seen: JsonObject) -> list[JsonValue]:
        """Return the steps of a stage: whether it is skipped, itself, and what goes on."""
        skip = stage.settings.get("skip_when")
        own = self._stage(stage, f"${{{value}}}", seen)
        if skip is None:
            return [own]
        name = _skip_of(stage.name)
        given = either(f"${{{value}}}", seen)
        test = call(name, self._callee(name, skip, is_condition=True), given)
        # A step of its own: in one expression, stages in a row would nest without end.
        kept = f"{stage.name}.status == 'skipped' ? {value} : {stage.name}.response"
        return [
            test,
            {**own, "condition": f"${{!{name}.response}}"},
            {"id": _value_of(stage.name), "type": "set", "value": f"${{{kept}}}"},
        ]

    def _stage(self, stage: Stage, value: str, seen: JsonObject) -> JsonObject:
        settings = stage.settings
        given = either(value, seen)
        callee = self._callee(stage.name, stage.function)
        self._adapters[stage.name] = callee.function.returns
        own = limits(
            f"pipeline '{self.name}': {stage.name}",
            timeout_s=settings.get("timeout_s"),
            attempt_timeout_s=settings.get("attempt_timeout_s"),
            retry=settings.get("retry"),
        )
        own["effect"] = settings.get("effect", "keyed")
        if not any(_has(stage, one) for one in _HOOKS):
            return {**call(stage.name, callee, given), **own}
        work: JsonObject = {**call(_WORK, callee, given), **own}
        steps = [
            *self._hook(stage, "before", given),
            work,
            *self._hook(stage, "after", f"${{{_WORK}.response}}", value),
        ]
        return self._with_hooks(stage, steps, value)

    def _with_hooks(
        self, stage: Stage, steps: list[JsonValue], value: JsonValue
    ) -> JsonObject:
        name, work = stage.name, f"{stage.name}.response.{_WORK}"
        if not (_has(stage, "on_error") or _has(stage, _RECOVER)):
            output = f"${{{work}}}"
            return {"id": name, "type": "sequence", "steps": steps, "output": output}
        answer: list[JsonValue] = [
            *self._hook(stage, "on_error", _ERROR),
            *self._hook(stage, _RECOVER, _ERROR, value),
        ]
        if not _has(stage, _RECOVER):
            answer.append({"id": _AGAIN, "type": "fail", **_ERROR})
        recovered = f"{name}.response.?{_RECOVER}.orValue(null)"
        return {
            "id": name,
            "type": "try",
            "order": "sequence",
            "steps": steps,
            "catch": [{"order": "sequence", "steps": answer}],
            "output": f"${{{name}.caught == null ? {work} : {recovered}}}",
        }

    def _hook(self, stage: Stage, name: str, *values: JsonValue) -> list[JsonValue]:
        hook: Callable[..., Any] | None = stage.settings.get(name)  # type: ignore[assignment]
        if hook is None:
            return []
        first = ErrorInfo if name in ("on_error", _RECOVER) else None
        callee = self._callee(f"{stage.name}.{name}", hook, values=len(values), first=first)
        return [call(name, callee, *values)]

    # -- running -----------------------------------------------------------------------

    def _told(self, result: Result) -> PipelineOutcome[Out]:
        facts = self._facts(result)
        steps: Mapping[str, StepReport] = facts["steps"]
        stages = {one.name: _told_of(one.name, steps) for one in self.pipeline_stages}
        # The output of stages that were skipped is that of the last one that was not.
        ran = [name for name, one in stages.items() if one.status != "skipped"]
        facts["decode"] = decoder(self._adapters[ran[-1]] if ran else None)
        return PipelineOutcome(**facts, stages=stages)

    async def run(self, value: In, **where: Unpack[Where]) -> PipelineOutcome[Out]:
        """See `Pattern.run`."""
        outcome = await super().run(value, **where)
        assert isinstance(outcome, PipelineOutcome)
        return outcome


def _told_of(name: str, steps: Mapping[str, StepReport]) -> StepReport:
    """Return the report of a stage; its attempts are those of its function."""
    own, work = steps[name], steps.get(f"{name}/{_WORK}")
    return own if work is None else replace(own, attempts=work.attempts)


def _stage(function: Callable[..., Any], settings: StageSettings) -> Stage:
    kind = type(function).__name__
    if not callable(function):
        raise ValueError(f"pipeline: a function is needed, this is a {kind}")
    name = str(settings.get("name") or getattr(function, "__name__", ""))
    if name in ("", "<lambda>"):
        kind = "lambda" if name else kind
        raise ValueError(f"pipeline: a {kind} has no name to go by: give the stage one")
    unknown = [one for one in settings if one not in StageSettings.__annotations__]
    if unknown:
        raise ValueError(f"pipeline: stage '{name}' has no setting '{unknown[0]}'")
    return Stage(check_name("pipeline", name), function, settings)


def _has(stage: Stage, name: str) -> bool:
    """Tell whether a function is given: anything but None is meant to be one."""
    return stage.settings.get(name) is not None


def _skip_of(name: str) -> str:
    return f"skip_{name}"


def _kept_in(stage: Stage) -> str:
    """Return the step that has the value behind a stage."""
    return _value_of(stage.name) if _has(stage, "skip_when") else stage.name


def _value_of(name: str) -> str:
    """Return the step that has the value behind a stage that may be skipped."""
    return f"value_{name}"
