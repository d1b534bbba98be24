"""Words that errors can match: classes, statuses, codes. For `retry.on` and its like."""

from __future__ import annotations

import re
from typing import Annotated, Any, Final

from pydantic import BeforeValidator, TypeAdapter, WithJsonSchema
from pydantic.config import JsonDict

from plait.document.faults import shown
from plait.document.fields import is_one_expression
from plait.model.diagnostic import did_you_mean
from plait.model.failure import CODE_PATTERN, CODE_WORD

ERROR_CLASSES: Final = ("any", "connect", "timeout")

_STATUS = re.compile(r"[1-5](?:\d\d|xx)", re.ASCII)
_DOTTED_CODE = rf"{CODE_PATTERN}\.(?:{CODE_WORD}|\*)"
_CODE = re.compile(_DOTTED_CODE, re.ASCII)
# A code as well, but also any misspelt class; a number would be a misspelt status.
_UNDOTTED_CODE = re.compile(rf"(?!\d+$){CODE_WORD}", re.ASCII)
# Words that errors can match, as JSON Schema.
WORDS: Final[tuple[JsonDict, ...]] = (
    {"enum": list(ERROR_CLASSES)},
    {"type": "string", "pattern": r"^[1-5](?:\d\d|xx)$"},
    {"type": "string", "pattern": rf"^{_DOTTED_CODE}$"},
)
_WORD_SCHEMA: Final = {
    "anyOf": [{"type": "integer", "minimum": 100, "maximum": 599}, *WORDS]
}


def error_word(value: Any) -> str:
    """Return `value` as a word that an error can match.

    Raises:
        ValueError: It is neither a status, an error class, nor a dotted error code.

    >>> [error_word(v) for v in (503, "5xx", "connect", "connector.tls", "step.*")]
    ['503', '5xx', 'connect', 'connector.tls', 'step.*']
    """
    text = str(value)
    if isinstance(value, bool) or not isinstance(value, (int, str)):
        raise ValueError("name an error by a status, a class or a code")
    if text in ERROR_CLASSES or _STATUS.fullmatch(text) or _CODE.fullmatch(text):
        return text
    known = ", ".join(ERROR_CLASSES)
    raise ValueError(
        f"'{shown(text)}' is no status (503, 5xx), class ({known}) or error code with a dot"
        + _hint_for(text)
    )


def _hint_for(text: str) -> str:
    hint = did_you_mean(text, ERROR_CLASSES)
    if not hint and _UNDOTTED_CODE.fullmatch(text):
        hint = f"a code without one is told by an expression: ${{error.code == '{text}'}}"
    return f"; {hint}" if hint else ""


_ERROR_WORDS: Final = TypeAdapter(tuple[Annotated[str, BeforeValidator(error_word)], ...])


def _words(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list):
        return (error_word(value),)
    if not value:
        raise ValueError("an empty list matches nothing; leave the key out instead")
    # Its error tells of each wrong item, at that item's place.
    return _ERROR_WORDS.validate_python(value)


def _matches(value: Any) -> tuple[str, ...] | str:
    if isinstance(value, str) and "${" in value:
        if not is_one_expression(value):
            raise ValueError("an expression stands alone: ${ … }, with no text around it")
        return value
    return _words(value)


_WORDS_SCHEMA: Final = [
    {"type": "array", "minItems": 1, "items": _WORD_SCHEMA},
    *_WORD_SCHEMA["anyOf"],
]
WordMatch = Annotated[
    tuple[str, ...],
    BeforeValidator(_words),
    WithJsonSchema({"anyOf": _WORDS_SCHEMA}),
]
ErrorMatch = Annotated[
    tuple[str, ...] | str,
    BeforeValidator(_matches),
    WithJsonSchema(
        {
            "anyOf": [
                *_WORDS_SCHEMA,
                {"type": "string", "pattern": r"^\$\{[\s\S]*\}\n?$"},
            ]
        }
    ),
]
