"""Is the `input` schema itself valid? Checked against the 2020-12 meta-schema."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice
from typing import Any, Final

import jsonschema_rs

from plait.compile.findings import Findings
from plait.compile.input_schema import inner_schemas, outside_references
from plait.model.place import pointer_to

_META = jsonschema_rs.validator_for(
    {"$ref": "https://json-schema.org/draft/2020-12/schema"}
)
_LONG_KEYS: Final = ("properties", "$defs")
_BATCH: Final = 100
# What the schema is called while references to its parts are followed.
_HERE: Final = "urn:plait:input"


def check_input_schema(schema: Any, findings: Findings) -> bool:
    """Tell whether `schema` is valid; report what is not. Nothing is fetched for it."""
    if schema is None:
        return True
    outside = outside_references(schema)
    for reference in outside:
        text = f"the input schema refers to '{reference}', which would have to be fetched"
        findings.error("P013", text, "copy it under `$defs`", ("input",))
    is_valid = not outside
    for path in _embedded(schema):
        text = "a schema inside the input schema cannot have an `$id` of its own"
        hint = "leave it out, and refer to it by `#/$defs/…` or an `$anchor`"
        findings.error("P013", text, hint, ("input", *path, "$id"))
        is_valid = False
    for error in _errors_in(schema):
        _report(error, findings)
        is_valid = False
    if is_valid:
        for error in _beyond_the_meta_schema(schema):
            _report(error, findings)
            is_valid = False
    if is_valid:
        is_valid = _check_defaults(schema, findings)
    return is_valid


def _check_defaults(schema: Any, findings: Findings) -> bool:
    """Tell whether every `default` fits its schema; a request without it would not."""
    registry, is_valid = None, True
    for path, one in inner_schemas(schema):
        if "default" not in one:
            continue
        registry = registry or jsonschema_rs.Registry([(_HERE, schema)])
        check = jsonschema_rs.Draft202012Validator(
            {"$ref": f"{_HERE}#{_fragment(path)}"},
            registry=registry,
            offline=True,
            validate_formats=True,
        )
        for error in islice(check.iter_errors(one["default"]), 1):
            text = f"the default does not fit its schema: {error.message}"
            findings.error("P013", text, "", ("input", *path, "default"))
            is_valid = False
    return is_valid


def _fragment(path: tuple[str | int, ...]) -> str:
    """Return a pointer as a reference has it.

    >>> _fragment(("properties", "a b/c"))
    '/properties/a%20b~1c'
    """
    return re.sub(r"[^\w/.~-]", _percent, pointer_to(*path), flags=re.ASCII)


def _percent(found: re.Match[str]) -> str:
    return "".join(f"%{byte:02X}" for byte in found[0].encode("utf-8", "replace"))


def _embedded(schema: Any) -> list[tuple[str | int, ...]]:
    """Return where schemas stand that are documents of their own: pointers and anchors
    would mean something else inside them than around them.
    """
    inner = inner_schemas(schema)
    found = [path for path, one in inner if path and isinstance(one.get("$id"), str)]
    return sorted(found, key=str)


def _errors_in(schema: Any) -> Iterator[jsonschema_rs.ValidationError]:
    """Yield what the meta-schema says, of long mappings a batch at a time.

    The validator makes all its errors before it gives the first: 5,000 take 150 ms.
    """
    for part in _batches(schema):
        yield from _META.iter_errors(part)


def _batches(schema: Any) -> Iterator[Any]:
    """Yield `schema` in parts, with every key at its place in one of them."""
    whole = dict(schema) if isinstance(schema, dict) else schema
    for key in _LONG_KEYS:
        inner = schema.get(key) if isinstance(schema, dict) else None
        if isinstance(inner, dict) and len(inner) > _BATCH:
            del whole[key]
            names = list(inner)
            for start in range(0, len(names), _BATCH):
                yield {key: {name: inner[name] for name in names[start : start + _BATCH]}}
    yield whole


def _beyond_the_meta_schema(schema: Any) -> list[jsonschema_rs.ValidationError]:
    """What the meta-schema cannot say: a pattern is no regular expression, a reference
    leads nowhere.
    """
    try:
        jsonschema_rs.Draft202012Validator(schema, offline=True)
    except jsonschema_rs.ValidationError as error:
        return [error]
    return []


def _report(error: jsonschema_rs.ValidationError, findings: Findings) -> None:
    path = ("input", *error.instance_path)
    findings.error("P013", f"the input schema is invalid: {error.message}", "", path)
