"""Repairs: a draft is compiled, and what the diagnostics say is mended.

Rule 1. Each code has its repair, in REPAIRS; one that has none, or whose repair changed
        nothing, costs the step that it stands in.
Rule 2. A round mends one finding per step at most: the next compilation says what is left.
Rule 3. What is taken out is told: it is a question for whoever reads the draft.

Not here: edits that people ask for (plait.agent.edits).
"""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

from plait.agent.writing import write_document
from plait.compile import CompileErrors, compile_text
from plait.document import Catalog
from plait.document.source import Source, SourceErrors, read_source
from plait.model.diagnostic import Diagnostic, Severity
from plait.model.json import JsonObject, JsonValue
from plait.model.record import record

# A draft of forty steps that is wrong in each is mended within so many.
ROUNDS_MAX: Final = 60
_QUOTED: Final = re.compile(r"'([^']*)'")

Path: TypeAlias = tuple[str | int, ...]
# Compiles a document's text, and looks for what else it could not be deployed for; raises
# CompileErrors.
Checks: TypeAlias = Callable[[str], object]


@record
class Fault:
    """A finding in a document, and where its values are wrong."""

    document: JsonObject
    path: Path
    found: Diagnostic


# Changes the document where a finding stands; returns what was done, empty: nothing.
Repair: TypeAlias = Callable[[Fault], str]


@record
class Mended:
    """A draft after one round.

    Attributes:
        diagnostics: What was wrong with it before.
        done: What was done about it, a line each.
        lost: What was taken out.
    """

    diagnostics: tuple[Diagnostic, ...]
    done: tuple[str, ...]
    lost: tuple[str, ...]


def findings(
    text: str, catalog: Catalog, checks: Checks | None = None
) -> tuple[Diagnostic, ...]:
    """Return the errors of a document's text; warnings are left out.

    Args:
        checks: What judges it as deploying does; None: it shall compile, and no more.
    """
    try:
        if checks is None:
            compile_text(text.encode(), name="draft.yaml", catalog=catalog)
        else:
            checks(text)
    except CompileErrors as error:
        return tuple(
            one for one in error.diagnostics if one.severity is Severity.ERROR
        ) or tuple(error.diagnostics)
    return ()


def mend(document: JsonObject, text: str, wrong: tuple[Diagnostic, ...]) -> Mended:
    """Change `document` by what is wrong with its text.

    Args:
        document: What `text` was written from; it is changed in its place.
    """
    done: list[str] = []
    lost: list[str] = []
    touched: set[Path] = set()
    try:
        source = read_source(text.encode(), name="draft.yaml")
    except SourceErrors:
        return Mended(wrong, (), ())
    for one in wrong:
        path = _path_to(source, document, one)
        step = _step_at(document, path)
        if step in touched:
            continue
        touched.add(step)
        before = copy.deepcopy(document)
        said = REPAIRS.get(one.code, _none)(Fault(document, path, one))
        if said and document != before:
            done.append(f"{one.code}: {said}")
            continue
        gone = _drop(document, path)
        if gone:
            done.append(f"{one.code}: took out {gone}")
            lost.append(f"{gone} was taken out: {one.message}. How shall it be done?")
    return Mended(wrong, tuple(done), tuple(lost))


# -- where a finding stands ------------------------------------------------------------


def _path_to(source: Source, document: JsonObject, found: Diagnostic) -> Path:
    """Return the keys that lead to the smallest value around a finding."""
    at = found.span.line, found.span.column
    best: Path = ()
    waiting: list[tuple[Path, JsonValue]] = [((), document)]
    while waiting:
        path, value = waiting.pop()
        if path:
            own, key = source.span_of(path), source.span_of(path, key=True)
            begins = min((own.line, own.column), (key.line, key.column))
            if not begins <= at <= (own.end_line, own.end_column):
                continue
            best = max(best, path, key=len)
        if isinstance(value, dict):
            waiting += [((*path, key), inner) for key, inner in value.items()]
        elif isinstance(value, list):
            waiting += [((*path, place), inner) for place, inner in enumerate(value)]
    return best


def _at(document: JsonObject, path: Path) -> Any:
    here: Any = document
    for key in path:
        here = here[key]
    return here


def _step_at(document: JsonObject, path: Path) -> Path:
    """Return the path of the innermost step around a place; empty: it is in none."""
    for length in range(len(path), 0, -1):
        value = _at(document, path[:length])
        if (
            isinstance(value, dict)
            and "type" in value
            and path[length - 2 : length - 1] == ("steps",)
        ):
            return path[:length]
    return ()


def _drop(document: JsonObject, path: Path) -> str:
    """Take out the step, or the key of the document, that a place is in."""
    step = _step_at(document, path)
    if step:
        gone = _at(document, step).get("id", "a step")
        holder = _at(document, step[:-1])
        holder.remove(_at(document, step))
        if not holder:
            _drop_group(document, step[:-1])
        _forget(document, str(gone))
        return f"step '{gone}'"
    if path and path[0] not in ("name", "steps"):
        document.pop(str(path[0]), None)
        return f"`{path[0]}`"
    return ""


def _drop_group(document: JsonObject, steps: Path) -> None:
    """A group without steps is none: take out what holds it."""
    outer = _step_at(document, steps)
    if outer:
        holder = _at(document, outer[:-1])
        gone = _at(document, outer)
        holder.remove(gone)
        _forget(document, str(gone.get("id")))


def _forget(value: Any, gone: str) -> None:
    """Let nobody wait for a step that is not there any more."""
    if isinstance(value, dict):
        waits = value.get("depends_on")
        if isinstance(waits, list) and gone in waits:
            waits.remove(gone)
            if not waits:
                del value["depends_on"]
        for inner in value.values():
            _forget(inner, gone)
    elif isinstance(value, list):
        for inner in value:
            _forget(inner, gone)


def _step_of(fault: Fault) -> Any:
    """Return the step that a fault stands in; empty: it stands in none."""
    step = _step_at(fault.document, fault.path)
    return _at(fault.document, step) if step else {}


# -- repairs ---------------------------------------------------------------------------


def _none(_: Fault) -> str:
    return ""


def _rename_step(fault: Fault) -> str:
    """Give a step an id that it may have, and everybody who reads it the new one."""
    value = _step_of(fault)
    old = value.get("id")
    if not isinstance(old, str):
        return ""
    base = re.sub(r"\W", "_", old, flags=re.ASCII).strip("_") or "step"
    new = f"{base}_step" if base == old or base[0].isdigit() else base
    if base[0].isdigit():
        new = f"step_{base}"
    taken = set(_ids(fault.document))
    while new in taken:
        new += "_"
    value["id"] = new
    rename_reads(fault.document, old, new)
    return f"renamed step '{old}' to '{new}'"


def _ids(value: Any) -> list[str]:
    found: list[str] = []
    if isinstance(value, dict):
        if isinstance(value.get("id"), str) and "type" in value:
            found.append(value["id"])
        for inner in value.values():
            found += _ids(inner)
    elif isinstance(value, list):
        for inner in value:
            found += _ids(inner)
    return found


def rename_reads(value: Any, old: str, new: str) -> None:
    """Let every template and `depends_on` inside a value read a step by its new id."""
    pairs = value.items() if isinstance(value, dict) else enumerate(value)
    for key, inner in list(pairs):
        if key == "depends_on" and isinstance(inner, list):
            value[key] = [new if one == old else one for one in inner]
        elif key == "to" and inner == old and value.get("type") == "goto":
            value[key] = new
        elif isinstance(inner, str):
            value[key] = in_templates(inner, old, new)
        elif isinstance(inner, dict | list):
            rename_reads(inner, old, new)


# Texts in a template may hold braces; in the raw text of a scalar, quotes are escaped.
# Each alternative begins with another character: the time it takes is linear.
_TEMPLATE: Final = re.compile(
    r"(?<!\$)\$\{(?:'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"|\\.|\{[^{}]*\}|[^{}'\"\\])*\}"
)
_TEXT_OR_NAME: Final = r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"|(?<![\w.]){}(?!\w)"


def in_templates(text: str, old: str, new: str) -> str:
    """Return a text whose templates read a name by another; texts in them stay.

    >>> in_templates("${a.response + 'a.b'} a ${b.a}", "a", "c")
    "${c.response + 'a.b'} a ${b.a}"
    """
    pattern = re.compile(_TEXT_OR_NAME.format(re.escape(old)))

    def within(found: re.Match[str]) -> str:
        return pattern.sub(lambda one: new if one[0] == old else one[0], found[0])

    return _TEMPLATE.sub(within, text)


def _make_durable(fault: Fault) -> str:
    fault.document["mode"] = "durable"
    return "made the workflow durable: it waits for somebody"


def _add_input(fault: Fault) -> str:
    named = _QUOTED.findall(fault.found.message)
    schema = fault.document.setdefault("input", {"type": "object"})
    names = [str(one).rpartition(".")[2] for one in named if one != "input"]
    if not names or not isinstance(schema, dict):
        return ""
    name = names[0]
    properties = schema.setdefault("properties", {})
    if not isinstance(properties, dict) or name in properties:
        return ""
    properties[name] = {"type": "string"}
    return f"added `{name}` to the input"


def _read_input(fault: Fault) -> str:
    """Take a value that no step gives from the input, or from the step that was meant."""
    named = _QUOTED.findall(fault.found.message)
    hinted = _QUOTED.findall(fault.found.hint)
    if not named:
        return ""
    old = str(named[0])
    holder, key = _holder(fault.document, fault.path)
    if holder is None or not isinstance(holder[key], str):
        return ""
    if "did you mean" in fault.found.hint and hinted:
        holder[key] = in_templates(holder[key], old, hinted[0])
        return f"read '{hinted[0]}' in the place of '{old}'"
    name = re.sub(r"\W", "_", old)
    holder[key] = re.sub(
        rf"(?<![\w.]){re.escape(old)}\b[\w.]*", f"input.{name}", holder[key]
    )
    schema = fault.document.setdefault("input", {"type": "object"})
    if isinstance(schema, dict):
        properties = schema.setdefault("properties", {})
        if isinstance(properties, dict):
            properties.setdefault(name, {})
    return f"took '{old}' from the input"


def _holder(document: JsonObject, path: Path) -> tuple[Any, str | int]:
    return (_at(document, path[:-1]), path[-1]) if path else (None, "")


def _drop_waits(fault: Fault) -> str:
    """Break a circle, or a wait for nobody, at the `depends_on` of the step."""
    value = _step_of(fault)
    return "waits for nobody" if value.pop("depends_on", None) is not None else ""


def _drop_key(fault: Fault) -> str:
    holder, key = _holder(fault.document, fault.path)
    required = ("id", "type", "request", "steps", "items", "cases", "name")
    if not isinstance(holder, dict) or key in required:
        return ""
    del holder[key]
    return f"left `{key}` out"


def _set_partial(fault: Fault) -> str:
    endpoint = fault.document.get("endpoint")
    if not isinstance(endpoint, dict):
        return ""
    endpoint["partial"] = True
    return "the endpoint answers without what failed"


def _loosen_input(fault: Fault) -> str:
    """Keep of a schema that is none the names of its properties."""
    schema = fault.document.get("input")
    properties = schema.get("properties") if isinstance(schema, dict) else None
    if not isinstance(properties, dict):
        return ""
    fault.document["input"] = {
        "type": "object",
        "properties": {name: {} for name in properties},
    }
    return "kept only the names of the input's properties"


def _change_value(fault: Fault) -> str:
    """A value is not what its key takes: an id is renamed, a setting left out."""
    holder, key = _holder(fault.document, fault.path)
    if key == "id":
        return _rename_step(fault)
    if key == "name" and holder is fault.document:
        fault.document["name"] = (
            re.sub(r"[^A-Za-z0-9._-]+", "-", str(fault.document["name"])).strip(".")
            or "draft"
        )
        return "changed the name"
    return _drop_key(fault)


REPAIRS: Final[Mapping[str, Repair]] = {
    "D101": _drop_key,
    "D103": _change_value,
    "P001": _read_input,
    "P002": _drop_key,
    "P003": _drop_waits,
    "P004": _rename_step,
    "P005": _rename_step,
    "P006": _drop_waits,
    "P008": _drop_waits,
    "P010": _add_input,
    "P013": _loosen_input,
    "P014": _add_input,
    "P015": _set_partial,
    "P018": _make_durable,
    "P022": _drop_key,
    "P023": _drop_key,
    "P026": _drop_key,
    "P027": _drop_key,
}


def text_of(document: JsonObject, unresolved: tuple[str, ...]) -> str:
    """Return a draft's text; what is unresolved stands above it."""
    return write_document(document, tuple(f"Open: {one}" for one in unresolved))
