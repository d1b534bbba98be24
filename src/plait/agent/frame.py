"""What stands around the steps of a draft: name, endpoint, input, defaults and output.

Not here: the steps (plait.agent.drafting).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Final

from plait.agent.openapi import Operation
from plait.agent.reading import unmarked
from plait.agent.requests import literal_text
from plait.agent.scope import Inputs, Scope, as_template
from plait.agent.wishes import Reading
from plait.agent.words import (
    first_verb,
    identifier,
    nouns,
    pieces,
    singular,
    stem,
    terms,
)
from plait.model.json import JsonObject, JsonValue

_SLOT: Final = re.compile(r"\{([^{}]*)\}")
_NAME_WORDS_MAX: Final = 4
_DESCRIPTION_LENGTH_MAX: Final = 200
_ANSWERS_MAX: Final = 60


def head(
    text: str,
    reading: Reading,
    used: Sequence[Operation],
    inputs: Inputs,
    *,
    is_read: bool,
) -> JsonObject:
    """Return what stands before the steps.

    Args:
        text: The description.
        used: The operations that the steps call.
        inputs: What the steps need of the input; an endpoint's path may need more.
        is_read: Whether the steps change nothing, and wait for nobody.
    """
    name = reading.name or _name_of(text, used)
    first = " ".join(re.split(r"(?<=[.!?])\s|\n", text.strip(), maxsplit=1)[0].split())
    made: JsonObject = {
        "name": name,
        "description": literal_text(first[:_DESCRIPTION_LENGTH_MAX]),
        "mode": "express" if is_read and used else "durable",
    }
    if reading.endpoint is not None:
        method, path = reading.endpoint
        for slot in _SLOT.findall(path):
            inputs.need(slot, {"type": "string"})
        method = method or ("GET" if is_read else "POST")
        made["endpoint"] = {"method": method, "path": path or f"/{name}"}
    if inputs.properties:
        made["input"] = _input_schema(inputs)
    defaults = _defaults(reading)
    if defaults:
        made["defaults"] = defaults
    return made


def output_of(
    answers: Iterable[str], scope: Scope, literals: list[str]
) -> tuple[JsonObject, list[str]]:
    """Return the output that holds what is asked for, and what is not found."""
    made: JsonObject = {}
    unresolved: list[str] = []
    found = re.split(r"(?i)\s*,\s*(?:and\s+)?|\s+and\s+", ", ".join(answers))
    for text in [*dict.fromkeys(found)][:_ANSWERS_MAX]:
        wanted = {singular(word) for word in nouns(text)}
        if not wanted:
            continue
        known = scope.nearest(wanted, lambda one: not one.expression.startswith("item"))
        if known is None:
            said = unmarked(text, literals)[:200]
            unresolved.append(f"Where does '{said}' of the answer come from?")
            continue
        name = identifier([word for word in pieces(text) if singular(word) in wanted])
        made[name] = as_template(known.expression)
    return made, unresolved


def _name_of(text: str, used: Iterable[Operation]) -> str:
    verb = stem(first_verb(text)) if first_verb(text) else ""
    about = [one.resource for one in used if one.resource]
    words = list(dict.fromkeys([*([verb] if verb else []), *about])) or terms(text)[:3]
    return identifier(words[:_NAME_WORDS_MAX], fallback="workflow").replace("_", "-")


def _input_schema(inputs: Inputs) -> JsonObject:
    schema: JsonObject = {"type": "object"}
    needed: list[JsonValue] = list(inputs.required)
    if needed:
        schema["required"] = needed
    schema["properties"] = dict(inputs.properties)
    return schema


def _defaults(reading: Reading) -> JsonObject:
    made: JsonObject = {}
    if reading.timeout:
        made["timeout"] = reading.timeout
    if reading.attempts is not None:
        made["retry"] = {"max_attempts": reading.attempts}
    return made
