"""Requests: what a step of a draft sends, of an operation and the values for it."""

from __future__ import annotations

import re
from typing import Final

from plait.agent.openapi import Operation, Parameter
from plait.agent.reading import MARK
from plait.agent.schemas import type_of
from plait.agent.scope import key_words
from plait.agent.words import VERBS, pieces, singular
from plait.model.json import JsonObject, JsonValue

_VALUE: Final = r"\s*(?:=|:|of|is|to|as|equal to)?\s*"


def literal(parameter: Parameter, text: str, literals: list[str]) -> JsonValue:
    """Return the value that a clause gives a parameter; None: it gives none.

    Args:
        literals: What stood in quotes, by the number of its mark.
    """
    name = r"[\s_-]*".join(re.escape(word) for word in pieces(parameter.name))
    kind = type_of(parameter.schema)
    if not name or kind in ("array", "object"):
        return None
    found = re.search(rf"(?i)\b{name}\b{_VALUE}(?:{MARK.pattern})", text)
    if found is not None and kind in ("", "string"):
        place = int(found[1][:6])
        return literal_text(literals[place]) if place < len(literals) else None
    found = re.search(rf"(?i)\b{name}\b{_VALUE}(-?\d{{1,12}}(?:\.\d{{1,6}})?)\b", text)
    if found is not None and kind in ("integer", "number", "", "string"):
        return _number(found[1], kind)
    if kind == "boolean":
        found = re.search(rf"(?i)\b{name}\b{_VALUE}(true|false|yes|no)\b", text)
        return None if found is None else found[1].lower() in ("true", "yes")
    return _option(parameter, text)


def _option(parameter: Parameter, text: str) -> JsonValue:
    """Return the one of a parameter's values that a clause has: `the open invoices`."""
    options = parameter.schema.get("enum")
    said = f" {' '.join(pieces(text))} "
    for option in options if isinstance(options, list) else ():
        if isinstance(option, str) and len(option) > 2:
            plain = " ".join(pieces(option))
            if plain and f" {plain} " in said and plain not in key_words(parameter.name):
                return literal_text(option)
    return None


def _number(text: str, kind: str) -> JsonValue:
    if kind == "string":
        return text
    return float(text) if "." in text else int(text)


def literal_text(text: str) -> str:
    """Return a text as a value that is no template.

    >>> literal_text("a ${b}")
    'a $${b}'
    """
    clean = "".join(char for char in text if char.isprintable())
    return clean.replace("${", "$${")


def is_spoken_of(parameter: Parameter, operation: Operation, text: str) -> bool:
    """Tell whether a clause names a parameter that could be left out."""
    if parameter.place == "header":
        return False
    words = [word for word in key_words(parameter.name) if word not in VERBS]
    said = {singular(word) for word in pieces(text)}
    return bool(words) and set(words) <= said and words != [operation.resource]


def request_of(operation: Operation, values: dict[str, JsonValue]) -> JsonObject:
    """Return the request of a step that calls an operation.

    Args:
        values: By the names of its parameters; what is missing is left out.
    """
    if not operation.method:
        given: JsonObject = {"name": operation.id}
        return {**given, "input": dict(values)} if values else given
    url = operation.url
    parts: dict[str, JsonObject] = {"params": {}, "headers": {}, "body": {}}
    whole: JsonValue = None
    for parameter in operation.parameters:
        value = values.get(parameter.name)
        if value is None:
            continue
        if parameter.place == "path":
            url = url.replace(f"{{{parameter.name}}}", _in_path(value))
        elif parameter.place == "whole":
            whole = value
        else:
            place = {"query": "params", "header": "headers"}.get(parameter.place, "body")
            parts[place][parameter.name] = value
    request: JsonObject = {} if operation.is_read else {"method": operation.method}
    request["url"] = url
    request.update({key: value for key, value in parts.items() if value})
    if whole is not None:
        request["body"] = whole
    return request


def _in_path(value: JsonValue) -> str:
    if isinstance(value, str):
        return value if value.startswith("${") else re.sub(r"[^\w.~-]", "-", value)
    return str(value).lower()
