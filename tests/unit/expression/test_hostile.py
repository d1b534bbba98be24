"""Texts made to take long are refused soon.

Counted is processor time. Each text takes 1 to
50 ms on a slow core; what reads it character by character takes 300 to 4,000.
"""

from __future__ import annotations

import pytest

from plait.expression.problems import NESTING_MAX, SOURCE_CHARS_MAX
from plait.expression.scan import MARKS_MAX, split
from plait.expression.template import FINDINGS_MAX
from plait.model.json import JsonValue
from tests.unit.expression.making import findings, template
from tests.unit.processor import quiet_seconds

DOCUMENT_CHARS = 250_000
SOON_S = 0.1


def filled(start: str, repeated: str, end: str = "") -> str:
    """Return a text as long as a document may be."""
    return start + repeated * (DOCUMENT_CHARS // len(repeated)) + end


HOSTILE = {
    "parentheses": filled("${", "(", "}"),
    "parentheses never closed": filled("${", "("),
    "brackets": filled("${", "[", "}"),
    "braces": filled("${", "{", "}" * DOCUMENT_CHARS + "}"),
    "marks": filled("", "${"),
    "marks closed once": filled("", "${", "}"),
    "empty expressions": filled("", "${}"),
    "wrong expressions": filled("", "${a+}"),
    "strings never closed": filled("", "${'"),
    "keys of a path": filled("${a", ".a", "(}"),
    "spaced dots": filled("${a", " .", "}"),
    "backticks": filled("${", "`", "}"),
    "signs that are none": filled("${", "é", "}"),
    "comments": filled("${", "//\n", "}"),
    "quotes in turn": filled("${", "\"'", "}"),
    "escaped quotes": filled("${", "'\\", "}"),
    "literal marks": filled("", "$${"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_text_is_refused_soon(name: str) -> None:
    assert findings(HOSTILE[name])
    assert quiet_seconds(lambda: findings(HOSTILE[name]), SOON_S) < SOON_S


@pytest.mark.parametrize("opening", ["(", "[", "a.map(x, ", "-("])
def test_an_expression_nested_too_deeply_is_not_read_by_the_library(opening: str) -> None:
    (found,) = findings("${" + opening * (NESTING_MAX + 1) + "}")
    assert (found.code, found.message) == ("E007", "the expression is too deeply nested")
    (found,) = findings("${" + opening * NESTING_MAX + "}")
    assert found.message != "the expression is too deeply nested"


def test_parentheses_as_deep_as_is_allowed_are_evaluated() -> None:
    text = "${" + "(" * NESTING_MAX + "a" + ")" * NESTING_MAX + "}"
    assert template(text).render({"a": 1}) == 1


def test_an_expression_is_as_long_as_is_allowed_and_no_longer() -> None:
    name = "a" * SOURCE_CHARS_MAX
    assert template("${" + name + "}").render({name: 1}) == 1
    (found,) = findings("${a" + name + "}")
    assert (found.code, "16,385 characters" in found.message) == ("E007", True)


def test_a_text_has_as_many_expressions_as_is_allowed_and_no_more() -> None:
    assert not findings("${a}" * MARKS_MAX)
    (found,) = findings("${a}" * MARKS_MAX + "$${")
    assert (found.code, found.span.column) == ("E007", 5 + 4 * MARKS_MAX)


def test_of_very_many_findings_the_first_are_told() -> None:
    value: JsonValue = ["${a +}"] * (FINDINGS_MAX + 50)
    assert len(findings(value)) == FINDINGS_MAX


@pytest.mark.parametrize("text", ["${a ${b}", "${'a ${b}", "x ${{ ${b} $${c}"])
def test_an_expression_that_is_never_closed_does_not_hide_the_next(text: str) -> None:
    pieces = split(text)
    assert [problem.code for problem in pieces.problems] == ["E001"]
    assert [part.source for part in pieces.parts if not isinstance(part, str)] == ["b"]
