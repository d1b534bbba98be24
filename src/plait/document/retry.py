"""The `retry` setting."""

from __future__ import annotations

import re
from typing import Annotated, Any, Final, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema
from pydantic.config import JsonDict

from plait.document.fields import DurationMs, Strict, is_one_expression
from plait.model.diagnostic import did_you_mean

ERROR_CLASSES: Final = ("any", "connect", "timeout")

_STATUS = re.compile(r"[1-5](?:\d\d|xx)", re.ASCII)
_CODE = re.compile(r"[a-z_]+(?:\.[a-z0-9_]+)*(?:\.\*)?", re.ASCII)
# Words that errors can match, as JSON Schema.
WORDS: Final[tuple[JsonDict, ...]] = (
    {"enum": list(ERROR_CLASSES)},
    {"type": "string", "pattern": r"^[1-5](?:\d\d|xx)$"},
    {"type": "string", "pattern": r"^[a-z_]+(?:\.[a-z0-9_]+)*\.(?:[a-z0-9_]+|\*)$"},
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
    is_code = _CODE.fullmatch(text) is not None and "." in text
    if text in ERROR_CLASSES or _STATUS.fullmatch(text) or is_code:
        return text
    hint = did_you_mean(text, ERROR_CLASSES)
    known = ", ".join(ERROR_CLASSES)
    raise ValueError(
        f"'{text}' is no status (503, 5xx), class ({known}) or error code"
        + (f"; {hint}" if hint else "")
    )


def _matches(value: Any) -> tuple[str, ...] | str:
    if isinstance(value, str) and "${" in value:
        if not is_one_expression(value):
            raise ValueError("an expression stands alone: ${ … }, with no text around it")
        return value
    items = value if isinstance(value, list) else [value]
    if not items:
        raise ValueError("an empty list would retry nothing; leave `retry` out instead")
    return tuple(error_word(item) for item in items)


RetryOn = Annotated[
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
    on: RetryOn | None = None
    """Errors to retry: classes, statuses, codes, or an expression over `error`.

    Left out: whatever the error itself advises, which is failed connections, time-outs,
    and the statuses 408, 425, 429, 500, 502, 503 and 504.
    """
