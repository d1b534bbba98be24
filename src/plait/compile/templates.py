"""The templates of one step: parsed, their reads checked and gathered."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Final, TypeAlias

from plait.compile.findings import Findings
from plait.compile.names import NameChecker, View, visible
from plait.document.policies import Once
from plait.document.step import Step, StepSettings, TemplatePart
from plait.document.tree import Path, StepTree
from plait.expression import (
    Escape,
    ExpressionError,
    ExpressionInfo,
    Template,
    TemplateErrors,
    parse_template,
)
from plait.model.json import JsonValue
from plait.model.place import Place, pointer_to, segments_of
from plait.model.record import record

# Settings that stand around attempts, outermost first.
POLICIES: Final = ("cache", "circuit_breaker", "rate_limit", "bulkhead")
# Their keys that are templates.
_KEYS: Final = ("key", "user")

# Raises what is wrong with the value of a template that reads nothing.
Check: TypeAlias = Callable[[Template], object]


@dataclass(slots=True)
class StepTemplates:
    """A step's templates; `reads` are the steps that they read."""

    condition: Template | None = None
    fallback: Template | None = None
    idempotency_key: Template | None = None
    output: Template | None = None
    retry_when: Template | None = None
    own: dict[str, Template] = field(default_factory=dict)
    policy_keys: dict[tuple[str, str], Template] = field(default_factory=dict)
    reads: set[str] = field(default_factory=set)


@record
class Parsed:
    """A value's template and the expressions in it.

    Attributes:
        template: None when an expression is wrong.
        expressions: Those that are right, in the order of the document.
    """

    template: Template | None
    expressions: tuple[ExpressionInfo, ...]


def parse(
    value: JsonValue, path: Path, findings: Findings, *, escape: Escape = Escape.NONE
) -> Parsed:
    """Return what `value`, which stands at `path`, holds; report what is wrong with it."""
    source, own = findings.document.source, pointer_to(*path)

    def locate(pointer: str, offset: int) -> Place:
        at = path if pointer == own else segments_of(pointer)
        return Place(pointer, *source.column_in(at, offset))

    try:
        template = parse_template(
            value, source.place_of, escape=escape, pointer=own, locate=locate
        )
    except TemplateErrors as error:
        for diagnostic in error.diagnostics:
            findings.found.add(diagnostic)
        return Parsed(None, error.expressions)
    return Parsed(template, template.expressions)


def inherits(model: Step, defaults: StepSettings | None, name: str) -> bool:
    """Tell whether a step has the document's default for a setting, not its own."""
    is_given = name in model.model_fields_set
    return defaults is not None and model.takes_defaults and not is_given


class StepTemplateCompiler:
    """Parses the templates of one step and notes what they read."""

    def __init__(
        self,
        step: StepTree,
        findings: Findings,
        names: NameChecker,
        view: View,
        defaults: StepSettings | None,
    ) -> None:
        self._step = step
        self._defaults = defaults
        self._findings = findings
        self._names = names
        self._view = view
        self._found = StepTemplates()

    def compile(self) -> StepTemplates:
        """Return the templates; what is wrong with them is among the findings."""
        step, view, found = self._step, self._view, self._found
        raw = step.raw
        if step.model.condition is not None:
            found.condition = self._setting("condition", view, check=_as_bool)
        if step.model.key_template is not None:
            inside = ("key",) if isinstance(step.model.idempotency_key, Once) else ()
            path = (*step.path, "idempotency_key", *inside)
            found.idempotency_key = self._checked(
                step.model.key_template, path, view, check=_as_key
            )
        if "output" in raw:
            found.output = self._setting("output", replace(view, own=visible(step)))
        if "fallback" in raw and step.fallback is None:
            found.fallback = self._setting("fallback", view.with_extra("error"))
        found.retry_when = self._retry_when(view)
        self._policy_keys(view)
        return self.parts(step.parts.templates)

    def parts(self, parts: Iterable[TemplatePart]) -> StepTemplates:
        """Compile these of the step's own templates too; return all so far."""
        for part in parts:
            template = self._part(part)
            if template is not None:
                self._found.own[part.name] = template
        return self._found

    def _retry_when(self, view: View) -> Template | None:
        model, path = self._step.model, (*self._step.path, "retry", "on")
        retry = model.retry
        if self._defaults is not None and inherits(model, self._defaults, "retry"):
            retry, path = self._defaults.retry, ("defaults", "retry", "on")
        if retry is None or not isinstance(retry.on, str):
            return None
        return self._checked(retry.on, path, view.with_extra("error"), check=_as_bool)

    def _policy_keys(self, view: View) -> None:
        for name in POLICIES:
            is_inherited = inherits(self._step.model, self._defaults, name)
            owner = self._defaults if is_inherited else self._step.model
            path = ("defaults",) if is_inherited else self._step.path
            for key in _KEYS:
                value = getattr(getattr(owner, name, None), key, None)
                if value is None:
                    continue
                template = self._checked(value, (*path, name, key), view)
                if template is not None:
                    self._found.policy_keys[name, key] = template

    def _setting(
        self, key: str, view: View, *, check: Check | None = None
    ) -> Template | None:
        raw = self._step.raw
        if key not in raw:
            return None
        return self._checked(raw[key], (*self._step.path, key), view, check=check)

    def _part(self, part: TemplatePart) -> Template | None:
        view = self._view.with_extra("secrets") if part.may_read_secrets else self._view
        if part.names:
            view = view.with_extra(*part.names)
        value: Any = self._step.raw
        for key in part.path:
            if isinstance(value, dict):
                value = value.get(str(key), part.default)
            elif isinstance(value, list) and isinstance(key, int):
                value = value[key]
        if part.without and isinstance(value, Mapping):
            value = {k: v for k, v in value.items() if k not in part.without}
        path = (*self._step.path, *part.path)
        check = None if part.check is None else partial(_checked_value, part.check)
        return self._checked(value, path, view, escape=part.escape, check=check)

    def _checked(
        self,
        value: JsonValue,
        path: Path,
        view: View,
        *,
        escape: Escape = Escape.NONE,
        check: Check | None = None,
    ) -> Template | None:
        parsed = parse(value, path, self._findings, escape=escape)
        self._found.reads |= self._names.step_reads(parsed.expressions, view)
        if parsed.template is not None and check is not None:
            self._check_constant(parsed, check, path)
        return parsed.template

    def _check_constant(self, parsed: Parsed, check: Check, path: Path) -> None:
        """Report what can never work: an expression that reads nothing is what it is."""
        expressions, template = parsed.expressions, parsed.template
        if template is None or not expressions or any(one.reads for one in expressions):
            return
        try:
            check(template)
        except (ValueError, ExpressionError) as error:
            text = f"'{path[-1]}' reads nothing, and so never works: {error}"
            self._findings.error("P017", text, "", path)


def _as_bool(template: Template) -> bool:
    return template.render_bool({})


def _as_key(template: Template) -> None:
    value = template.render({})
    if isinstance(value, bool) or not isinstance(value, int | str) or value == "":
        raise ValueError("a key is text that is not empty, or a whole number")


def _checked_value(check: Callable[[JsonValue], object], template: Template) -> object:
    return check(template.render({}))
