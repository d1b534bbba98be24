"""Conditions: from `the customer is vip and the total is above 100` to an expression.

What a condition speaks of is looked for in what earlier steps answer; what is not found
there becomes a property of the input, and the draft says so.
"""

from __future__ import annotations

import re
from typing import Final

from plait.agent.reading import MARK
from plait.agent.schemas import type_of
from plait.agent.scope import Found, Scope, key_words
from plait.agent.words import IDENTITY, STOP, identifier, pieces, singular
from plait.model.record import record

_COMPARED: Final = (
    (r"(?:is\s+|are\s+)?(?:at\s+least|no\s+less\s+than|>=)", ">="),
    (r"(?:is\s+|are\s+)?(?:at\s+most|no\s+more\s+than|up\s+to|<=)", "<="),
    (r"(?:is\s+|are\s+|costs?\s+)?(?:more|greater|higher|larger|bigger|older)\s+than", ">"),
    (r"(?:is\s+|are\s+)?(?:above|over|exceeds?|exceeding|beyond|>)", ">"),
    (r"(?:is\s+|are\s+|costs?\s+)?(?:less|lower|smaller|fewer|younger)\s+than", "<"),
    (r"(?:is\s+|are\s+)?(?:below|under|<)", "<"),
)
_NUMBER: Final = re.compile(r"[$€£]?\s*(-?\d{1,12}(?:\.\d{1,6})?)")
_IS_NOT: Final = re.compile(
    r"(?i)\b(?:is\s+not|are\s+not|isn't|aren't|!=|does\s+not\s+equal|differs\s+from)\s+"
)
_IS: Final = re.compile(r"(?i)\b(?:is|are|was|equals?|==?|has\s+been)\s+")
_EMPTY: Final = re.compile(
    r"(?i)^(?:there\s+(?:is|are)\s+(?:no|not\s+any)\s+(?P<none>.+)|(?P<empty>.+?)\s+(?:is|are)\s+empty)$"
)
_ANY: Final = re.compile(
    r"(?i)^(?:there\s+(?:is|are)\s+(?:any|some|an?)\s+(?P<some>.+)|(?P<full>.+?)\s+(?:is|are)\s+not\s+empty)$"
)
_MISSING: Final = re.compile(
    r"(?i)^(?P<what>.+?)\s+(?:is\s+(?:missing|null|not\s+set|unknown))$"
)
_THERE: Final = re.compile(
    r"(?i)^(?P<what>.+?)\s+(?:exists?|is\s+(?:set|given|known|there))$"
)
DECIDED: Final = re.compile(
    r"(?i)\b(?P<not>not\s+)?(?:(?P<yes>approv(?:ed|es?)|accept(?:ed|s)?)|(?:reject|den[iy]|declin)\w*)\b"
)
_BOTH: Final = re.compile(r"(?i)\s+(and|or)\s+")
_FILLERS: Final = STOP | frozenset(
    "true false yes no value equal currently already still".split()
)


@record
class Expressed:
    """An expression for a condition.

    Attributes:
        assumed: What was taken for granted; empty: nothing.
    """

    expression: str
    assumed: str = ""


def express(text: str, scope: Scope, literals: list[str]) -> Expressed:
    """Return the expression of a condition in plain English."""
    pieces_ = _BOTH.split(text.strip())
    if len(pieces_) > 1 and len(pieces_) <= 9:
        return _joined(pieces_, scope, literals)
    return _single(text.strip(" ,."), scope, literals)


def _joined(parts: list[str], scope: Scope, literals: list[str]) -> Expressed:
    made = [_single(part, scope, literals) for part in parts[::2]]
    text = made[0].expression
    for word, one in zip(parts[1::2], made[1:], strict=True):
        sign = "&&" if word.lower() == "and" else "||"
        text = f"({text}) {sign} ({one.expression})"
    return Expressed(text, "; ".join(one.assumed for one in made if one.assumed))


def _single(text: str, scope: Scope, literals: list[str]) -> Expressed:
    for pattern, sign in _COMPARED:
        found = re.search(rf"(?i)(?:\b|(?<=\s)){pattern}\s*(?=[$€£\d-])", text)
        number = _NUMBER.match(text, found.end()) if found is not None else None
        if found is not None and number is not None:
            what = _named(text[: found.start()], scope, "number")
            value = what.expression
            if what.kind == "array":
                value = f"size({value})"
            return Expressed(f"{value} {sign} {number[1]}", what.assumed)
    for pattern_, template in (
        (_EMPTY, "size({}) == 0"), (_ANY, "size({}) > 0"),
    ):  # fmt: skip
        found = pattern_.match(text)
        if found is not None:
            inner = next(one for one in found.groups() if one is not None)
            what = _named(inner, scope, "array")
            return Expressed(template.format(what.expression), what.assumed)
    for pattern_, template in ((_MISSING, "{} == null"), (_THERE, "{} != null")):
        found = pattern_.match(text)
        if found is not None:
            what = _named(found["what"], scope, "")
            return Expressed(template.format(what.expression), what.assumed)
    return _decided(text, scope) or _equal(text, scope, literals)


def _decided(text: str, scope: Scope) -> Expressed | None:
    """Return what asks whether an approval was given; None: it is about something else."""
    found = DECIDED.search(text)
    asked = next((one for one in reversed(scope.made) if one.resource == "approval"), None)
    if found is None or asked is None:
        return None
    is_yes = (found["yes"] is not None) != (found["not"] is not None)
    return Expressed(f"{asked.value}.decision {'==' if is_yes else '!='} 'approved'")


def _equal(text: str, scope: Scope, literals: list[str]) -> Expressed:
    negated = _IS_NOT.search(text)
    found = negated or _IS.search(text)
    if found is None:
        what = _named(text, scope, "boolean")
        return Expressed(_truth(what, True), what.assumed)
    subject, value = text[: found.start()], text[found.end() :].strip(" .,")
    plain = value.lower()
    if plain in ("true", "false", "yes", "no"):
        what = _named(subject, scope, "boolean")
        return Expressed(
            _truth(what, (plain in ("true", "yes")) == (negated is None)), what.assumed
        )
    whole = _look(f"{subject} {value}", scope, "boolean")
    if whole is not None:
        return Expressed(_truth(whole, negated is None), whole.assumed)
    sign = "!=" if negated is not None else "=="
    number = _NUMBER.fullmatch(value)
    if number is not None:
        what = _named(subject, scope, "number")
        return Expressed(f"{what.expression} {sign} {number[1]}", what.assumed)
    chosen = _chosen(subject, value, scope)
    if chosen is not None:
        return Expressed(f"{chosen[0]} {sign} {quoted(chosen[1])}")
    mark = MARK.search(value)
    known = _look(subject, scope, "string")
    if known is not None and mark is None and _is_id(known, subject):
        known = None
    if mark is not None or known is not None:
        what = known or _named(subject, scope, "string")
        said = literals[int(mark[1][:6]) % len(literals)] if mark and literals else value
        return Expressed(f"{what.expression} {sign} {quoted(said)}", what.assumed)
    what = _named(text, scope, "boolean")
    return Expressed(_truth(what, negated is None), what.assumed)


@record
class _Named:
    expression: str
    kind: str
    assumed: str = ""


def _is_id(known: _Named, subject: str) -> bool:
    """Tell whether a value is an id although nobody spoke of one."""
    last = set(key_words(known.expression.rpartition(".")[2]))
    return bool(last & IDENTITY) and not last & IDENTITY & set(_plain(subject))


def _truth(what: _Named, is_so: bool) -> str:
    return what.expression if is_so else f"!{what.expression}"


def _named(text: str, scope: Scope, kind: str) -> _Named:
    """Return what a text speaks of; a property of the input if nothing else is found."""
    found = _look(text, scope, kind)
    if found is not None:
        return found
    kept = [word for word in _plain(text) if word not in _FILLERS]
    name = identifier(kept[:5], fallback="condition")
    schema = {"type": kind} if kind else {}
    expression = scope.inputs.need(name, dict(schema))
    assumed = f"'{' '.join(_plain(text))}' is read from the input: `{expression}`"
    return _Named(expression, kind, assumed)


def _look(text: str, scope: Scope, kind: str) -> _Named | None:
    """Return the value whose name has all words of a text, and the fewest others."""
    wanted = {singular(word) for word in _plain(text) if word not in _FILLERS}
    if not wanted:
        return None

    def is_meant(one: Found) -> bool:
        own = set(key_words(one.expression.rpartition(".")[2]))
        is_whole = one.expression.endswith("response")
        return (is_whole or not own.isdisjoint(wanted)) and _suits(one, kind)

    found = scope.nearest(wanted, is_meant)
    return None if found is None else _Named(found.expression, type_of(found.schema))


def _suits(found: Found, kind: str) -> bool:
    has = type_of(found.schema)
    if kind == "number":
        return has in ("number", "integer", "array")
    return not kind or not has or has == kind


def _chosen(subject: str, value: str, scope: Scope) -> tuple[str, str] | None:
    """Return a text that may only be one of some, when `value` is one of these."""
    wanted = {singular(word) for word in _plain(subject) if word not in _FILLERS}
    said = " ".join(_plain(value))
    for one in scope.values():
        options = one.schema.get("enum")
        if not isinstance(options, list) or not wanted <= set(one.words):
            continue
        for option in options:
            if isinstance(option, str) and " ".join(pieces(option)) == said:
                return one.expression, option
    return None


def _plain(text: str) -> list[str]:
    return pieces(MARK.sub(" ", text))


def quoted(text: str) -> str:
    """Return a text as an expression.

    >>> quoted("it's"), quoted("a}b")
    ("'it\\\\'s'", "'a}b'")
    """
    clean = "".join(char for char in text if char.isprintable())[:200]
    escaped = clean.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
