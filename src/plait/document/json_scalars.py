"""One JSON key or scalar, right or wrong: read it, say what is wrong, find where it ends.

Only text that the patterns of plait.document.json_text do not take comes here: what is
wrong, and rare forms. What is wrong is noted and, where its end is plain to see, read as
it was meant, so that one mistake hides no other.
"""

from __future__ import annotations

import re

import orjson

from plait.document.faults import Faults, shown
from plait.model.json import JsonValue

# Every pattern of this room fails in linear time: no repeated part can match one text in
# two ways. Possessive quantifiers would say so, but Python 3.11.2 (Debian 12) has bugs
# in them.
STRING = r'"[^"\\\x00-\x1f]*(?:\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})[^"\\\x00-\x1f]*)*"'

CONSTANTS: dict[str, JsonValue] = {"true": True, "false": False, "null": None}

INT_MIN = -(2**63)
INT_MAX = 2**64 - 1

_BLANKS = re.compile(r"[ \t\n\r]*")
_STRING = re.compile(STRING)
_LINE_COMMENT = re.compile(r"(?:#|//)[^\n\r]*")
# A string with mistakes in it: to the next quote on its line.
_ROUGH_STRING = re.compile(r'"[^"\\\n\r]*(?:\\[^\n\r][^"\\\n\r]*)*"')
_SINGLE_QUOTED = re.compile(r"'[^'\\\n\r]*(?:\\[^\n\r][^'\\\n\r]*)*'")
_CONTROL = re.compile(r"[\x00-\x1f]")
_ESCAPE = re.compile(r'\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}|(.))', re.DOTALL)
_LONE = re.compile(
    r"\\u[dD][89abAB][0-9a-fA-F]{2}(?!\\u[dD][c-fC-F])"
    r"|(?<!\\u[dD][89abAB][0-9a-fA-F]{2})\\u[dD][c-fC-F][0-9a-fA-F]{2}"
)
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?")
# What people write where a number or a word belongs, up to its evident end.
_RUN = re.compile(r"[-+.\w$]+")
_DIGIT = re.compile(r"[-+]?\.?[0-9]")

_NOT_FINITE = frozenset({"nan", "inf", "infinity"})
# As other languages write them: True, NULL, None.
_MEANT = {
    "true": "true",
    "false": "false",
    "null": "null",
    "none": "null",
    "nil": "null",
    "undefined": "null",
}


def skip_blanks(text: str, pos: int, faults: Faults) -> int:
    """Return where the next token starts. Comments are skipped too, and noted."""
    while True:
        blanks = _BLANKS.match(text, pos)
        assert blanks is not None
        pos = blanks.end()
        if text[pos : pos + 1] not in ("/", "#"):
            return pos
        end = _comment_end(text, pos, faults)
        hint = "remove it; a note can stand under 'description' or 'annotations'"
        faults.add("D021", "JSON has no comments", hint, pos, end)
        pos = end


def read_key(text: str, pos: int, faults: Faults) -> tuple[str, int]:
    """Return the key at `pos`, and where it ends. Anything but text stops the reading."""
    if text[pos] in "\"'":
        value, end = read_scalar(text, pos, faults)
        return str(value), end
    run = _RUN.match(text, pos)
    if run is None:
        message = f"expected a key in double quotes, not {char_at(text, pos)}"
        faults.stop("D010", message, "", pos, pos + 1)
    message = "a key needs double quotes"
    faults.add("D022", message, f'write "{shown(run[0])}"', pos, run.end())
    return run[0], run.end()


def read_scalar(text: str, pos: int, faults: Faults) -> tuple[JsonValue, int]:
    """Return the scalar at `pos`, and where it ends. What is wrong reads as it was meant.

    Raises:
        Unreadable: It has no end, or nothing that resembles a value stands there.
    """
    char = text[pos]
    if char == '"':
        return _string(text, pos, faults)
    if char == "'":
        return _single_quoted(text, pos, faults)
    run = _RUN.match(text, pos)
    if run is None:
        faults.stop("D010", f"expected a value, not {char_at(text, pos)}", "", pos, pos + 1)
    if _DIGIT.match(text, pos):
        return _number(run[0], pos, faults), run.end()
    return _word(run[0], pos, faults), run.end()


def char_at(text: str, pos: int) -> str:
    """Return how a message names the character at `pos`.

    >>> char_at("a:", 1), char_at("a", 1), char_at("\\x00", 0)
    ("':'", 'the end of the text', 'character U+0000')
    """
    if pos >= len(text):
        return "the end of the text"
    char = text[pos]
    return f"'{char}'" if char.isprintable() else f"character U+{ord(char):04X}"


def _comment_end(text: str, pos: int, faults: Faults) -> int:
    line_comment = _LINE_COMMENT.match(text, pos)
    if line_comment is not None:
        return line_comment.end()
    if not text.startswith("/*", pos):
        faults.stop("D010", "unexpected '/'", "", pos, pos + 1)
    end = text.find("*/", pos + 2)
    if end < 0:
        faults.stop("D011", "this comment never ends", "JSON has none", pos, pos + 2)
    return end + 2


def _string(text: str, pos: int, faults: Faults) -> tuple[JsonValue, int]:
    match = _STRING.match(text, pos)
    if match is not None:
        try:
            value: JsonValue = orjson.loads(match[0])
        except orjson.JSONDecodeError:
            _note_lone_surrogates(match[0], pos, faults)
            value = match[0]
        return value, match.end()
    rough = _ROUGH_STRING.match(text, pos)
    if rough is None:
        hint = r"close the quote on the same line; a line break is written \n"
        faults.stop("D011", "this text is never closed", hint, pos, pos + 1)
    _note_bad_characters(rough[0], pos, faults)
    return rough[0][1:-1], rough.end()


def _note_bad_characters(raw: str, pos: int, faults: Faults) -> None:
    for match in _CONTROL.finditer(raw):
        start = pos + match.start()
        code = ord(match[0])
        hint = rf"write \u{code:04x}" if match[0] != "\t" else r"write \t"
        message = f"character U+{code:04X} may not stand in text as it is"
        faults.add("D005", message, hint, start, start + 1)
    for match in _ESCAPE.finditer(raw):
        # What follows the backslash may be a control character: noted above.
        if match[1] is not None and match[1] >= " ":
            start = pos + match.start()
            message = rf"\{shown(match[1])} is no escape of JSON"
            is_short = match[1] == "u"
            hint = r"a backslash itself is written \\"
            hint = r"\u needs four hexadecimal digits" if is_short else hint
            faults.add("D024", message, hint, start, start + 2)


def _note_lone_surrogates(raw: str, pos: int, faults: Faults) -> None:
    for match in _LONE.finditer(raw.replace(r"\\", "  ")):
        start = pos + match.start()
        message = f"{match[0]} is half of a surrogate pair"
        hint = "write the character itself, or both halves"
        faults.add("D023", message, hint, start, start + len(match[0]))


def _single_quoted(text: str, pos: int, faults: Faults) -> tuple[JsonValue, int]:
    match = _SINGLE_QUOTED.match(text, pos)
    if match is None:
        faults.stop("D011", "this text is never closed", "", pos, pos + 1)
    faults.add("D022", "text needs double quotes", 'write "…"', pos, match.end())
    return match[0][1:-1], match.end()


def _number(literal: str, pos: int, faults: Faults) -> JsonValue:
    place = (pos, pos + len(literal))
    match = _NUMBER.fullmatch(literal)
    if match is None:
        hint = "for example 0.5, -1 or 1e3; quote it to keep it as text"
        faults.add("D025", f"{shown(literal)} is no JSON number", hint, *place)
        return None
    if match[1] is None and match[2] is None:
        # Longer ones do not fit, and int() would take quadratic time to say so.
        value = int(literal) if len(literal) <= 20 else INT_MAX + 1
        fits = INT_MIN <= value <= INT_MAX
        number: int | float = value
    else:
        number = float(literal)
        fits = abs(number) != float("inf")
    if not fits:
        faults.number_range(literal, place)
    return number


def _word(word: str, pos: int, faults: Faults) -> JsonValue:
    if word in CONSTANTS:
        return CONSTANTS[word]
    place = (pos, pos + len(word))
    folded = word.lower()
    if folded.lstrip("+-") in _NOT_FINITE:
        faults.not_finite(word, place)
    elif folded in _MEANT:
        message = f"{word} is no JSON value"
        faults.add("D022", message, f"write {_MEANT[folded]}", *place)
    else:
        message = f"'{shown(word)}' is no JSON value"
        faults.add("D022", message, "text needs double quotes", *place)
    return None
