"""The templates of one step: parsed, their reads checked and gathered."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from plait.compile.findings import Findings
from plait.compile.names import NameChecker, View, Visible
from plait.document.step import Step, StepSettings, TemplatePart
from plait.document.tree import Path, StepTree
from plait.expression import Escape, Template, TemplateErrors, parse_template
from plait.model.json import JsonValue
from plait.model.place import Place, pointer_to, segments_of


@dataclass(slots=True)
class StepTemplates:
    """A step's templates; `reads` are the steps that they read."""

    condition: Template | None = None
    fallback: Template | None = None
    idempotency_key: Template | None = None
    output: Template | None = None
    retry_when: Template | None = None
    own: dict[str, Template] = field(default_factory=dict)
    reads: set[str] = field(default_factory=set)


def parse(
    value: JsonValue, path: Path, findings: Findings, *, escape: Escape = Escape.NONE
) -> Template | None:
    """Return the template that `value`, which stands at `path`, holds.

    None when an expression in it is wrong; the findings then say what.
    """
    source = findings.document.source

    def locate(pointer: str, offset: int) -> Place:
        return Place(pointer, *source.column_in(segments_of(pointer), offset))

    try:
        return parse_template(
            value, source.place_of, escape=escape, pointer=pointer_to(*path), locate=locate
        )
    except TemplateErrors as error:
        for diagnostic in error.diagnostics:
            findings.found.add(diagnostic)
        return None


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
        own = Visible(step.model.id, step.model.facts)
        if step.model.condition is not None:
            found.condition = self._setting("condition", view)
        if step.model.idempotency_key is not None:
            found.idempotency_key = self._setting("idempotency_key", view)
        found.output = self._setting("output", replace(view, own=own))
        if "fallback" in raw and step.fallback is None:
            found.fallback = self._setting("fallback", view.with_extra("error"))
        found.retry_when = self._retry_when(view.with_extra("error"))
        for part in step.parts.templates:
            template = self._part(part)
            if template is not None:
                found.own[part.name] = template
        return found

    def _retry_when(self, view: View) -> Template | None:
        model, path = self._step.model, (*self._step.path, "retry", "on")
        retry = model.retry
        if self._defaults is not None and inherits(model, self._defaults, "retry"):
            retry, path = self._defaults.retry, ("defaults", "retry", "on")
        if retry is None or not isinstance(retry.on, str):
            return None
        return self._checked(retry.on, path, view)

    def _setting(self, key: str, view: View) -> Template | None:
        raw = self._step.raw
        if key not in raw:
            return None
        return self._checked(raw[key], (*self._step.path, key), view)

    def _part(self, part: TemplatePart) -> Template | None:
        view = self._view.with_extra("secrets") if part.may_read_secrets else self._view
        value: Any = self._step.raw
        for key in part.path:
            value = value.get(key, part.default) if isinstance(value, dict) else value
        if part.without and isinstance(value, Mapping):
            value = {k: v for k, v in value.items() if k not in part.without}
        path = (*self._step.path, *part.path)
        return self._checked(value, path, view, escape=part.escape)

    def _checked(
        self, value: JsonValue, path: Path, view: View, *, escape: Escape = Escape.NONE
    ) -> Template | None:
        template = parse(value, path, self._findings, escape=escape)
        if template is not None:
            self._found.reads |= self._names.step_reads(template, view)
        return template
