"""The `retry` setting."""

from __future__ import annotations

import re
from typing import Annotated, Any, Final, Literal

from pydantic import BeforeValidator, Field, TypeAdapter, WithJsonSchema
from pydantic.config import JsonDict

from plait.document.faults import shown
from plait.document.fields import DurationMs, Strict, is_one_expression
from plait.model.diagnostic import did_you_mean
from plait.model.failure import CODE_PATTERN, CODE_WORD
from plait.model.json import JsonObject

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


def _matches(value: Any) -> tuple[str, ...] | str:
    if isinstance(value, str) and "${" in value:
        if not is_one_expression(value):
            raise ValueError("an expression stands alone: ${ … }, with no text around it")
        return value
    if not isinstance(value, list):
        return (error_word(value),)
    if not value:
        raise ValueError("an empty list matches nothing; leave the key out instead")
    # Its error tells of each wrong item, at that item's place.
    return _ERROR_WORDS.validate_python(value)


ErrorMatch = Annotated[
    tuple[str, ...] | str,
    BeforeValidator(_matches),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "array", "minItems": 1, "items": _WORD_SCHEMA},
                *_WORD_SCHEMA["anyOf"],
                {"type": "string", "pattern": r"^\$\{[\s\S]*\}\n?$"},
            ]
        }
    ),
]


class Retry(Strict):
    """When and how often a failed attempt is made again."""

    max_attempts: Annotated[int, Field(ge=1, le=1000)] = 3
    """All attempts, the first included."""
    delay: DurationMs = 100
    """Wait before the second attempt."""
    backoff: Literal["fixed", "linear", "exponential", "random"] = "fixed"
    """How the wait grows from attempt to attempt; `random`: between delay and max_delay."""
    factor: Annotated[float, Field(ge=1, le=100, strict=False)] = 2.0
    """Base of the exponential back-off."""
    max_delay: DurationMs = 30_000
    """Ceiling of every wait, also of one that the other side asks for (Retry-After)."""
    jitter: Annotated[float, Field(ge=0, le=1, strict=False)] = 0.0
    """Share of the wait that is drawn at random, to spread callers out."""
    on: ErrorMatch | None = None
    """Errors to retry: classes, statuses, codes, or an expression over `error`.

    Left out: whatever the error itself advises, which is failed connections, time-outs,
    and the statuses 408, 425, 429, 500, 502, 503 and 504.
    """


def retry_options(retry: Retry) -> JsonObject:
    """Return `retry` as a plan keeps it, but for an expression, which is a template."""
    on = retry.on
    return {
        "attempts_max": retry.max_attempts,
        "delay_ms": retry.delay,
        "backoff": retry.backoff,
        "factor": retry.factor,
        "delay_ms_max": retry.max_delay,
        "jitter": retry.jitter,
        "on": list(on) if isinstance(on, tuple) else None,
    }
