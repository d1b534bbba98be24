"""Offsets in a text become lines and columns.

A line ends with LF, CR or CR LF, and with nothing else: editors count like this. Lines
and columns count from 1, columns in characters (code points), not bytes.
"""

from __future__ import annotations

from bisect import bisect_right
from itertools import accumulate

from plait.model.place import Span


class Lines:
    """Where the lines of one text begin. Found on first use: most reads never ask."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._starts: list[int] = []

    def position(self, offset: int) -> tuple[int, int]:
        """Return the line and the column of the character at `offset`, from 0.

        >>> Lines("a: 1\\nb: 2").position(8)
        (2, 4)
        """
        starts = self._starts or self._find_starts()
        line = bisect_right(starts, offset)
        return line, offset - starts[line - 1] + 1

    def span(self, start: int, end: int) -> Span:
        """Return the span of the characters from `start` up to, not including, `end`.

        >>> Lines("a: 1\\nb: 2").span(5, 10)
        Span(line=2, column=1, end_line=2, end_column=6)
        """
        return Span(*self.position(start), *self.position(end))

    def _find_starts(self) -> list[int]:
        # str.splitlines also breaks at form feeds, NEL and others; editors do not.
        text = self._text.replace("\r\n", " \n").replace("\r", "\n")
        lengths = (len(line) + 1 for line in text.split("\n"))
        self._starts = [0, *accumulate(lengths)][:-1]
        return self._starts
