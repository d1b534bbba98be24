"""What the CEL compiler complains about, in our words: a code, a place, a remedy.

Rule 1. Codes E001… are stable; docs/reference/errors.md lists them.
Rule 2. Of syntax errors only the first is told: the rest follow from it.

Not here: finding the expressions in a text (plait.expression.scan).
"""

from __future__ import annotations

import re
from difflib import get_close_matches
from typing import Final, NamedTuple

from plait.expression.catalogue import NAMES, OTHER_NAMES
from plait.expression.lex import is_nested_beyond, tokens_of
from plait.expression.lift import Lifted
from plait.expression.paths import format_path

UNCLOSED: Final = "E001"
IN_KEY: Final = "E002"
EMPTY_EXPRESSION: Final = "E003"
SYNTAX: Final = "E004"
UNKNOWN_FUNCTION: Final = "E005"
TYPES: Final = "E006"
TOO_LARGE: Final = "E007"
NOT_OFFERED: Final = "E008"

# 16,384: four times what CEL is given at most, which has short names for long paths.
SOURCE_CHARS_MAX: Final = 16_384
# 32: the library refuses what is deeper, but reads all of it first.
NESTING_MAX: Final = 32
_TOO_DEEP: Final = "the expression is too deeply nested"
_SPLIT_HINT: Final = "split it over `set` steps; a long sum of texts is shorter as a join"

_FOUND: Final = re.compile(r"ERROR: <input>:(-?\d+):(-?\d+): (.*)")
_UNDECLARED: Final = re.compile(r"undeclared reference to '([^']*)'")
_OVERLOAD: Final = re.compile(r"found no matching overload for '(.+)' applied to '(.*)'")
_TOKEN: Final = re.compile(
    r"(?:mismatched input|extraneous input|token recognition error at:"
    r"|no viable alternative at input|missing .+ at) '(.*?)'(?: expecting .*)?$"
)
_SLOT: Final = re.compile(r"\bv(\d+)\b")
_OPERATOR: Final = re.compile(r"[_@]|^in$")

_SHORT_NAMES: Final = sorted(NAMES | {name.rpartition(".")[2] for name in NAMES})
_REMEDIES: Final = (
    (re.compile(r"==="), "write =="),
    (re.compile(r"!=="), "write !="),
    (re.compile(r"=>"), "write list.map(x, …) or list.filter(x, …)"),
    (re.compile(r"\?\?"), "write x.?key.orValue(other)"),
    (re.compile(r"\?\."), "write x.?key, the question mark after the dot"),
    (re.compile(r"\$\{"), "no ${ is needed inside an expression"),
    (re.compile(r"(?<![=!<>])=(?!=)"), "write == to compare"),
    (re.compile("[\u201c\u201d\u2018\u2019]"), "write plain quotes"),
    (re.compile(r"\band\b"), "write &&"),
    (re.compile(r"\bor\b"), "write ||"),
    (re.compile(r"\bnot\b"), "write !"),
)


class Problem(NamedTuple):
    """One complaint. `offset` counts characters in the original expression."""

    code: str
    message: str
    hint: str
    offset: int


class CompileFailed(Exception):
    """An expression does not compile. `complaint`: the library's own text."""

    def __init__(self, complaint: str) -> None:
        super().__init__(complaint)
        self.complaint = complaint


class Refused(Exception):
    """An expression compiles, but is not offered: too large, or an unlisted function."""

    def __init__(self, code: str, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.problem = Problem(code, message, hint, 0)


def too_large(expression: str) -> Problem | None:
    """Return what is wrong with an expression that is too large to be looked at."""
    if len(expression) > SOURCE_CHARS_MAX:
        text = f"the expression has {len(expression):,} characters"
        text += f"; at most {SOURCE_CHARS_MAX:,} are allowed"
        return Problem(TOO_LARGE, text, _SPLIT_HINT, 0)
    if is_nested_beyond(expression, NESTING_MAX):
        return Problem(TOO_LARGE, _TOO_DEEP, _SPLIT_HINT, 0)
    return None


def problems_of(complaint: str, expression: str, lifted: Lifted) -> list[Problem]:
    """Return what `complaint` says about `expression`, which was lifted before."""
    if "recursion" in complaint or "node count" in complaint:
        return [Problem(TOO_LARGE, _TOO_DEEP, _SPLIT_HINT, 0)]
    found: dict[Problem, None] = {}
    for line, column, text in _FOUND.findall(complaint):
        if int(line) > 0:
            problem = _problem(int(line), int(column), text, expression, lifted)
            if problem.code == SYNTAX:
                return [problem]
            found[problem] = None
    return list(found) or [Problem(SYNTAX, "the expression cannot be read", "", 0)]


def is_only_mixed_types(complaint: str) -> bool:
    """Tell whether nothing but a choice or comparison of mixed types was refused.

    `x ? 'a' : null` and `size(x) < 2.5` make sense when they run.
    """
    found = [text for line, _, text in _FOUND.findall(complaint) if int(line) > 0]
    return bool(found) and all(_is_mixed(text) for text in found)


def _is_mixed(text: str) -> bool:
    overload = _OVERLOAD.search(text)
    if overload is None:
        return False
    operator, types = overload[1], _in_brackets(overload[2]).split(", ")
    if operator == "_?_:_":
        # *error*: the condition is refused for itself.
        return types[0] in ("bool", "dyn", "*error*")
    if operator == "@in" and types[-1].startswith("list("):
        operator, types[-1] = "_==_", _in_brackets(types[-1].removeprefix("list"))
    numbers = all(kind in ("int", "uint", "double") for kind in types)
    return numbers and operator in ("_<_", "_<=_", "_>_", "_>=_", "_==_", "_!=_")


def _in_brackets(text: str) -> str:
    """Return `a, list(b)` of `(a, list(b))`: one bracket at each end, no more."""
    return text.removeprefix("(").removesuffix(")")


def shown_operator(name: str) -> str:
    """Return `_+_` as `+` and `size` as `size`, quoted.

    >>> [shown_operator(name) for name in ("_+_", "@in", "_?_:_", "size")]
    ["'+'", "'in'", "'?:'", "'size'"]
    """
    return f"'{name if name[0].isalpha() else _OPERATOR.sub('', name) or name}'"


def _problem(line: int, column: int, text: str, expression: str, lifted: Lifted) -> Problem:
    at = _offset(lifted.text, line, column)
    if undeclared := _UNDECLARED.search(text):
        name = undeclared[1]
        if lifted.text.startswith(name + "{", at):
            text = "messages cannot be made; an object is written without a name"
            return Problem(NOT_OFFERED, text, "", lifted.original_offset(at))
        start = at - len(name) if lifted.text[at : at + 1] == "(" else at
        return _unknown(name, lifted.original_offset(max(start, 0)))
    at = lifted.original_offset(at)
    if overload := _OVERLOAD.search(text):
        message = (
            f"{shown_operator(overload[1])} does not take ({_in_brackets(overload[2])})"
        )
        return Problem(TYPES, message, "", at)
    return Problem(SYNTAX, _syntax_message(text, lifted), _remedy(expression), at)


def _unknown(name: str, offset: int) -> Problem:
    if name in NAMES or name in _SHORT_NAMES:
        message = f"function '{name}' does not take these arguments"
        return Problem(UNKNOWN_FUNCTION, message, "", offset)
    return Problem(UNKNOWN_FUNCTION, f"there is no function '{name}'", _near(name), offset)


def _near(name: str) -> str:
    """Return a hint for who wrote `name`, perhaps misspelt, perhaps of another language.

    >>> _near("lenght"), _near("mapp")
    ("it is called 'size' here", "did you mean 'map'?")
    """
    for near in get_close_matches(name, [*_SHORT_NAMES, *OTHER_NAMES], n=1):
        known = OTHER_NAMES.get(near)
        return f"it is called '{known}' here" if known else f"did you mean '{near}'?"
    return ""


def _syntax_message(text: str, lifted: Lifted) -> str:
    text = text.removeprefix("Syntax error: ")
    if token := _TOKEN.search(text):
        if token[1] == "<EOF>":
            return "the expression ends too early"
        text = f"unexpected '{token[1].strip()}'"
    return _SLOT.sub(lambda slot: _shown_slot(slot, lifted), text)


def _shown_slot(slot: re.Match[str], lifted: Lifted) -> str:
    number = int(slot[1])
    return format_path(lifted.slots[number].path) if number < len(lifted.slots) else slot[0]


def _remedy(expression: str) -> str:
    """Return what someone who wrote `expression` probably meant to write."""
    bare = "".join(
        " " if token.kind in ("string", "space") else token.text
        for token in tokens_of(expression)
    )
    return next((hint for sign, hint in _REMEDIES if sign.search(bare)), "")


def _offset(text: str, line: int, column: int) -> int:
    start = 0
    for _ in range(line - 1):
        start = text.find("\n", start) + 1
    return start + column - 1
