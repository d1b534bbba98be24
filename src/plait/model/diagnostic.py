"""Diagnostics: what is wrong with a document, where, and what to do about it."""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from difflib import get_close_matches
from enum import StrEnum

from plait.model.json import JsonObject
from plait.model.place import Span
from plait.model.record import record

_CANDIDATES_MAX = 100


class Severity(StrEnum):
    """How bad it is: an error stops the document from running, a warning does not."""

    ERROR = "error"
    WARNING = "warning"


@record
class Diagnostic:
    """One finding in a document. `code` is stable: it is never renamed or reused.

    Codes: D… the text and its shape, E… expressions, P… the plan (names, order).
    """

    code: str
    message: str
    hint: str
    span: Span
    severity: Severity = Severity.ERROR

    def render(self, source_name: str) -> str:
        """Return `file:line:col: code message (hint)`; the hint only when there is one."""
        where = f"{source_name}:{self.span.line}:{self.span.column}"
        word = "warning " if self.severity is Severity.WARNING else ""
        hint = f" ({self.hint})" if self.hint else ""
        return f"{where}: {word}{self.code} {self.message}{hint}"

    def as_json(self) -> JsonObject:
        """Return it as programs read it; lines and columns are counted from 1."""
        return {
            "line": self.span.line,
            "column": self.span.column,
            "end_line": self.span.end_line,
            "end_column": self.span.end_column,
            "severity": self.severity.value,
            "code": self.code,
            "message": self.message,
            "hint": self.hint,
        }


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return a hint naming the nearest of `known`, or an empty string if none is near.

    >>> did_you_mean("usr", ["user", "orders"])
    "did you mean 'user'?"
    >>> did_you_mean("zzz", ["user"])
    ''
    """
    candidates = _likeliest(name, sorted(known))
    near = get_close_matches(name, candidates, n=1, cutoff=0.6)
    if not near:
        folded = {candidate.lower(): candidate for candidate in candidates}
        near = get_close_matches(name.lower(), list(folded), n=1, cutoff=0.6)
        near = [folded[match] for match in near]
    return f"did you mean '{near[0]}'?" if near else ""


def _likeliest(name: str, candidates: list[str]) -> list[str]:
    """Return the candidates that are worth a closer look, which takes 10 µs each."""
    if len(candidates) <= _CANDIDATES_MAX:
        return candidates
    size, head, tail = len(name), name[:2], name[-2:]

    def distance(candidate: str) -> int:
        is_alike = (candidate[:2] == head) + (candidate[-2:] == tail)
        return abs(len(candidate) - size) - 2 * is_alike

    return heapq.nsmallest(_CANDIDATES_MAX, candidates, key=distance)
