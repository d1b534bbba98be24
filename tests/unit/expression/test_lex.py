"""Tokens are cut as CEL cuts them, and an expression ends where its brace is."""

from __future__ import annotations

import pytest

from plait.expression.lex import closing_brace, tokens_of


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("'it''s'", "string"),
        ('"a\\"}"', "string"),
        ("'''}\n'''", "string"),
        ('r"\\}"', "string"),
        ("b'}'", "string"),
        ("rb'''}'''", "string"),
        ("12u", "number"),
        ("1.5e-3", "number"),
        ("0xFFu", "number"),
        ("_a1", "ident"),
        ("`content-type`", "quoted"),
        (".?", "op"),
        ("// } to the end", "space"),
        ("@", "other"),
    ],
)
def test_a_token_has_its_kind(text: str, kind: str) -> None:
    assert next(iter(tokens_of(text))).kind == kind


@pytest.mark.parametrize(
    "inside",
    [
        "a.b",
        "{'a': {'b': 1}}.a",
        "'}' + \"}\"",
        "r'\\' + '}'",
        "'''it's }'''",
        '"\\"}"',
        "a // }\n",
        "{1: '}'}[1]",
    ],
)
def test_braces_that_belong_to_the_expression_do_not_end_it(inside: str) -> None:
    assert closing_brace(inside + "} and more }", 0) == len(inside)


def test_an_expression_without_its_brace_has_no_end() -> None:
    assert closing_brace("{'a': 1", 0) == -1


def test_a_string_that_is_never_closed_is_told_apart_from_a_missing_brace() -> None:
    assert closing_brace("a + 'b}", 0) == -2
