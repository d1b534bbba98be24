"""Finds the expressions in a text: `Hello ${user.name}` is a text and an expression.

Rule 1. `$${` is a literal `${`, and begins nothing.
Rule 2. An expression ends at the `}` that CEL's own tokens leave over: braces of map
        literals and braces in strings are part of it.

Not here: what an expression means (plait.expression.evaluate).
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from plait.expression.lex import closing_brace
from plait.expression.problems import EMPTY_EXPRESSION, UNCLOSED, Problem

_MARK: Final = re.compile(r"\$?\$\{")
# None of these before the next `}`: then it is the right one.
_MAY_HIDE_BRACE: Final = re.compile(r"[\"'`{/]")


class Found(NamedTuple):
    """An expression in a text: without its marks, and where it begins."""

    source: str
    offset: int


class Pieces(NamedTuple):
    """What a text consists of, in order, and what is wrong with it."""

    parts: tuple[str | Found, ...]
    problems: tuple[Problem, ...]


def split(text: str) -> Pieces:
    """Return the literals and expressions of `text`.

    >>> split("a $${x} ${ b.c }!").parts
    ('a ${x} ', Found(source='b.c', offset=11), '!')
    >>> split("${a").problems[0].message
    "'${' is never closed"
    """
    parts: list[str | Found] = []
    problems: list[Problem] = []
    literal, at = "", 0
    while (mark := _MARK.search(text, at)) is not None:
        literal += text[at : mark.start()]
        if mark[0] == "$${":
            literal, at = literal + "${", mark.end()
            continue
        end = _end(text, mark.end())
        if end < 0:
            problems.append(_unclosed(end, mark.start()))
            return Pieces(tuple(parts), tuple(problems))
        found = _stripped(text, mark.end(), end)
        if literal:
            parts.append(literal)
        if found.source:
            parts.append(found)
        else:
            problems.append(_empty(mark.start()))
        literal, at = "", end + 1
    literal += text[at:]
    return Pieces((*parts, literal) if literal else tuple(parts), tuple(problems))


def _end(text: str, start: int) -> int:
    end = text.find("}", start)
    if end < 0 or _MAY_HIDE_BRACE.search(text, start, end):
        return closing_brace(text, start)
    return end


def _empty(offset: int) -> Problem:
    hint = "write $${ for a literal ${"
    return Problem(EMPTY_EXPRESSION, "an empty expression", hint, offset)


def _unclosed(end: int, offset: int) -> Problem:
    if end == -2:
        message = "a string in the expression is never closed"
        return Problem(UNCLOSED, message, "", offset)
    return Problem(UNCLOSED, "'${' is never closed", "write $${ for a literal ${", offset)


def _stripped(text: str, start: int, end: int) -> Found:
    inside = text[start:end]
    source = inside.strip()
    return Found(source, start + inside.find(source))
