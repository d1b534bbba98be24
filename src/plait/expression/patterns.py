"""How heavy a regular expression is, before RE2 compiles it.

RE2 never backtracks, but it does unroll: `a{1,900}` written a hundred times took ten
seconds to compile. Measured, the time to compile grows with the letters that a pattern
unrolls to, with the square of its optional parts, and with its Unicode classes; the time
to match with the letters times the length of the text.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

_PIECE: Final = re.compile(
    r"(?P<unicode>\\[pP](?:\{[^}]*\}|.)?)|(?P<escape>\\.)"
    r"|(?P<set>\[\^?\]?(?:\\.|[^\]\\])*\]?)"
    r"|(?P<repeat>\{(?P<least>\d{1,9})(?P<range>,(?P<most>\d{0,9}))?\})|(?P<maybe>[?*+])"
    r"|(?P<open>\()|(?P<close>\))|(?P<dot>\.)|(?P<other>.)",
    re.DOTALL,
)
_UNICODE_LETTERS: Final = 70
_DOT_LETTERS: Final = 8
_CALL_NS: Final = 3_000
_LETTER_NS: Final = 250
_OPTIONAL_SQUARE_NS: Final = 1.5
_UNICODE_NS: Final = 1_200_000
_MATCH_NS: Final = 2.5
# RE2 refuses what is larger by far; a weight beyond this says nothing more.
_MOST: Final = 10**7


class Weight(NamedTuple):
    """What a pattern unrolls to, at most: letters, optional parts, Unicode classes."""

    letters: int = 0
    optional: int = 0
    classes: int = 0

    def plus(self, other: Weight) -> Weight:
        """Return the weight of one pattern after the other."""
        return Weight(*(min(a + b, _MOST) for a, b in zip(self, other, strict=True)))

    def times(self, count: int) -> Weight:
        """Return the weight of the pattern `count` times over."""
        return Weight(*(min(part * count, _MOST) for part in self))

    def call_ns(self) -> float:
        """Return what one match costs before it looks at the text, nanoseconds."""
        linear = self.letters * _LETTER_NS + self.classes * _UNICODE_NS
        return _CALL_NS + linear + self.optional**2 * _OPTIONAL_SQUARE_NS

    def char_ns(self) -> float:
        """Return what each character of the text costs, nanoseconds."""
        return self.letters * _MATCH_NS


def weight_of(pattern: str) -> Weight:
    """Return what `pattern` unrolls to.

    >>> weight_of("(ab){10}c?")
    Weight(letters=31, optional=1, classes=0)
    >>> weight_of("(a{1,900}){9}").optional
    8091
    """
    # Per open group: its weight without the last piece, and the last piece, which may
    # still be repeated.
    stack = [(Weight(), Weight())]
    for match in _PIECE.finditer(pattern):
        before, last = stack[-1]
        if match.lastgroup == "repeat":
            stack[-1] = before, _repeated(last, match)
        elif match.lastgroup == "maybe":
            stack[-1] = before, last.plus(Weight(optional=1))
        elif match.lastgroup == "open":
            stack.append((Weight(letters=1), Weight()))
        elif match.lastgroup == "close" and len(stack) > 1:
            stack.pop()
            stack[-1] = stack[-1][0].plus(stack[-1][1]), before.plus(last)
        else:
            stack[-1] = before.plus(last), _piece(match)
    total = Weight()
    for before, last in stack:
        total = total.plus(before).plus(last)
    # (?i) makes two of every letter.
    return total.times(2) if "(?i" in pattern else total


def made_weight(chars: int, *, may_repeat: bool) -> Weight:
    """Return the weight of a pattern that is only known to have `chars` characters."""
    if may_repeat:
        return Weight(chars, chars, chars // 3).times(1_000)
    return Weight(chars * _DOT_LETTERS, chars)


def _repeated(last: Weight, match: re.Match[str]) -> Weight:
    least, most = int(match["least"]), match["most"]
    if not most:
        is_open = match["range"] is not None
        return last.times(max(least, 1)).plus(Weight(optional=int(is_open)))
    return last.times(max(int(most), 1)).plus(Weight(optional=max(int(most) - least, 0)))


def _piece(match: re.Match[str]) -> Weight:
    match match.lastgroup:
        case "unicode":
            return Weight(_UNICODE_LETTERS, 0, 1)
        case "dot":
            return Weight(_DOT_LETTERS)
        case "set":
            classes = len(re.findall(r"\\[pP]|\[:", match[0]))
            negated = _DOT_LETTERS if match[0].startswith("[^") else 0
            letters = len(match[0]) + negated + classes * _UNICODE_LETTERS
            return Weight(letters, 0, classes)
        case _:
            return Weight(1)
