"""Texts are split into literals and expressions."""

from __future__ import annotations

import pytest

from plait.expression.scan import Found, split
from tests.unit.expression.making import findings


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("", ()),
        ("plain $5 {x}", ("plain $5 {x}",)),
        ("${a}", (Found("a", 2),)),
        ("${  a.b\n}", (Found("a.b", 4),)),
        ("a${b}c${d}", ("a", Found("b", 3), "c", Found("d", 8))),
        ("$${a}", ("${a}",)),
        ("$$${a}", ("$${a}",)),
        ("x $${ ${a} $${", ("x ${ ", Found("a", 8), " ${")),
        ("${{'a': 1}.a}", (Found("{'a': 1}.a", 2),)),
        ("${'}'}${\"${\"}", (Found("'}'", 2), Found('"${"', 8))),
    ],
)
def test_a_text_is_split(text: str, parts: tuple[str | Found, ...]) -> None:
    pieces = split(text)
    assert pieces.parts == parts
    assert not pieces.problems


@pytest.mark.parametrize(
    ("text", "code", "offset"),
    [
        ("ab ${c", "E001", 3),
        ("${a} ${'b}", "E001", 5),
        ("a ${ } b", "E003", 2),
        ("${{'a': 1}", "E001", 0),
    ],
)
def test_what_is_wrong_is_told_with_its_offset(text: str, code: str, offset: int) -> None:
    (problem,) = split(text).problems
    assert (problem.code, problem.offset) == (code, offset)


def test_an_empty_expression_does_not_hide_the_ones_after_it() -> None:
    assert split("${} ${a}").parts == (" ", Found("a", 6))


def test_a_text_of_literals_around_a_mistake_is_refused_as_others_are() -> None:
    assert [found.code for found in findings(["a ${} b"])] == ["E003"]
