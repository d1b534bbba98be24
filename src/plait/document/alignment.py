"""Which character of a scalar's source each character of its text came from.

Quotes, escapes, folded lines and the indentation of block scalars make the source longer
than the text. Whitespace in folded and block scalars is matched to the nearest whitespace;
every other character is found exactly.
"""

from __future__ import annotations

import re

# Each match is one character of text, or none. Outside block scalars, a line break takes
# the indentation after it along; with a backslash before it, it joins two lines.
_DOUBLE_QUOTED = re.compile(
    r"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
    r"|\\x[0-9a-fA-F]{2}|\\u[0-9a-fA-F]{4}|\\U[0-9a-fA-F]{8}"
    r"|\\?(?:\r\n|[\n\r])[ \t]*|\\.|.",
    re.DOTALL,
)
_SINGLE_QUOTED = re.compile(r"''|(?:\r\n|[\n\r])[ \t]*|.", re.DOTALL)
_PLAIN = re.compile(r"(?:\r\n|[\n\r])[ \t]*|.", re.DOTALL)
_BLOCK = re.compile(r"\r\n|.", re.DOTALL)
_BLOCK_HEADER = re.compile(r"[|>][^\n\r]*(?:\r\n|.)?", re.DOTALL)


def source_offset(raw: str, text: str, offset: int) -> int:
    r"""Return where in `raw` the character at `offset` of `text` stands.

    Args:
        raw: The scalar's source, its quotes or block header included.
        text: What it stands for.
        offset: From 0 to `len(text)`; the latter is the place after the last character.

    >>> source_offset("plain", "plain", 2)
    2
    >>> source_offset(r'"tab\tend"', "tab\tend", 4)
    6
    >>> source_offset("|\n  one\n  two\n", "one\ntwo\n", 4)
    10
    """
    if raw == text:
        return offset
    if raw[1:-1] == text:
        return offset + 1
    units, start = _units(raw)
    matched, end = 0, start
    for unit in units.finditer(raw, start):
        is_match = matched < len(text) and _matches(unit[0], text[matched])
        if matched == offset and (is_match or not _is_left_out(unit[0])):
            return unit.start()
        if is_match:
            matched += 1
            end = unit.end()
    return end


def _units(raw: str) -> tuple[re.Pattern[str], int]:
    if raw.startswith('"'):
        return _DOUBLE_QUOTED, 1
    if raw.startswith("'"):
        return _SINGLE_QUOTED, 1
    header = _BLOCK_HEADER.match(raw)
    return (_PLAIN, 0) if header is None else (_BLOCK, header.end())


def _matches(unit: str, char: str) -> bool:
    """Tell whether the source `unit` stands for `char`."""
    if unit[0] in "\n\r":
        return char in (" ", "\n")
    if unit.startswith("\\") and len(unit) > 1:
        return not _is_left_out(unit)
    return unit[0] == char


def _is_left_out(unit: str) -> bool:
    """Tell whether the source `unit` may stand for nothing: folded, or indentation."""
    return unit.isspace() or (unit[0] == "\\" and unit[1:2] in ("\n", "\r"))
