"""Lifts the names out of an expression: `a.b.c > 1` becomes `v0 > 1` with v0 = a.b.c.

Every name, with the constant keys after it, is replaced by a numbered slot. So the CEL
library is handed just the values that are read, expressions that differ only in names
share one program, and a name may be a word that CEL reserves (`package`, `import`).

Rule 1. A lifted expression means the same. A slot whose path is not there stays unbound:
        CEL fails when, and only when, it needs the value, as it would have done at the
        missing key. `has(a.b.c)` becomes a slot that holds the answer.
Rule 2. A name that a macro introduces (`x` in `list.map(x, x.y)`) keeps the keys after
        it, here and everywhere in the expression: only the syntax tree tells which `x`
        is meant.

Not here: reading a slot's value (plait.expression.getter), the syntax tree
(plait.expression.syntax), what is read below a slot (plait.expression.reads).
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from plait.expression.catalogue import MACROS, NAMES, TYPES
from plait.expression.lex import Token, tokens_of
from plait.expression.paths import WORDS, Read, is_simple_key, step_of

_WORD: Final = re.compile(r"[A-Za-z0-9_]")
_END: Final = Token("end", "", -1, -1)
_PADDING: Final = 5
_NAMESPACES: Final = frozenset(name.split(".")[0] for name in NAMES if "." in name)
_PROTOBUF: Final = ["google", "protobuf"]
_SELECTORS: Final = (".", "[", ".?", "[?")


class Slot(NamedTuple):
    """One value that an expression is given: a path, or whether its last key is there."""

    path: Read
    asks_has: bool = False


class Lifted(NamedTuple):
    """An expression without names.

    Attributes:
        text: The expression; slot number n is the name `vn`.
        slots: In order of first appearance.
        cuts: Pairs of an offset in `text` and the offset in the original where the same
            character stands, ascending.
    """

    text: str
    slots: tuple[Slot, ...]
    cuts: tuple[tuple[int, int], ...]

    def original_offset(self, offset: int) -> int:
        """Return where the character at `offset` of `text` stood before lifting."""
        lifted_at, original_at = 0, 0
        for cut in self.cuts:
            if cut[0] > offset:
                break
            lifted_at, original_at = cut
        return original_at + offset - lifted_at


def lift(expression: str) -> Lifted:
    """Return `expression` with its names lifted into slots.

    >>> lift("has(a.b) && a.b.c == x[0].size()")[:2]
    ('v0 && v1 == v2.size()', (Slot(path=('a', 'b'), asks_has=True), \
Slot(path=('a', 'b', 'c'), asks_has=False), Slot(path=('x', 0), asks_has=False)))
    """
    return _Lifter(expression).run()


class _Lifter:
    def __init__(self, expression: str) -> None:
        self.expression = expression
        # Padded, so that looking ahead, and back from the first, finds an end.
        self.tokens = [t for t in tokens_of(expression) if t.kind != "space"]
        self.count = len(self.tokens)
        self.tokens += [_END] * _PADDING
        self.bound = self._bound_names()
        self.slots: dict[Slot, int] = {}
        # Per open brace, whether it is that of a message, whose keys are fields.
        self.braces: list[bool] = []
        self.pieces: list[str] = []
        self.cuts: list[tuple[int, int]] = []
        self.length = 0
        self.copied_to = 0

    def run(self) -> Lifted:
        index = 0
        while index < self.count:
            index = self._step(index)
        self._copy(len(self.expression))
        return Lifted("".join(self.pieces), tuple(self.slots), tuple(self.cuts))

    def _bound_names(self) -> frozenset[str]:
        return frozenset(
            self.tokens[index + 2].text
            for index, token in enumerate(self.tokens)
            if token.text in MACROS
            and self.tokens[index + 1].text == "("
            and self.tokens[index + 2].kind == "ident"
            and self.tokens[index + 3].text == ","
        )

    def _step(self, index: int) -> int:
        """Handle the token at `index`; return the index of the next one to handle."""
        token = self.tokens[index]
        if token.text in "{}":
            self._brace(index)
        if token.text == "." and self._is_leading_dot(index):
            return self._rooted(index)
        if token.kind != "ident" or self.tokens[index - 1].text in (".", ".?"):
            return index + 1
        if self.tokens[index + 1].text == "(":
            return self._has(index) if token.text == "has" else index + 1
        if self._is_no_name(index) or self._is_field(index):
            return index + 1
        if (end := self._message_end(index)) is not None:
            return end
        path, end = self._chain(index)
        self._put(Slot(path), token.start, self.tokens[end - 1].end)
        return end

    def _is_leading_dot(self, index: int) -> bool:
        """Tell whether the dot at `index` begins a name: `.a` is `a` in CEL."""
        before, after = self.tokens[index - 1], self.tokens[index + 1]
        follows_value = before.text in (")", "]", "}") or (
            before.kind in ("ident", "quoted", "string", "number") and before.text != "in"
        )
        return after.kind == "ident" and not follows_value

    def _rooted(self, index: int) -> int:
        """Lift the name after a leading dot, unless a macro has the same name."""
        is_call = self.tokens[index + 2].text == "("
        if is_call or self.tokens[index + 1].text in self.bound:
            return index + 1
        path, end = self._chain(index + 1)
        self._put(Slot(path), self.tokens[index].start, self.tokens[end - 1].end)
        return end

    def _is_no_name(self, index: int) -> bool:
        """Tell whether the word at `index` is a literal, a type or part of a function."""
        word, following = self.tokens[index].text, self.tokens[index + 1].text
        if word in WORDS:
            return True
        if word in TYPES and word not in self.bound:
            return following not in _SELECTORS
        return (
            word in _NAMESPACES
            and following == "."
            and f"{word}.{self.tokens[index + 2].text}" in NAMES
            and self.tokens[index + 3].text == "("
        )

    def _brace(self, index: int) -> None:
        if self.tokens[index].text == "{":
            self.braces.append(self.tokens[index - 1].kind == "ident")
        elif self.braces:
            self.braces.pop()

    def _is_field(self, index: int) -> bool:
        """Tell whether the word at `index` is a field of a message: `f` in `A{f: 1}`."""
        begins = self.tokens[index - 1].text in ("{", ",")
        in_message = bool(self.braces) and self.braces[-1]
        return begins and in_message and self.tokens[index + 1].text == ":"

    def _message_end(self, index: int) -> int | None:
        """Return where the type `google.protobuf.X` or the `a.B` of `a.B{…}` ends."""
        end = index + 1
        while self.tokens[end].text == "." and self.tokens[end + 1].kind == "ident":
            end += 2
        names = [token.text for token in self.tokens[index:end:2]]
        is_type = (
            names[:2] == _PROTOBUF and len(names) == 3 and self.tokens[end].text != "("
        )
        return end if is_type or self.tokens[end].text == "{" else None

    def _chain(self, index: int) -> tuple[Read, int]:
        """Return the path that begins at `index`, and the index after it."""
        path: list[str | int] = [self.tokens[index].text]
        index += 1
        if path[0] in self.bound:
            return tuple(path), index
        while (step := self._chain_step(index)) is not None:
            path.append(step[0])
            index = step[1]
        return tuple(path), index

    def _chain_step(self, index: int) -> tuple[str | int, int] | None:
        key = self.tokens[index + 1]
        if self.tokens[index].text == ".":
            is_method = self.tokens[index + 2].text == "("
            if key.kind in ("ident", "quoted") and not is_method:
                return step_of(key.text), index + 2
        elif self.tokens[index].text == "[":
            closes = self.tokens[index + 2].text == "]"
            if closes and key.kind in ("number", "string") and is_simple_key(key.text):
                return step_of(key.text), index + 3
        return None

    def _has(self, index: int) -> int:
        """Lift `has(a.b.c)`, which begins at `index`; any other `has` is left as it is."""
        root = self.tokens[index + 2]
        if root.kind != "ident" or root.text in WORDS or root.text in self.bound:
            return index + 1
        path, end = self._chain(index + 2)
        selected = self.tokens[end - 2].text == "." and len(path) > 1
        if not selected or self.tokens[end].text != ")":
            return index + 1
        self._put(Slot(path, asks_has=True), self.tokens[index].start, self.tokens[end].end)
        return end + 1

    def _put(self, slot: Slot, start: int, end: int) -> None:
        """Write `slot` in place of the original text from `start` to `end`."""
        self._copy(start)
        number = self.slots.setdefault(slot, len(self.slots))
        name = f"v{number}"
        # `a[0]1` and `1ua` are no expressions; `v01` and `1uv0` would read like names.
        if _WORD.match(self.expression, start - 1) and start:
            self.pieces.append(" ")
            self.length += 1
        if _WORD.match(self.expression, end):
            name += " "
        self.cuts.append((self.length, start))
        self.pieces.append(name)
        self.length += len(name)
        self.copied_to = end

    def _copy(self, end: int) -> None:
        """Copy the original text up to `end` as it is."""
        if end > self.copied_to:
            self.cuts.append((self.length, self.copied_to))
            self.pieces.append(self.expression[self.copied_to : end])
            self.length += end - self.copied_to
