"""What is wrong with an expression is said with its place and a remedy."""

from __future__ import annotations

import pytest

from plait.expression import TemplateErrors
from plait.model.diagnostic import Diagnostic
from plait.model.json import JsonValue
from tests.unit.expression.making import NAME, findings, template


@pytest.mark.parametrize(
    ("expression", "code", "column", "message", "hint"),
    [
        ("a +", "E004", 10, "the expression ends too early", ""),
        ("a b", "E004", 9, "unexpected 'b'", ""),
        ("a.b.c == === d", "E004", 16, "unexpected '=='", "write =="),
        ("a and b", "E004", 9, "unexpected 'and'", "write &&"),
        ("not a", "E004", 11, "unexpected 'a'", "write !"),
        ("a = 1", "E004", 9, "unexpected '='", "write == to compare"),
        ("a ?? b", "E004", 10, "unexpected '?'", "write x.?key.orValue(other)"),
        ("xs.map(x => x)", "E004", 16, "unexpected '=>'", "list.filter(x, …)"),
        ("len(a)", "E005", 7, "there is no function 'len'", "it is called 'size' here"),
        ("a.toUpper()", "E005", 9, "there is no function 'toUpper'", "'upperAscii' here"),
        ("a.mapp(x, x)", "E005", 9, "there is no function 'mapp'", "did you mean 'map'?"),
        ("size(a, b)", "E005", 7, "function 'size' does not take these arguments", ""),
        ("lists.range(3)", "E005", 13, "there is no function 'range'", ""),
        ("'a' + 1", "E006", 11, "'+' does not take (string, int)", ""),
        ("1 in 'a'", "E006", 9, "'in' does not take (int, string)", ""),
        ("'a' in [1.0]", "E006", 11, "'in' does not take (string, list(double))", ""),
        ("Foo{a: 1}", "E008", 7, "messages cannot be made", ""),
        ("has(a)", "E004", 11, "has() argument must be a field selection", ""),
    ],
)
def test_a_mistake_is_explained(
    expression: str, code: str, column: int, message: str, hint: str
) -> None:
    (found,) = findings(NAME % expression)
    assert (found.code, found.span.column) == (code, column)
    assert found.message.startswith(message)
    assert found.hint.endswith(hint) if hint else not found.hint


def test_names_are_put_back_into_what_the_library_says() -> None:
    (found,) = findings("${a.b.c d.e}")
    assert found.message == "unexpected 'd.e'"


def test_every_mistake_of_a_value_is_found_at_once_in_the_order_of_the_document() -> None:
    value: JsonValue = {
        "a": "${} and ${b.} and ${1 + 'a'}",
        "${k}": 1,
        "c": ["${foo(x)}", "${ok}", "${'open}"],
    }
    assert [found.code for found in findings(value)] == [
        "E003", "E004", "E006", "E002", "E005", "E001",
    ]  # fmt: skip


def test_expressions_beside_a_mistake_are_known_with_what_they_read() -> None:
    with pytest.raises(TemplateErrors) as caught:
        template({"a": "${b +} ${c.d} ${e.", "f": ["${g + 1} ${h", "${i[0]"], "k": "${j}"})
    valid = caught.value.expressions
    assert [info.source for info in valid] == ["c.d", "g + 1", "j"]
    assert [info.reads for info in valid] == [(("c", "d"),), (("g",),), (("j",),)]
    assert [info.is_plain_path for info in valid] == [True, False, True]


def test_two_mistakes_of_one_expression_are_both_told() -> None:
    codes = [found.code for found in findings("${foo(a) + bar(b) + (1 + 'x')}")]
    assert codes == ["E005", "E005", "E006"]


@pytest.mark.parametrize(
    "expression",
    [
        "(" * 40 + "a" + ")" * 40,
        "+".join("a" * 40),
        "[" * 200 + "]" * 200,
        "'" + "a" * 5_000 + "'",
        "a.?b" + ".optMap(x, x)" * 20,
        " + ".join(f"n{number}" for number in range(65)),
        " || ".join(f"n{number}" for number in range(65)),
    ],
)
def test_an_expression_that_is_too_large_is_refused(expression: str) -> None:
    found: tuple[Diagnostic, ...] = findings(NAME % expression)
    assert [problem.code for problem in found] == ["E007"]


def test_an_expression_of_the_greatest_length_is_accepted() -> None:
    literal = "'" + "a" * (4_096 - 2) + "'"
    assert not findings(NAME % literal)
    assert findings(NAME % (literal + " ")) == ()
    assert [f.code for f in findings(NAME % f"'a{literal[1:]}")] == ["E007"]


@pytest.mark.parametrize(
    "expression",
    ["a ? 'text' : null", "size(a) < 2.5", "1 == 1.0", "1 in [1.0]", "1.5 in [1, 2]"],
)
def test_choices_and_comparisons_of_mixed_types_are_left_to_run(expression: str) -> None:
    assert not findings(NAME % expression)


def test_a_place_counts_from_where_the_text_begins() -> None:
    (found,) = findings({"a": {"b/c": "text ${ nope( ) }"}})
    assert (found.span.line, found.span.column) == (3, 5 + len("text ${ "))


def test_half_a_surrogate_in_an_expression_is_a_mistake_and_no_crash() -> None:
    (found,) = findings("${'\ud800'}")
    assert found.code == "E004"
