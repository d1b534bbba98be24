"""Paths: a root name and the keys and indexes below it, and how they are written.

Rule 1. A path is what CEL calls a chain of selections with constant keys. Its first part
        is the root name; a text part is a key of an object, an integer an index.
Rule 2. Equal paths are equal tuples; `0` and `"0"` differ, as they do in CEL.

Not here: reading a path from values (plait.expression.getter).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final, TypeAlias

from plait.expression.lex import IDENT, QUOTED

Read: TypeAlias = "tuple[str | int, ...]"

# 18 digits: every such index fits an int64.
_INDEX: Final = r"[0-9]{1,18}"
# A backslash begins an escape: such a key is left to CEL to decode. NUL never gets in.
_KEY: Final = r'"[^"\\\n\r\0]*"' + r"|'[^'\\\n\r\0]*'"
_NAME: Final = rf"\s*\.\s*(?:{IDENT}|{QUOTED})"
_BRACKETS: Final = rf"\s*\[\s*(?:{_INDEX}|{_KEY})\s*\]"
_PATH: Final = re.compile(rf"({IDENT})((?:{_NAME}|{_BRACKETS})*)", re.ASCII)
_STEPS: Final = re.compile(rf"\.\s*({IDENT}|{QUOTED})|\[\s*({_INDEX}|{_KEY})", re.ASCII)
_IDENT: Final = re.compile(IDENT)

# Literals and the one operator that is a word. Other reserved words of CEL (`package`,
# `import`, …) are allowed as names: steps are called that.
WORDS: Final = frozenset({"true", "false", "null", "in"})


def parse_path(text: str) -> Read | None:
    """Return the path that `text` is, or None if it is a larger expression.

    >>> parse_path('user.response["content-type"][0]')
    ('user', 'response', 'content-type', 0)
    >>> parse_path("user . name")
    ('user', 'name')
    >>> parse_path("user.size()") is None
    True
    """
    match = _PATH.fullmatch(text)
    if match is None or match[1] in WORDS:
        return None
    steps = [step_of(name or key) for name, key in _STEPS.findall(match[2])]
    return (match[1], *steps)


def step_of(text: str) -> str | int:
    """Return the key or index that a name, a quoted key or a number stands for."""
    if text[0] in "\"'`":
        return text[1:-1]
    return int(text) if text[0].isdigit() else text


def is_simple_key(text: str) -> bool:
    """Tell whether the CEL literal `text` may stand between `[` and `]` of a path."""
    return re.fullmatch(rf"{_INDEX}|{_KEY}", text) is not None and text[:3] not in (
        '"""',
        "'''",
    )


def format_path(path: Iterable[str | int]) -> str:
    """Return `path` as an expression would write it.

    >>> format_path(("user", "items", 0, "content-type"))
    'user.items[0]["content-type"]'
    """
    root, *steps = path
    return str(root) + "".join(_format_step(step) for step in steps)


def _format_step(step: str | int) -> str:
    if isinstance(step, int):
        return f"[{step}]" if step >= 0 else "[…]"
    if _IDENT.fullmatch(step):
        return f".{step}"
    return f'["{step}"]'


def sort_key(path: Read) -> tuple[tuple[bool, str], ...]:
    """Return what orders paths the same way in every process."""
    return tuple((isinstance(step, int), str(step)) for step in path)
