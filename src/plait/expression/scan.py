"""Finds the expressions in a text: `Hello ${user.name}` is a text and an expression.

Rule 1. `$${` is a literal `${`, and begins nothing.
Rule 2. An expression ends at the `}` that CEL's own tokens leave over: braces of map
        literals and braces in strings are part of it.
Rule 3. One that is never closed does not hide the ones after it: they are looked for up
        to the next `${` each. Only the first is told: the rest may follow from it.
Rule 4. Time grows with the length of the text: nothing is read more than twice.

Not here: what an expression means (plait.expression.evaluate).
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from plait.expression.lex import closing_brace
from plait.expression.problems import EMPTY_EXPRESSION, TOO_LARGE, UNCLOSED, Problem

# 1,000: looking at so many takes 2 ms, and no text that a person writes has more.
MARKS_MAX: Final = 1_000

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
    splitter = _Splitter(text)
    splitter.run()
    return Pieces(tuple(splitter.parts), tuple(splitter.problems))


class _Splitter:
    def __init__(self, text: str) -> None:
        self.text = text
        self.parts: list[str | Found] = []
        self.problems: list[Problem] = []
        self.literal = ""
        self.is_broken = False

    def run(self) -> None:
        at, text = 0, self.text
        for _ in range(MARKS_MAX):
            mark = _MARK.search(text, at)
            if mark is None:
                self._finish(at)
                return
            self.literal += text[at : mark.start()]
            if mark[0] == "$${":
                self.literal, at = self.literal + "${", mark.end()
            else:
                at = self._expression(mark.start(), mark.end())
        if (mark := _MARK.search(text, at)) is not None:
            if not self.is_broken:
                self.problems.append(_too_many(mark.start()))
        else:
            self._finish(at)

    def _finish(self, at: int) -> None:
        self.literal += self.text[at:]
        if self.literal:
            self.parts.append(self.literal)

    def _expression(self, start: int, inside: int) -> int:
        """Note the expression whose mark is at `start`; return where to go on."""
        text = self.text
        following = _MARK.search(text, inside) if self.is_broken else None
        stop = len(text) if following is None else following.start()
        end = _end(text, inside, stop)
        if end < 0:
            if not self.is_broken:
                self.problems.append(_unclosed(end, start))
            self.is_broken = True
            return inside
        if self.literal:
            self.parts.append(self.literal)
            self.literal = ""
        found = _stripped(text, inside, end)
        if found.source:
            self.parts.append(found)
        else:
            self.problems.append(_empty(start))
        return end + 1


def _end(text: str, start: int, stop: int) -> int:
    end = text.find("}", start, stop)
    if end < 0 or _MAY_HIDE_BRACE.search(text, start, end):
        return closing_brace(text, start, stop)
    return end


def _too_many(offset: int) -> Problem:
    message = f"a text has '${{' at most {MARKS_MAX:,} times"
    return Problem(TOO_LARGE, message, "split it over several texts", offset)


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
