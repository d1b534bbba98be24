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
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from plait.document import planned
from plait.document.catalog import Catalog
from plait.document.found import Found
from plait.document.source import Source
from plait.document.step import Parts, Step
from plait.document.tree import Document, Path, ScopeTree, StepTree
from plait.document.workflow import WorkflowModel
from plait.model.diagnostic import Diagnostic, did_you_mean

_PYDANTIC_SUBJECT = re.compile(r"^(?:Input|String|List|Dictionary|Value) should")
_PYDANTIC_COUNT = " after validation, not 0"
_ONLY_IN_STEPS = frozenset({"request", "steps", "branches"})


def parse_document(source: Source, catalog: Catalog) -> Document:
    """Return the document that `source` holds; `found` says what is wrong with its shape.

    Raises:
        DocumentErrors: More is wrong than is worth listing.
    """
    return _Parser(source, catalog).document()


class _Parser:
    def __init__(self, source: Source, catalog: Catalog) -> None:
        self.source = source
        self.catalog = catalog
        self.found = Found()
        self.broken: set[str] = set()

    def document(self) -> Document:
        raw = self.source.value
        assert isinstance(raw, dict)
        model = self._validated(WorkflowModel, raw, ())
        root = self._scope(raw, (), "graph", (), has_output=True)
        if raw.get("order") == "sequence":
            root = replace(root, order="sequence")
        broken = frozenset(self.broken)
        return Document(model or _stand_in(raw), raw, root, self.source, self.found, broken)

    def _scope(
        self, raw: Any, path: Path, order: str, names: tuple[str, ...], *, has_output: bool
    ) -> ScopeTree:
        items = raw.get("steps") if isinstance(raw, dict) else None
        steps = [
            self._step(item, (*path, "steps", index))
            for index, item in enumerate(items if isinstance(items, list) else ())
        ]
        known = tuple(step for step in steps if step is not None)
        return ScopeTree(order, known, path, raw, names, has_output)

    def _step(self, raw: Any, path: Path, *, default_id: str = "") -> StepTree | None:
        kind = self._kind(raw, path)
        if kind is None:
            self._note_broken(raw)
            return None
        if default_id and "id" not in raw:
            raw = {**raw, "id": default_id}
        model = self._validated(kind, raw, path)
        if model is None:
            self._note_broken(raw)
            self._look_inside(raw, path)
            return None
        parts = model.parts(raw)
        scopes = {
            part.name: self._nested(raw, path, parts, i)
            for i, part in enumerate(parts.scopes)
        }
        return StepTree(model, raw, path, parts, scopes, self._fallback(raw, path))

    def _note_broken(self, raw: Any) -> None:
        step_id = raw.get("id") if isinstance(raw, dict) else None
        if isinstance(step_id, str):
            self.broken.add(step_id)

    def _nested(self, raw: Any, path: Path, parts: Parts, index: int) -> ScopeTree:
        part = parts.scopes[index]
        for key in part.path:
            raw = raw[key]
        inner: Path = (*path, *part.path)
        return self._scope(raw, inner, part.order, part.names, has_output=bool(part.path))

    def _look_inside(self, raw: dict[str, Any], path: Path) -> None:
        """Report on the steps inside a step that is itself wrong."""
        self._scope(raw, path, "graph", (), has_output=False)
        branches = raw.get("branches")
        for name, branch in branches.items() if isinstance(branches, dict) else ():
            self._scope(branch, (*path, "branches", name), "graph", (), has_output=True)

    def _fallback(self, raw: dict[str, Any], path: Path) -> StepTree | None:
        fallback = raw.get("fallback")
        if not is_step(fallback, self.catalog):
            return None
        return self._step(fallback, (*path, "fallback"), default_id="fallback")

    def _kind(self, raw: Any, path: Path) -> type[Step] | None:
        if not isinstance(raw, dict):
            self._report("D103", "a step is a mapping with `id` and `type`", "", path)
            return None
        name = raw.get("type")
        if name is None:
            hint = "for example `type: http`"
            self._report("D102", "missing key 'type'", hint, path)
            return None
        kind = self.catalog.models.get(name) if isinstance(name, str) else None
        if kind is None:
            self._report_kind(name, (*path, "type"))
        return kind

    def _report_kind(self, name: Any, path: Path) -> None:
        if isinstance(name, str) and name in planned.STEP_TYPES:
            text = f"step type '{name}' is not available in this version"
            self._report("D105", text, "", path)
            return
        known = sorted(self.catalog.models)
        hint = did_you_mean(str(name), known) or f"known types: {', '.join(known)}"
        self._report("D104", f"unknown step type '{name}'", hint, path)

    def _validated(self, model: type[Any], raw: Any, path: Path) -> Any:
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
            self._report("D102", f"missing key '{last}'", "", where)
        elif found and details["input"] in planned.VALUES.get(str(found[-1]), ()):
            text = f"'{found[-1]}: {details['input']}' is not available in this version"
            self._report("D105", text, "", where)
        else:
            self._report("D103", *_wrong_value(details, found), where)

    def _report_unknown(self, model: type[BaseModel], found: Path, where: Path) -> None:
        name = str(found[-1])
        known = _keys_at(model, found[:-1])
        if name in planned.WORDS:
            text = f"'{name}' is not available in this version"
            self._report("D105", text, "", where, key=True)
            return
        hint = did_you_mean(name, known) or f"known keys: {', '.join(sorted(known))}"
        self._report("D101", f"unknown key '{name}'", hint, where, key=True)

    def _report(
        self, code: str, message: str, hint: str, path: Path, *, key: bool = False
    ) -> None:
        span = self.source.span_of(path, key=key)
        self.found.add(Diagnostic(code, message, hint, span))


def _stand_in(raw: dict[str, Any]) -> WorkflowModel:
    """Return a model for a document whose own keys are wrong, to look at its steps by."""
    schema = raw.get("input")
    known = schema if isinstance(schema, dict) else None
    return WorkflowModel.model_construct(name="", steps=[], input=known)


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


def _wrong_value(details: ErrorDetails, found: Path) -> tuple[str, str]:
    name = f"'{found[-1]}': " if found and isinstance(found[-1], str) else ""
    text = details["msg"].removeprefix("Value error, ")
    text = _PYDANTIC_SUBJECT.sub("should", text).removesuffix(_PYDANTIC_COUNT)
    hint = ""
    if details["type"] == "literal_error":
        expected = str(details.get("ctx", {}).get("expected", ""))
        words = [word.strip(" '") for word in expected.replace(" or ", ",").split(",")]
        hint = did_you_mean(str(details["input"]), words)
    return name + text, hint


def _keys_at(model: type[BaseModel], path: Path) -> set[str]:
    """Return the keys that the mapping at `path` of a `model` may have."""
    models = [model]
    for segment in path:
        inner: list[type[BaseModel]] = []
        for one in models:
            field = _field_named(one, segment)
            inner.extend(_models_in(field.annotation) if field else ())
        models = inner or models
    return {
        field.alias or name for one in models for name, field in one.model_fields.items()
    }


def _field_named(model: type[BaseModel], segment: str | int) -> Any:
    for name, field in model.model_fields.items():
        if (field.alias or name) == segment:
            return field
    return None


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in getattr(annotation, "__args__", ()):
        yield from _models_in(argument)
