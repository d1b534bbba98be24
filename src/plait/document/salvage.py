"""What can be saved of a step, or of a document's own keys, whose shape is wrong.

The finding about the shape has been made. What is saved lets the compiler look at the rest
all the same: whoever mends the shape shall not meet a wrong name there that stood before
their eyes already. So nothing here reports anything.

Rule. In doubt nothing is claimed: what may be text for people is not read as a template,
and what a step of an unknown type may see is visible to it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, ClassVar, Final

from pydantic import BaseModel, ValidationError

from plait.document import planned
from plait.document.fields import RESERVED_NAMES, keys_of
from plait.document.nearest import surely_meant
from plait.document.retry import Retry
from plait.document.step import Parts, Step, StepSettings, TemplatePart
from plait.document.workflow import Endpoint, WorkflowModel
from plait.model.json import JsonObject
from plait.model.record import record

# Beside these, all keys of a broken step are read as templates.
_NO_TEMPLATES: Final = keys_of(Step) | planned.STEP_KEYS | {"type", "steps", "branches"}
_KNOWN: Final = _NO_TEMPLATES | keys_of(WorkflowModel)
_SEEN_IN_LOOPS: Final = ("item", "index", "iteration", "previous", "error")
_NAME: Final = re.compile(r"[A-Za-z_]\w*", re.ASCII)


class UnknownStep(Step):
    """Stands in for a step of an unknown type."""

    machine: ClassVar[str] = ""


def step_model(kind: type[Step] | None, raw: JsonObject) -> Step:
    """Return a model of a broken step, with those settings that can be made out.

    Args:
        kind: The model of its type; None if nobody knows.
    """
    settings: dict[str, Any] = {key: raw[key] for key in raw if key in Step.model_fields}
    settings["id"] = _id_of(raw)
    settings["depends_on"] = _names_in(raw.get("depends_on"))
    if "retry" in raw:
        settings["retry"] = _retry_in(raw)
    return (kind or UnknownStep).model_construct(**settings)


def unsure_names(raw: JsonObject) -> list[str]:
    """Return what expressions may call a step that has no id, or one they cannot read.

    >>> unsure_names({"id": "check-user"}), unsure_names({"name": "user"})
    (['check', 'user'], ['user'])
    >>> unsure_names({"id": "user"})
    []
    """
    name = raw.get("id", raw.get("name"))
    found = _NAME.findall(name) if isinstance(name, str) else []
    return [] if found == [raw.get("id")] else found


def step_parts(kind: type[Step] | None, raw: JsonObject) -> Parts:
    """Return the templates of a broken step: every key that is none of the common ones."""
    known = keys_of(kind or UnknownStep)
    names = ("event", *kind.inner_names) if kind is not None else _names_inside(raw)
    unsure = kind.keys_after if kind is not None else ()
    is_call = kind is None or kind.machine == "call"
    return Parts(
        templates=tuple(
            TemplatePart(key, (key,), may_read_secrets=is_call, names=names)
            for key in raw
            if key not in _NO_TEMPLATES
            and key not in unsure
            and (key in known or not surely_meant(key, _NO_TEMPLATES))
            and not _has_steps(raw[key])
        )
    )


@record
class SavedScope:
    """A scope inside a broken step. `path` leads from the step to `holder`."""

    path: tuple[str | int, ...]
    holder: JsonObject
    order: str = "graph"
    names: tuple[str, ...] = ()


def scopes_in(kind: type[Step] | None, raw: JsonObject) -> Iterator[SavedScope]:
    """Yield the scopes inside a broken step."""
    if kind is None:
        names = _names_inside(raw)
        for path, holder in _holders(raw):
            yield SavedScope(path, holder, "graph", names)
        return
    if steps_key(raw):
        order = "sequence" if kind.machine == "sequence" else "graph"
        yield SavedScope((), raw, order, kind.inner_names)
    key = meant_key(raw, "branches")
    branches = raw.get(key)
    for name, branch in branches.items() if isinstance(branches, dict) else ():
        if isinstance(branch, dict):
            yield _saved((key, name), branch)
    for path, holder in _holders(raw):
        if path and path[0] != key:
            given = holder.get("as", "error")
            names = (given,) if isinstance(given, str) else ()
            yield _saved(path, holder, (*names, *kind.holder_names))


def _saved(
    path: tuple[str | int, ...], holder: JsonObject, names: tuple[str, ...] = ()
) -> SavedScope:
    order = "sequence" if holder.get("order") == "sequence" else "graph"
    return SavedScope(path, holder, order, names)


def steps_key(holder: JsonObject) -> str:
    """Return the key under which `holder` has its steps, rightly spelt or not; or ""."""
    return meant_key(holder, "steps")


def meant_key(raw: JsonObject, word: str) -> str:
    """Return the key of `raw` that is `word`, or was meant to be; "" if none is.

    >>> meant_key({"name": "n", "stpes": []}, "steps")
    'stpes'
    """
    if word in raw:
        return word
    keys = (key for key in raw if key not in _KNOWN)
    return next((key for key in keys if surely_meant(key, [word])), "")


def workflow_model(raw: JsonObject) -> WorkflowModel:
    """Return a model for a document whose own keys are wrong, to look at its steps by."""
    schema = raw.get("input")
    saved: dict[str, Any] = {
        "name": "",
        "steps": [],
        "input": schema if isinstance(schema, (dict, bool)) else None,
    }
    defaults, endpoint = raw.get("defaults"), raw.get("endpoint")
    if isinstance(defaults, dict):
        saved["defaults"] = _settings_in(defaults)
    if isinstance(endpoint, dict):
        saved["endpoint"] = _endpoint_in(endpoint)
    return WorkflowModel.model_construct(**saved)


def ids_in(value: Any) -> Iterator[str]:
    """Yield every text that stands under an `id` in `value`, however deep."""
    stack = [value]
    while stack:
        one = stack.pop()
        if isinstance(one, dict):
            if isinstance(one.get("id"), str):
                yield one["id"]
            one = list(one.values())
        stack.extend(one if isinstance(one, list) else ())


def _id_of(raw: JsonObject) -> str:
    """Return a broken step's id; "" if it has none that anything could name."""
    step_id = raw.get("id")
    is_name = isinstance(step_id, str) and step_id not in RESERVED_NAMES
    return str(step_id) if is_name else ""


def _names_in(value: Any) -> list[str]:
    """Return what stands in a `depends_on`, position by position; "" where no name is."""
    items = value if isinstance(value, list) else [value]
    return [item if isinstance(item, str) else "" for item in items]


def _retry_in(raw: JsonObject) -> Retry | None:
    retry = raw.get("retry")
    if not isinstance(retry, dict):
        return None
    on = retry.get("on")
    is_expression = isinstance(on, str) and "${" in on
    return Retry.model_construct(on=on if is_expression else None)


def _settings_in(raw: JsonObject) -> StepSettings:
    saved = _valid_fields(StepSettings, raw)
    if "retry" in raw:
        saved["retry"] = _retry_in(raw)
    return StepSettings.model_construct(**saved)


def _endpoint_in(raw: JsonObject) -> Endpoint:
    saved = _valid_fields(Endpoint, raw, path="/")
    status = raw.get("status")
    if "status" not in saved and isinstance(status, dict):
        saved["status"] = {key: 500 for key in status if "${" in key}
    return Endpoint.model_construct(**saved)


def _valid_fields(
    model: type[BaseModel], raw: JsonObject, **required: str
) -> dict[str, Any]:
    """Return those fields of `model` that are right in `raw`, as the model keeps them.

    Args:
        required: What stands in for fields that must be there and are not.
    """
    wrong: set[Any] = set()
    try:
        model.model_validate({**required, **raw})
    except ValidationError as error:
        wrong = {details["loc"][0] for details in error.errors() if details["loc"]}
    right = {key: value for key, value in raw.items() if key not in wrong}
    valid = model.model_validate({**required, **right})
    return {name: getattr(valid, name) for name in valid.model_fields_set}


def _names_inside(raw: JsonObject) -> tuple[str, ...]:
    """Return the names that a step of an unknown type may give to those inside it."""
    given = (mapping.get("as") for _, mapping in _mappings(raw))
    return (*_SEEN_IN_LOOPS, *(name for name in given if isinstance(name, str)))


def _holders(raw: Any) -> Iterator[tuple[tuple[str | int, ...], JsonObject]]:
    """Yield the path and the mapping of each scope in a step of an unknown type."""
    return (found for found in _mappings(raw) if isinstance(found[1].get("steps"), list))


def _has_steps(value: Any) -> bool:
    return any(True for _ in _holders(value))


def _mappings(value: Any) -> Iterator[tuple[tuple[str | int, ...], JsonObject]]:
    """Yield each mapping in `value`, and its path; not those inside `steps`."""
    stack: list[tuple[tuple[str | int, ...], Any]] = [((), value)]
    while stack:
        path, one = stack.pop()
        if isinstance(one, dict):
            yield path, one
            stack.extend(((*path, key), one[key]) for key in one if key != "steps")
        elif isinstance(one, list):
            stack.extend(((*path, index), item) for index, item in enumerate(one))
