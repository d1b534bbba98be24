"""Places: where in a document something stands."""

from __future__ import annotations

from typing import NamedTuple


class Span(NamedTuple):
    """A stretch of text. Lines and columns count from 1; the end is exclusive."""

    line: int
    column: int
    end_line: int
    end_column: int


class Place(NamedTuple):
    """One spot in a document: its JSON pointer (RFC 6901) and its line and column."""

    pointer: str
    line: int
    column: int


NOWHERE = Place("", 0, 0)


def pointer_to(*segments: str | int) -> str:
    """Return the JSON pointer that names `segments`.

    >>> pointer_to("steps", 0, "a/b")
    '/steps/0/a~1b'
    """
    return "".join(
        "/" + str(segment).replace("~", "~0").replace("/", "~1") for segment in segments
    )


def segments_of(pointer: str) -> list[str]:
    """Return the segments that a JSON pointer names; indexes stay text.

    >>> segments_of("/steps/0/a~1b")
    ['steps', '0', 'a/b']
    """
    parts = pointer.split("/")[1:]
    return [part.replace("~1", "/").replace("~0", "~") for part in parts]
