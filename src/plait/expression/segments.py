"""Segments of the path of a URL that values might leave empty, or make `.` or `..`.

`/users/${id}` with an empty id would be `/users/`, which is another resource: a list of
all users, where one was meant. `.` and `..` are resolved by servers. A segment with any
other literal text in it can be neither.

Not here: values one by one (plait.expression.text).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final, NamedTuple

_END: Final = re.compile(r"[/?#]")
DOTS: Final = frozenset({".", ".."})
EMPTY: Final = "is empty, which would leave out a segment of the path of the URL"
RELATIVE: Final = "makes a segment '.' or '..', which would change the path of the URL"


class OpenSegment(NamedTuple):
    """A segment that holds values and, beside them, nothing but dots.

    Attributes:
        first: Index of the part in which it begins.
        last: Index of the part in which it ends.
        value: Index of the first value in it.
        is_one_value: Whether there is nothing else in it.
    """

    first: int
    last: int
    value: int
    is_one_value: bool


def open_segments(parts: Sequence[object], in_path: Sequence[bool]) -> list[OpenSegment]:
    """Return the open segments of a URL.

    Args:
        parts: Literals are of type str; everything else is a value.
        in_path: Per part, whether it is a value in the path.

    >>> parts = ["/a/", 1, "/.", 2, "/x", 3]
    >>> open_segments(parts, [isinstance(part, int) for part in parts])
    [OpenSegment(first=0, last=2, value=1, is_one_value=True), \
OpenSegment(first=2, last=4, value=3, is_one_value=False)]
    """
    found: list[OpenSegment] = []
    for index, is_value in enumerate(in_path):
        if is_value and not (found and index < found[-1].last):
            first, last = _first(parts, in_path, index), _last(parts, index)
            inner = list(parts[first : last + 1])
            inner[0], inner[-1] = _tail(inner[0]), _head(inner[-1])
            literal = "".join(part for part in inner if isinstance(part, str))
            if not literal.strip("."):
                count = sum(not isinstance(part, str) for part in inner)
                found.append(OpenSegment(first, last, index, count == 1 and not literal))
    return found


def fault_in(texts: Sequence[str], segment: OpenSegment) -> str:
    """Return what is wrong with the values of `segment`; empty when nothing is.

    Args:
        texts: The parts of the URL, written.
    """
    inner = list(texts[segment.first : segment.last + 1])
    if segment.first == 0 and not _ends_in_path(inner[0]):
        return ""
    inner[0], inner[-1] = str(_tail(inner[0])), str(_head(inner[-1]))
    text = "".join(inner)
    return RELATIVE if text in DOTS else "" if text else EMPTY


def _first(parts: Sequence[object], in_path: Sequence[bool], index: int) -> int:
    """Return the part in which the segment of the value at `index` begins."""
    while index > 0:
        index -= 1
        part = parts[index]
        begins = "/" in part if isinstance(part, str) else not in_path[index]
        if begins:
            break
    return index


def _last(parts: Sequence[object], index: int) -> int:
    while index < len(parts) - 1:
        index += 1
        part = parts[index]
        if isinstance(part, str) and _END.search(part):
            break
    return index


def _tail(part: object) -> object:
    return part.rpartition("/")[2] if isinstance(part, str) else part


def _head(part: object) -> object:
    return _END.split(part, maxsplit=1)[0] if isinstance(part, str) else part


def _ends_in_path(beginning: str) -> bool:
    """Tell whether a URL that begins so goes on in its path, not in its host or query."""
    scheme, mark, rest = beginning.partition("://")
    return not re.search(r"[?#]", beginning) and "/" in (rest if mark else scheme)
