"""What is wrong with a document's text, gathered while it is read.

Codes of the text (stable; never renamed or reused):

D001 not UTF-8 · D002 too many bytes · D003 empty · D004 not a mapping · D005 a character
that may not stand there · D006 too deep · D007 too many values · D008 key too long ·
D009 key twice · D010 syntax · D011 never closed · D012 tab as indentation · D013 anchor
or alias · D014 merge key · D015 tag · D016 text after the end · D017 key is no text ·
D018 number does not fit · D019 not a finite number · D020 comma too many · D021 comment
in JSON · D022 text without double quotes · D023 half a surrogate pair · D024 unknown
escape · D025 malformed number · D026 template that needs quotes · D099 more besides

Not here: the shape of what was read (D1…, plait.document.parse).
"""

from __future__ import annotations

from typing import NoReturn

from plait.document.limits import SourceLimits
from plait.document.lines import Lines
from plait.document.spans import Offsets
from plait.model.diagnostic import Diagnostic
from plait.model.json import JsonValue
from plait.model.place import Span

# A text with more mistakes than this is no document: reading on helps nobody, and a
# hostile 256 KB could hold 100,000 of them.
_FAULTS_MAX = 1_000

_SHOWN_CHARS_MAX = 40


class Unreadable(Exception):
    """Reading cannot go on; the faults say why."""


class Faults:
    """The findings in one text, in the order of reading, and how many there were.

    Attributes:
        lost: Values that are in the text and not in the tree: their key came once more.
    """

    def __init__(self, text: str, limits: SourceLimits) -> None:
        self.lines = Lines(text)
        self.limits = limits
        self.count = 0
        self.lost: list[JsonValue] = []
        self._kept: list[Diagnostic] = []
        self._last: Offsets = (0, 0)
        self._is_cut = False

    def add(self, code: str, message: str, hint: str, start: int, end: int) -> None:
        """Note that something is wrong from `start` to `end`, and go on.

        Raises:
            Unreadable: There are so many faults that reading on makes no sense.
        """
        self.count += 1
        self._last = (start, end)
        if self.count <= self.limits.diagnostics_max:
            span = self.lines.span(start, end)
            self._kept.append(Diagnostic(code, message, hint, span))
        if self.count >= _FAULTS_MAX:
            self._is_cut = True
            raise Unreadable

    def stop(self, code: str, message: str, hint: str, start: int, end: int) -> NoReturn:
        """Note that something is wrong, and that nothing after it can be understood."""
        self.add(code, message, hint, start, end)
        raise Unreadable

    def diagnostics(self) -> tuple[Diagnostic, ...]:
        """Return what was found, in document order; the last one counts the rest."""
        kept_max = self.limits.diagnostics_max
        if self.count <= kept_max:
            return tuple(sorted(self._kept, key=_place))
        shown = sorted(self._kept[: kept_max - 1], key=_place)
        left_out = self.count - len(shown)
        least = "at least " if self._is_cut else ""
        message = f"{least}{left_out} more problems are not listed"
        span = self.lines.span(*self._last)
        return (*shown, Diagnostic("D099", message, "", span))

    def duplicate_key(
        self, key: str, first: Offsets, second: Offsets, lost: JsonValue
    ) -> None:
        """Note that a mapping has `key` at both places, the first time with `lost`."""
        self.lost.append(lost)
        line, column = self.lines.position(first[0])
        message = (
            f"key '{shown(key)}' stands twice in this mapping: "
            f"first at line {line}, column {column}"
        )
        self.add("D009", message, "keep one of the two", *second)

    def long_key(self, length: int, place: Offsets) -> None:
        """Note that a key has `length` characters, more than the limit."""
        length_max = self.limits.key_length_max
        message = f"this key has {length} characters; at most {length_max} are allowed"
        self.add("D008", message, "keep long text in values", *place)

    def too_deep(self, place: Offsets) -> NoReturn:
        """Stop at a mapping or list that is nested deeper than the limit."""
        depth_max = self.limits.depth_max
        message = f"nested deeper than {depth_max} mappings and lists"
        self.stop("D006", message, "split the document", *place)

    def too_many(self, place: Offsets) -> NoReturn:
        """Stop at the first value past the limit."""
        message = f"more than {self.limits.nodes_max} values"
        self.stop("D007", message, "split the document", *place)

    def unquoted_template(self, text: str, place: Offsets) -> None:
        """Note that YAML cuts a template, or takes part of it for its own."""
        quote = "'" if '"' in text else '"'
        hint = f"write {quote}{text}{quote}"
        if len(text) > _SHOWN_CHARS_MAX or (quote == "'" and "'" in text):
            hint = "put the whole value in quotes"
        self.add("D026", "this template needs quotes", hint, *place)

    def number_range(self, literal: str, place: Offsets) -> None:
        """Note that a number does not fit 64 bits."""
        message = f"the number {shown(literal)} does not fit 64 bits"
        self.add("D018", message, "quote it to keep it as text", *place)

    def not_finite(self, literal: str, place: Offsets) -> None:
        """Note that a value is infinite or not a number, which JSON cannot hold."""
        message = f"{literal} is not a number that JSON can hold"
        self.add("D019", message, "write null, or quote it to keep it as text", *place)


def shown(text: str) -> str:
    """Return `text` fit for a message: on one line, nothing invisible, not long.

    >>> shown("tab\\there"), shown("x" * 200)[-4:]
    ('tab\\\\there', 'xxx…')
    """
    if len(text) > _SHOWN_CHARS_MAX:
        text = text[: _SHOWN_CHARS_MAX - 1] + "…"
    return "".join(c if c.isprintable() else _escaped(c) for c in text)


def _escaped(char: str) -> str:
    return char.encode("unicode_escape", "surrogatepass").decode()


def _place(diagnostic: Diagnostic) -> Span:
    return diagnostic.span
