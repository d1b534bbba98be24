"""The tokens of CEL: enough to find where an expression ends and which names it uses.

Rule 1. Strings, comments and numbers are cut exactly as CEL's own grammar cuts them; a
        brace inside a string is text.
Rule 2. Nothing is judged here. What is no token of CEL comes out as kind `other`, and
        the CEL compiler complains about it.

Not here: the meaning of tokens (plait.expression.lift), the syntax tree, which the CEL
library alone builds (plait.expression.syntax).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

IDENT: Final = r"[A-Za-z_][A-Za-z0-9_]*"
# What CEL allows between backticks: a field name that is no identifier.
QUOTED: Final = r"`[A-Za-z0-9_.\-/ ]+`"
_BODY: Final = (
    r'"""(?:[^\\]|\\[\s\S])*?"""'
    r"|'''(?:[^\\]|\\[\s\S])*?'''"
    r'|"(?:[^"\\\n\r]|\\.)*"'
    r"|'(?:[^'\\\n\r]|\\.)*'"
)
_RAW_BODY: Final = r'"""[\s\S]*?"""' r"|'''[\s\S]*?'''" r'|"[^"\n\r]*"' r"|'[^'\n\r]*'"

_TOKEN: Final = re.compile(
    r"(?P<space>[ \t\r\n\f]+|//[^\n]*)"
    rf"|(?P<string>(?:[rR][bB]?|[bB][rR])(?:{_RAW_BODY})|[bB]?(?:{_BODY}))"
    r"|(?P<number>0[xX][0-9a-fA-F]+[uU]?"
    r"|[0-9]+\.[0-9]+(?:[eE][+-]?[0-9]+)?|[0-9]+[eE][+-]?[0-9]+|[0-9]+[uU]?)"
    rf"|(?P<ident>{IDENT})"
    rf"|(?P<quoted>{QUOTED})"
    r"|(?P<op>\.\?|\[\?|&&|\|\||[=!<>]=|[()\[\]{}.,?:+\-*/%!<>])"
    r"|(?P<other>[\s\S])"
)


_QUOTES: Final = frozenset("\"'")
_OPENING: Final = frozenset("([{")
_CLOSING: Final = frozenset(")]}")
# What can hide a bracket. After a letter or digit an `r` ends a name, and begins no raw
# string.
_HIDING: Final = (
    r"//[^\n]*"
    rf"|(?:(?<![A-Za-z0-9_])(?:[rR][bB]?|[bB][rR])(?:{_RAW_BODY})|{_BODY})"
    rf"|{QUOTED}"
)
# Everything else is skipped in C: a run of 250,000 parentheses takes 1 ms, not 300.
_BRACES: Final = re.compile(rf"{_HIDING}|[\"'{{}}]")
_BRACKETS: Final = re.compile(rf"{_HIDING}|[()\[\]{{}}]")


class Token(NamedTuple):
    """One token. `kind` is string, number, ident, quoted, op, space or other."""

    kind: str
    text: str
    start: int
    end: int


def tokens_of(text: str, start: int = 0) -> Iterator[Token]:
    """Yield the tokens of `text` from `start`, spaces and comments included.

    >>> [token.text for token in tokens_of("a['}'].b") if token.kind != "space"]
    ['a', '[', "'}'", ']', '.', 'b']
    """
    for match in _TOKEN.finditer(text, start):
        yield Token(match.lastgroup or "other", match[0], match.start(), match.end())


def closing_brace(text: str, start: int, stop: int | None = None) -> int:
    """Return the index of the `}` that ends the expression starting at `start`.

    Args:
        stop: Where to look no further; the end of the text if there is none.

    Returns:
        -1 when there is none, -2 when a string in the expression is never closed.

    >>> closing_brace("{'a}': 1}.size()} tail", 0)
    16
    >>> closing_brace("a + b", 0), closing_brace("a + '}", 0)
    (-1, -2)
    """
    depth = 0
    for match in _BRACES.finditer(text, start, len(text) if stop is None else stop):
        mark = match[0]
        if mark == "{":
            depth += 1
        elif mark == "}":
            if depth == 0:
                return match.start()
            depth -= 1
        elif mark in _QUOTES:
            return -2
    return -1


def is_nested_beyond(text: str, depth_max: int) -> bool:
    """Tell whether brackets of any kind are open more than `depth_max` deep in `text`.

    >>> is_nested_beyond("[{'(': (1)}]", 3), is_nested_beyond("[{'(': (1)}]", 2)
    (False, True)
    """
    if text.count("(") + text.count("[") + text.count("{") <= depth_max:
        return False
    depth = 0
    for match in _BRACKETS.finditer(text):
        mark = match[0]
        depth += (mark in _OPENING) - (mark in _CLOSING)
        if depth > depth_max:
            return True
    return False
