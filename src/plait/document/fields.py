"""Field types that several models share: durations, conditions, identifiers, words.

Each validates what the text says and keeps it as the text says it, except durations,
which become milliseconds.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Final

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    WithJsonSchema,
)
from pydantic.config import JsonDict

from plait.document.described import Described
from plait.expression.scan import Found, split
from plait.model.duration import parse_duration_ms

RESERVED_NAMES: Final = frozenset(
    "input env secrets execution trigger item index iteration previous error "
    # CEL's own words and type names.
    "true false null in as break const continue else for function if import let loop "
    "package namespace return var void while "
    "bool int uint double string bytes list map type null_type dyn "
    "has all exists exists_one filter math optional strings".split()
)

# Paths of steps are made of ids, and are part of idempotency keys, which travel in headers.
_IDENTIFIER_CHARS_MAX = 200
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
DURATION_PATTERN: Final = (
    r"^(?:(?:\d+(?:\.\d+)?(?:ms|s|m|h|d))+|P(?=.)(?:\d+(?:\.\d+)?W)?(?:\d+(?:\.\d+)?D)?"
    r"(?:T(?=\d)(?:\d+(?:\.\d+)?H)?(?:\d+(?:\.\d+)?M)?(?:\d+(?:\.\d+)?S)?)?)$"
)
# They stand in URLs, and in the log of changes.
_CREDENTIAL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", re.ASCII)


class Strict(Described):
    """Base of all document models: unknown keys are errors, nothing is converted."""

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        frozen=True,
        # Of some forty models a document needs a few: these are built when it is read.
        defer_build=True,
    )


def keys_of(model: type[BaseModel]) -> frozenset[str]:
    """Return the keys that a mapping of this model may have.

    >>> class Timer(Strict):
    ...     length: Annotated[str, Field(alias="for")]
    >>> keys_of(Timer)
    frozenset({'for'})
    """
    return frozenset(f.alias or name for name, f in model.model_fields.items())


def credential_name(value: Any) -> str:
    """Return `value`, which a credential can be called.

    Raises:
        ValueError: None can.

    >>> credential_name("shop-eu")
    'shop-eu'
    """
    if not isinstance(value, str) or not _CREDENTIAL.fullmatch(value):
        text = "letters, digits, '.', '_' and '-', 100 at most; no template"
        raise ValueError(f"the name of a credential is {text}")
    return value


def _duration(value: Any) -> int:
    if not isinstance(value, str):
        raise ValueError("a duration is text such as 800ms, 2s, 5m, 1h, 3d or ISO 8601")
    return parse_duration_ms(value)


def _more_than_nothing(value: int) -> int:
    if value < 1:
        raise ValueError("should be a millisecond or more")
    return value


def identifier(value: Any) -> str:
    """Return `value`, which templates can read as a name.

    Raises:
        ValueError: They cannot.
    """
    if not isinstance(value, str) or not _IDENTIFIER.fullmatch(value):
        raise ValueError(
            "an id has letters, digits and '_' only and starts with no digit, "
            "so that templates can read it"
        )
    if len(value) > _IDENTIFIER_CHARS_MAX:
        raise ValueError(f"an id has at most {_IDENTIFIER_CHARS_MAX} characters")
    if value in RESERVED_NAMES:
        raise ValueError(f"'{value}' is a name that templates use for something else")
    return value


def _condition(value: Any) -> str | bool:
    if isinstance(value, bool):
        return value
    if not isinstance(value, str) or not is_one_expression(value):
        raise ValueError("a condition is true, false or one expression: ${ … }")
    return value


def is_one_expression(text: str) -> bool:
    """Tell whether `text` is exactly one expression, and so yields its typed value.

    Text that cannot be split passes if it begins like one: the compiler says what is wrong.

    >>> [is_one_expression(t) for t in ("${a && b}", "${a} && ${b}", "a", "${a")]
    [True, False, False, True]
    """
    if text.startswith("${") and text.find("}") == len(text) - 1:
        return True  # its only brace closes the expression, or is part of a broken one
    pieces = split(text)
    if pieces.problems:
        return text.startswith("${")
    parts = pieces.parts[:-1] if pieces.parts[-1:] == ("\n",) else pieces.parts
    return len(parts) == 1 and isinstance(parts[0], Found)


DurationMs = Annotated[
    int,
    BeforeValidator(_duration),
    WithJsonSchema(
        {
            "type": "string",
            "pattern": DURATION_PATTERN,
            "description": "A duration: 800ms, 2s, 5m, 1h, 3d or ISO 8601.",
        }
    ),
]
# In a limit of no time nothing could ever be done.
Span = Annotated[DurationMs, AfterValidator(_more_than_nothing)]
IDENTIFIER_SCHEMA: Final[JsonDict] = {
    "type": "string",
    "pattern": _IDENTIFIER.pattern.join("^$"),
    "maxLength": _IDENTIFIER_CHARS_MAX,
    "not": {"enum": [*sorted(RESERVED_NAMES)]},
}
Identifier = Annotated[str, BeforeValidator(identifier), WithJsonSchema(IDENTIFIER_SCHEMA)]
CredentialName = Annotated[
    str,
    BeforeValidator(credential_name),
    WithJsonSchema({"type": "string", "pattern": "^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$"}),
]
Condition = Annotated[
    str | bool,
    BeforeValidator(_condition),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "boolean"},
                {"type": "string", "pattern": r"^\$\{[\s\S]*\}\n?$"},
            ],
            "description": "True, false, or one ${ expression } that yields one of them.",
        }
    ),
]
Templated = Annotated[
    Any, Field(description="Any value; ${ expressions } may stand anywhere in it.")
]
# The steps of a nested scope. Each is checked against its own kind's model, one by one,
# so that a mistake in one is reported at its place and the others are checked too.
Steps = Annotated[
    list[Any],
    Field(min_length=1),
    WithJsonSchema({"type": "array", "minItems": 1, "items": {"$ref": "#/$defs/Step"}}),
]


def without_dots(path: str) -> str:
    """Return the path of an address, if there can be requests to it.

    Raises:
        ValueError: Clients resolve a segment of it before they ask; the gateway refuses it.

    >>> without_dots("/shop/.well-known")
    '/shop/.well-known'
    """
    for segment in path.split("/"):
        if re.sub("%2e", ".", segment, flags=re.IGNORECASE) in (".", ".."):
            raise ValueError(f"no request can have the segment '{segment}' in its path")
    return path
