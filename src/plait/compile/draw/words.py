"""The words in a box, and how much room they take.

All text is set in a monospaced font: its width is known without measuring, in whatever
font the viewer has (0.60 em in most, never above 0.61), so no text leaves its box.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final, Literal

from plait.compile.draw.graph import GraphNode
from plait.model.record import record

Style = Literal["label", "kind", "condition", "notes", "group", "title"]

FONT_PX: Final[dict[Style, int]] = {
    "label": 13,
    "kind": 10,
    "condition": 11,
    "notes": 11,
    "group": 11,
    "title": 14,
}
_EM_PER_CELL: Final = 0.61
_LENGTH_MAX: Final[dict[Style, int]] = {
    "label": 32,
    "kind": 24,
    "condition": 40,
    "notes": 46,
    "group": 46,
    "title": 80,
}
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


@record
class Words:
    """One line of text, cut to what a box takes."""

    text: str
    style: Style

    @property
    def width(self) -> float:
        """The room it takes, pixels."""
        return cells(self.text) * FONT_PX[self.style] * _EM_PER_CELL

    @property
    def height(self) -> float:
        """The room it takes with what lies between lines, pixels."""
        return FONT_PX[self.style] + 5


def cells(text: str) -> int:
    """Return how many cells of a monospaced font `text` takes; CJK takes two each.

    >>> cells("vip"), cells("日本")
    (3, 4)
    """
    wide = sum(unicodedata.east_asian_width(letter) in "WF" for letter in text)
    return len(text) + wide


def words(text: str, style: Style, room_px: float = 0.0) -> Words:
    """Return `text` as one line that XML can hold, cut with an ellipsis if it is long.

    Args:
        room_px: How wide it may be in any case: what is there is used.

    >>> words("a\\x00b" + "c" * 40, "label").text
    'a�bcccccccccccccccccccccccccccc…'
    >>> words("c" * 40, "label", room_px=400.0).text == "c" * 40
    True
    """
    text = clean(" ".join(text.split()))
    room = max(_LENGTH_MAX[style], int(room_px / FONT_PX[style] / _EM_PER_CELL))
    if cells(text) > room:
        while cells(text) > room - 1:
            text = text[:-1]
        text += "…"
    return Words(text, style)


def clean(text: str) -> str:
    """Return `text` without what XML cannot hold."""
    return _CONTROL.sub("\ufffd", text)


def lines_of(node: GraphNode) -> list[Words]:
    """Return the lines below a box's heading: its condition, notes, policies."""
    lines = []
    if node.condition:
        lines.append(words(f"if {node.condition}", "condition"))
    below = (node.notes, node.policies)
    lines.extend(words(" · ".join(line), "notes") for line in below if line)
    return lines + [words(line, "notes") for line in node.lines]
