"""What is known of `input` from its JSON Schema, as far as reads can be checked.

Only what is certain is an error: a key that a closed object (`additionalProperties:
false`) does not have, or a key of something that is no object. A key that an open object
does not name but nearly does is a warning. Where the schema branches (`anyOf`, `$ref` to
elsewhere …) nothing is claimed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

from plait.document.nearest import nearest_hint
from plait.expression import Read
from plait.model.json import JsonObject
from plait.model.record import record

_BRANCHES: Final = frozenset(
    "anyOf oneOf allOf if not $dynamicRef patternProperties dependentSchemas "
    "unevaluatedProperties".split()
)
_REF_HOPS_MAX = 16
# 100: each takes up to 1 ms, and of the warnings that follow, 50 are listed.
_GUESSES_MAX: Final = 100


@record
class Problem:
    """A read that the schema speaks against."""

    message: str
    hint: str
    is_certain: bool


class InputShape:
    """The input schema, as far as it can be walked."""

    def __init__(self, schema: JsonObject | bool | None) -> None:
        self._root: Any = schema
        self._guesses_left = _GUESSES_MAX

    def problem_with(self, read: Read) -> Problem | None:
        """Return what is wrong with reading `read`, whose first word is `input`."""
        schema, path = self._resolved(self._root), "input"
        for key in read[1:]:
            if not isinstance(schema, dict) or _BRANCHES & schema.keys():
                return None
            problem = self._problem_at(schema, key, path)
            if problem is not None:
                return problem
            path = f"{path}[{key}]" if isinstance(key, int) else f"{path}.{key}"
            schema = self._resolved(_inner(schema, key))
        return None

    def _problem_at(
        self, schema: dict[str, Any], key: str | int, path: str
    ) -> Problem | None:
        wrong_kind = _wrong_kind(schema, key, path)
        properties = schema.get("properties", {})
        if wrong_kind or isinstance(key, int) or not isinstance(properties, dict):
            return wrong_kind
        if key in properties:
            return None
        if schema.get("additionalProperties") is False:
            known = ", ".join(sorted(properties)) or "none"
            hint = nearest_hint(key, properties) or f"known keys: {known}"
            return Problem(f"'{path}' has no key '{key}'", hint, True)
        if "additionalProperties" in schema or not self._guesses_left:
            return None
        self._guesses_left -= 1
        hint = nearest_hint(key, properties)
        text = f"'{path}' names no key '{key}' in its schema"
        return Problem(text, hint, False) if hint else None

    def properties(self) -> tuple[dict[str, Any], bool]:
        """Return the named properties of `input`, and whether there can be no others."""
        schema = self._resolved(self._root)
        if not isinstance(schema, dict):
            return {}, False
        is_closed = (
            schema.get("additionalProperties") is False and not _BRANCHES & schema.keys()
        )
        properties = schema.get("properties")
        return (properties if isinstance(properties, dict) else {}), is_closed

    def _resolved(self, schema: Any) -> Any:
        for _ in range(_REF_HOPS_MAX):
            reference = schema.get("$ref") if isinstance(schema, dict) else None
            if not isinstance(reference, str):
                return schema
            schema = self._pointed(reference)
        return None

    def _pointed(self, reference: str) -> Any:
        found: Any = self._root
        if not reference.startswith("#/"):
            return self._root if reference == "#" else None
        for segment in reference[2:].split("/"):
            key = _unquoted(segment).replace("~1", "/").replace("~0", "~")
            if not isinstance(found, dict):
                return None
            found = found.get(key)
        return found


def _unquoted(segment: str) -> str:
    """Return a segment of a reference, a URI, without its percent-encoding.

    >>> _unquoted("a%20b%C3%A9"), _unquoted("100%")
    ('a bé', '100%')
    """

    def byte(found: re.Match[bytes]) -> bytes:
        return bytes([int(found[1], 16)])

    data = re.sub(rb"%([0-9A-Fa-f]{2})", byte, segment.encode("utf-8", "replace"))
    return data.decode("utf-8", "replace")


def _wrong_kind(schema: dict[str, Any], key: str | int, path: str) -> Problem | None:
    kinds = schema.get("type")
    kinds = [kinds] if isinstance(kinds, str) else kinds
    needed = "array" if isinstance(key, int) else "object"
    if not isinstance(kinds, list) or needed in kinds:
        return None
    kind = " or ".join(str(kind) for kind in kinds)
    return Problem(f"'{path}' is {kind}: it has no '{key}'", "", True)


def _inner(schema: dict[str, Any], key: str | int) -> Any:
    if isinstance(key, int):
        prefix = schema.get("prefixItems")
        if isinstance(prefix, list) and 0 <= key < len(prefix):
            return prefix[key]
        return schema.get("items")
    properties = schema.get("properties")
    if isinstance(properties, dict) and key in properties:
        return properties[key]
    return schema.get("additionalProperties")


# Under these, keys are names and values schemas; under the others stand values.
_BY_NAME: Final = frozenset(
    "properties patternProperties $defs definitions dependentSchemas".split()
)
_VALUES: Final = frozenset(("const", "enum", "default", "examples"))


def inner_schemas(schema: Any) -> Iterator[tuple[tuple[str | int, ...], dict[str, Any]]]:
    """Yield the schemas in `schema`, each with where it stands; itself first.

    >>> [path for path, _ in inner_schemas({"properties": {"const": {"not": {}}}})]
    [(), ('properties', 'const'), ('properties', 'const', 'not')]
    """
    left: list[tuple[tuple[str | int, ...], Any]] = [((), schema)]
    while left:
        path, part = left.pop()
        if isinstance(part, list):
            left += [((*path, n), inner) for n, inner in enumerate(part)]
        elif isinstance(part, dict):
            yield path, part
            for key, inner in part.items():
                if key in _BY_NAME and isinstance(inner, dict):
                    left += [((*path, key, name), one) for name, one in inner.items()]
                elif key not in _VALUES:
                    left.append(((*path, key), inner))


def outside_references(schema: Any) -> list[str]:
    """Return every `$ref` that leads out of the schema; fetching one is never done."""
    references = (one.get("$ref") for _, one in inner_schemas(schema))
    texts = (one for one in references if isinstance(one, str))
    return sorted(one for one in texts if not re.match(r"#|urn:", one))
