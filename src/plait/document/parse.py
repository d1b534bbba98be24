"""Source → Document: the shape of everything checked, all findings at once.

Steps are checked one by one, each against the model of its own type, so one mistake hides
no other and each is reported at its place.

Not here: reading text (plait.document.source), names, order, expressions
(plait.compile).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from plait.document import planned, salvage
from plait.document.catalog import Catalog
from plait.document.described import description_of
from plait.document.faults import shown
from plait.document.fields import keys_of
from plait.document.found import Found
from plait.document.machine import machine_scope
from plait.document.nearest import nearest_hint, surely_meant
from plait.document.source import Source
from plait.document.step import ScopePart, Step, TemplatePart
from plait.document.tree import Document, Path, ScopeTree, StepTree
from plait.document.workflow import WorkflowModel
from plait.model.diagnostic import Diagnostic
from plait.model.errors import PlaitError
from plait.model.json import JsonObject
from plait.model.place import pointer_to

M = TypeVar("M", bound=BaseModel)

_PYDANTIC_SUBJECT = re.compile(r"^(?:Input|String|List|Dictionary|Value) should")
# Pydantic's kinds of errors, in words of the document.
_KINDS = {
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
    "dict_type": "a mapping",
    "list_type": "a list",
    "string_type": "text",
    "bool_type": "true or false",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
}
_PYDANTIC_COUNT = " after validation, not 0"
_ONLY_IN_STEPS = frozenset({"request", "steps", "branches"})


def parse_document(source: Source, catalog: Catalog) -> Document:
    """Return the document that `source` holds; `found` says what is wrong with its shape.

    Raises:
        DocumentErrors: More is wrong than is worth listing.
    """
    return _Parser(source, catalog).document()


def validated_as(model: type[M], source: Source) -> tuple[M | None, Found]:
    """Return what `source` holds as a `model`, and what is wrong with its shape."""
    parser = _Parser(source, Catalog(()))
    made: M | None = parser.validated(model, source.value, ())
    return made, parser.found


class _Parser:
    def __init__(self, source: Source, catalog: Catalog) -> None:
        self.source = source
        self.catalog = catalog
        self.found = Found(source.faults)
        self.unsure = {name for value in source.lost for name in salvage.ids_in(value)}

    def document(self) -> Document:
        raw = self.source.value
        assert isinstance(raw, dict)
        model = self.validated(WorkflowModel, raw, ())
        root = self._root(raw)
        unsure = frozenset(self.unsure)
        model = model or salvage.workflow_model(raw)
        return Document(model, raw, root, self.source, self.found, unsure)

    def _root(self, raw: JsonObject) -> ScopeTree:
        if "states" in raw:
            return machine_scope(raw, self)
        if "initial" in raw:
            text = "`initial` names the state in which `states` begin; there are none"
            self.report("D103", text, "", ("initial",), key=True)
        if "steps" not in raw:
            self.report("D102", "missing key 'steps'", "", ())
        elif raw["steps"] is None:
            self.report("D103", "'steps': should be a list", "", ("steps",))
        order = "sequence" if raw.get("order") == "sequence" else "graph"
        return self._scope(raw, (), order, (), "output")

    def _scope(
        self,
        raw: JsonObject,
        path: Path,
        order: str,
        names: tuple[str, ...],
        output_key: str,
        after: tuple[TemplatePart, ...] = (),
    ) -> ScopeTree:
        key = salvage.steps_key(raw)
        known = self.steps_at(raw.get(key), (*path, key))
        return ScopeTree(order, known, path, raw, names, output_key, after)

    def steps_at(self, items: Any, path: Path) -> tuple[StepTree, ...]:
        """Return the steps of the list that stands at `path`."""
        steps = [
            self._step(item, (*path, index))
            for index, item in enumerate(items if isinstance(items, list) else ())
        ]
        return tuple(step for step in steps if step is not None)

    def _step(self, raw: Any, path: Path, *, default_id: str = "") -> StepTree | None:
        if not isinstance(raw, dict):
            self.report("D103", "a step is a mapping with `id` and `type`", "", path)
            return None
        is_unnamed = bool(default_id) and "id" not in raw
        if is_unnamed:
            raw = {**raw, "id": default_id}
        step = self._step_of(raw, path)
        return replace(step, is_unnamed=True) if is_unnamed else step

    def _step_of(self, raw: JsonObject, path: Path) -> StepTree:
        kind = self._kind(raw, path)
        if kind is None:
            return self._broken(kind, raw, path)
        if raw.get("type") != kind.type_name():
            raw = {**raw, "type": kind.type_name()}
        model = self.validated(kind, raw, path)
        if model is None or self._has_problems(model, path):
            return self._broken(kind, raw, path)
        parts = model.parts(raw)
        scopes = {part.name: self._nested(raw, path, part) for part in parts.scopes}
        fallback, compensate = self._fallback(raw, path), self._compensate(raw, path)
        return StepTree(model, raw, path, parts, scopes, fallback, compensate)

    def _has_problems(self, model: Step, path: Path) -> bool:
        problems = list(model.problems())
        for where, text in problems:
            self.report("D103", text, "", (*path, *where))
        return bool(problems)

    def _nested(self, raw: Any, path: Path, part: ScopePart) -> ScopeTree:
        for key in part.path:
            raw = raw[key]
        inner: Path = (*path, *part.path)
        key = part.output_key or ("output" if part.path else "")
        return self._scope(raw, inner, part.order, part.names, key, part.after)

    def _broken(self, kind: type[Step] | None, raw: JsonObject, path: Path) -> StepTree:
        """Return what can be saved of a step whose shape is wrong."""
        self.unsure.update(salvage.unsure_names(raw))
        scopes = {}
        for one in salvage.scopes_in(kind, raw):
            inner: Path = (*path, *one.path)
            scopes[pointer_to(*one.path)] = self._scope(
                one.holder, inner, one.order, one.names, "output" if one.path else ""
            )
        return StepTree(
            salvage.step_model(kind, raw),
            raw,
            path,
            salvage.step_parts(kind, raw),
            scopes,
            self._fallback(raw, path),
            self._compensate(raw, path),
            is_broken=True,
        )

    def _fallback(self, raw: JsonObject, path: Path) -> StepTree | None:
        fallback = raw.get("fallback")
        if not is_step(fallback, self.catalog):
            return None
        return self._step(fallback, (*path, "fallback"), default_id="fallback")

    def _compensate(self, raw: JsonObject, path: Path) -> StepTree | None:
        compensate = raw.get("compensate")
        if not isinstance(compensate, dict):
            return None
        return self._step(compensate, (*path, "compensate"), default_id="compensate")

    def _kind(self, raw: JsonObject, path: Path) -> type[Step] | None:
        """Return the model of a step's type, or of the one that was surely meant."""
        models, name = self.catalog.models, raw.get("type")
        if name is None:
            hint = "for example `type: http`"
            self.report("D102", "missing key 'type'", hint, path)
            meant = raw.get(salvage.meant_key(raw, "type"))
            is_known = isinstance(meant, str) and meant in models
            return self._model(str(meant), path) if is_known else None
        if isinstance(name, str) and name in models:
            return self._model(name, (*path, "type"))
        self._report_kind(name, (*path, "type"))
        if not isinstance(name, str) or name in planned.STEP_TYPES:
            return None
        meant = surely_meant(name, models)
        return self._model(meant, (*path, "type")) if meant in models else None

    def _model(self, name: str, path: Path) -> type[Step] | None:
        """Return the model of a known type; what another package brings may fail."""
        try:
            return self.catalog.models[name]
        except PlaitError as error:
            hint = "`plait plugins check` tells more"
            self.report("D106", f"step type '{name}' cannot be used: {error}", hint, path)
            return None

    def _report_kind(self, name: Any, path: Path) -> None:
        if isinstance(name, str) and name in planned.STEP_TYPES:
            text = f"step type '{name}' is not available in this version"
            self.report("D105", text, "", path)
            return
        known = sorted(self.catalog.models)
        hint = nearest_hint(str(name), known) or _known_types(known)
        self.report("D104", f"unknown step type '{shown(str(name))}'", hint, path)

    def validated(self, model: type[Any], raw: Any, path: Path) -> Any:
        """Return `raw` as a `model`; None, and findings, when it is none."""
        try:
            return model.model_validate(raw)
        except ValidationError as error:
            seen: set[Path] = set()
            for details in error.errors(include_url=False, include_context=True):
                self._explain(model, raw, path, details, seen)
            return None

    def _explain(
        self,
        model: type[BaseModel],
        raw: Any,
        path: Path,
        details: ErrorDetails,
        seen: set[Path],
    ) -> None:
        """Report one finding of pydantic's. Of a union's members, the first speaks."""
        found, last = _existing(raw, details["loc"])
        is_missing = details["type"] == "missing"
        where: Path = (*path, *found)
        marker: Path = (*where, str(last)) if is_missing else where
        if marker in seen:
            return
        seen.add(marker)
        if details["type"] == "extra_forbidden":
            self._report_unknown(model, found, where)
        elif is_missing:
            self.report("D102", f"missing key '{last}'", "", where)
        elif found and details["input"] in planned.VALUES.get(str(found[-1]), ()):
            text = f"'{found[-1]}: {details['input']}' is not available in this version"
            self.report("D105", text, "", where)
        else:
            is_key = details["loc"][-1:] == ("[key]",)
            description = _description(model, found)
            wrong = _wrong_value(details, found, description)
            self.report("D103", *wrong, where, key=is_key)

    def _report_unknown(self, model: type[BaseModel], found: Path, where: Path) -> None:
        name = str(found[-1])
        known = _keys_at(model, found[:-1])
        if name in planned.WORDS:
            text = f"'{name}' is not available in this version"
            self.report("D105", text, "", where, key=True)
            return
        hint = nearest_hint(name, known) or f"known keys: {', '.join(sorted(known))}"
        self.report("D101", f"unknown key '{name}'", hint, where, key=True)

    def report(
        self, code: str, message: str, hint: str, path: Path, *, key: bool = False
    ) -> None:
        """Add a finding about what stands at `path`."""
        span = self.source.span_of(path, key=key)
        self.found.add(Diagnostic(code, message, hint, span))


def _known_types(known: list[str]) -> str:
    return f"known types: {', '.join(known)}; others come with packages: install its own"


def is_step(value: Any, catalog: Catalog) -> bool:
    """Tell whether a `fallback` is a step: a mapping whose `type` names a step type.

    A `type` that names none is data, unless there is something beside it that only steps
    have: then it is a typing error, or a type of a later version.
    """
    if not isinstance(value, dict) or not isinstance(value.get("type"), str):
        return False
    return value["type"] in catalog.models or not _ONLY_IN_STEPS.isdisjoint(value)


def _existing(raw: Any, loc: tuple[str | int, ...]) -> tuple[Path, str | int]:
    """Return the part of pydantic's location that exists in `raw`, and its last word.

    Pydantic puts names of union members between the keys; they lead nowhere in `raw`.
    """
    found: list[str | int] = []
    for segment in loc:
        is_key = isinstance(raw, dict) and segment in raw
        if is_key or (isinstance(raw, list) and isinstance(segment, int)):
            raw = raw[segment]
            found.append(segment)
    return tuple(found), loc[-1] if loc else ""


def _wrong_value(details: ErrorDetails, found: Path, description: str) -> tuple[str, str]:
    """Return what is wrong with a value, and a hint, in words of the document."""
    key = next((one for one in reversed(found) if isinstance(one, str)), None)
    name = f"'{key}': " if key is not None else ""
    kind, value = details["type"], details["input"]
    if kind in _KINDS:
        return f"{name}should be {_KINDS[kind]}", ""
    if kind == "string_pattern_mismatch":
        return f"{name}'{shown(str(value))}' does not fit", _in_a_line(description)
    text = details["msg"].removeprefix("Value error, ")
    text = _PYDANTIC_SUBJECT.sub("should", text).removesuffix(_PYDANTIC_COUNT)
    hint = ""
    if kind == "literal_error":
        expected = str(details.get("ctx", {}).get("expected", ""))
        words = [word.strip(" '") for word in expected.replace(" or ", ",").split(",")]
        meant = surely_meant(str(value), words)
        hint = f"did you mean '{meant}'?" if meant else ""
    is_named = bool(found) and text.startswith(f"'{found[-1]}'")
    return (text if is_named else name + text), hint


def _in_a_line(text: str) -> str:
    return " ".join(text.split()).removesuffix(".").lower()


def _description(model: type[BaseModel], path: Path) -> str:
    """Return what a top-level field of `model` is described by."""
    name = _name_of(model, path[0]) if len(path) == 1 else None
    return "" if name is None else description_of(model, name)


def _keys_at(model: type[BaseModel], path: Path) -> set[str]:
    """Return the keys that the mapping at `path` of a `model` may have."""
    models = [model]
    for segment in path:
        inner: list[type[BaseModel]] = []
        for one in models:
            name = _name_of(one, segment)
            inner.extend(_models_in(one.model_fields[name].annotation) if name else ())
        models = inner or models
    return {key for one in models for key in keys_of(one)}


def _name_of(model: type[BaseModel], segment: str | int) -> str | None:
    for name, field in model.model_fields.items():
        if (field.alias or name) == segment:
            return name
    return None


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in getattr(annotation, "__args__", ()):
        yield from _models_in(argument)
