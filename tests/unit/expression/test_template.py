"""Templates are compiled, rendered, written and read back."""

from __future__ import annotations

import pytest

from plait.expression import (
    ExpressionInfo,
    NotBool,
    Template,
    TemplateErrors,
    parse_template,
)
from plait.model.errors import Advice
from plait.model.json import JsonValue, canonical_bytes
from plait.model.place import Place
from tests.unit.expression.making import at, findings, template

NAMES: dict[str, JsonValue] = {"a": {"b": [1, 2]}, "c": "x", "n": None}


@pytest.mark.parametrize(
    ("value", "rendered"),
    [
        ("${a.b}", [1, 2]),
        ("${ a.b[0] + 1 }", 2),
        ("${n}", None),
        ("${c}\n", "x"),
        ("${c}!", "x!"),
        (" ${c}", " x"),
        ("${c}${c}", "xx"),
        ("$${c}", "${c}"),
        ("$${c} ${c}", "${c} x"),
        ("no template", "no template"),
        ("", ""),
        (7, 7),
        (None, None),
        ([], []),
        ({"k": "${c}"}, {"k": "x"}),
        ({"z": 1, "k": ["${c}", {"l": "${n}"}], "a": True}, {
            "z": 1, "k": ["x", {"l": None}], "a": True}),
        (["${c}", "$${", "${c}"], ["x", "${", "x"]),
        ({"$${c}": 1}, {"$${c}": 1}),
    ],
)  # fmt: skip
def test_a_value_is_rendered(value: JsonValue, rendered: JsonValue) -> None:
    made = template(value)
    assert made.render(NAMES) == rendered
    assert Template.load(made.dump()).render(NAMES) == rendered


def test_keys_come_out_in_the_order_of_the_document_also_after_storage() -> None:
    value: JsonValue = {"z": "${c}", "a": 1, "m": {"y": "${c}", "b": 2}}
    made = template(value)
    stored = Template.load(made.dump())
    for rendered in (made.render(NAMES), stored.render(NAMES)):
        assert str(rendered) == "{'z': 'x', 'a': 1, 'm': {'y': 'x', 'b': 2}}"


@pytest.mark.parametrize(
    ("value", "is_constant"),
    [("a", True), ("$${a}", True), ({"a": [1]}, True), ("${a}", False), (["${a}"], False)],
)
def test_a_template_without_expressions_is_constant(
    value: JsonValue, is_constant: bool
) -> None:
    assert template(value).is_constant is is_constant


def test_constant_parts_are_shared_and_filled_parts_are_not() -> None:
    made = template({"fixed": {"k": 1}, "list": [[2], "${c}"]})
    first, second = made.render(NAMES), made.render(NAMES)
    assert isinstance(first, dict)
    assert isinstance(second, dict)
    assert first["fixed"] is second["fixed"]
    assert first["list"] is not second["list"]


def test_each_expression_is_described() -> None:
    made = parse_template(
        {"u": "at ${ a.b }", "v": ["${c == 'x'}"]},
        lambda pointer: Place(pointer, 10, 2),
        pointer="/steps/0",
    )
    assert made.expressions == (
        ExpressionInfo("a.b", Place("/steps/0/u", 10, 8), (("a", "b"),), True),
        ExpressionInfo("c == 'x'", Place("/steps/0/v/0", 10, 4), (("c",),), False),
    )


def test_places_are_where_the_document_says_that_characters_are() -> None:
    asked: list[tuple[str, int]] = []

    def locate(pointer: str, offset: int) -> Place:
        asked.append((pointer, offset))
        return Place(pointer, 40 + offset, 1)

    with pytest.raises(TemplateErrors) as caught:
        parse_template({"a": "x\n${b +}"}, at, pointer="/p", locate=locate)
    (found,) = caught.value.diagnostics
    assert (found.span.line, found.code) == (47, "E004")
    assert asked[0] == ("/p/a", 4)


def test_a_mistake_after_a_line_break_is_placed_where_the_text_begins() -> None:
    (found,) = findings("first\n${b +}")
    assert (found.span.line, found.span.column) == (3, 5)


def test_a_template_with_mistakes_is_refused_with_advice() -> None:
    with pytest.raises(TemplateErrors, match=r"'\$\{' is never closed") as caught:
        template("${a")
    assert caught.value.advice is Advice.FIX_REQUEST
    assert caught.value.code == "expression.invalid"


@pytest.mark.parametrize(("text", "expected"), [("${a}", True), ("${!a}", False)])
def test_a_condition_is_true_or_false(text: str, expected: bool) -> None:
    assert template(text).render_bool({"a": True}) is expected


@pytest.mark.parametrize(
    ("value", "kind"),
    [(1, "a number"), ("true", "text"), (None, "null"), ([], "a list"), ({}, "an object")],
)
def test_a_condition_that_is_neither_is_refused_without_showing_its_value(
    value: JsonValue, kind: str
) -> None:
    with pytest.raises(NotBool, match=f"this one is {kind}") as caught:
        template("${secrets.x}").render_bool({"secrets": {"x": value}})
    assert caught.value.expression == "secrets.x"
    assert caught.value.place.line == 3


def test_a_constant_condition_that_is_neither_is_refused() -> None:
    with pytest.raises(NotBool):
        template("yes").render_bool({})
    assert template(True).render_bool({}) is True


def test_what_is_dumped_is_canonical_and_small() -> None:
    made = template({"b": "${x.y}", "a": 1})
    assert canonical_bytes(made.dump()) == (
        b'{"places":[["/b",3,7]],"source":"{\\"b\\":\\"${x.y}\\",\\"a\\":1}"}'
    )
    assert template({"a": 1}).dump() == {"source": '{"a":1}'}


def test_equal_templates_are_equal_and_hash_alike() -> None:
    first, second = template("${a}"), Template.load(template("${a}").dump())
    assert first == second
    assert hash(first) == hash(second)
    assert first != template("${b}")
    assert repr(first) == 'Template("${a}")'


@pytest.mark.parametrize(
    "dumped",
    [
        None,
        "text",
        {},
        {"source": 1},
        {"source": "{"},
        {"source": '"${a}"'},
        {"source": '"${a}"', "places": [["", 1]]},
        {"source": '"${a}"', "places": [["", "1", 1]]},
        {"source": '"${a}"', "places": {}},
        {"source": '"a"', "places": [["", 1, 1]]},
        {"source": '"${a"', "places": []},
        {"source": '"a"', "escape": "html"},
    ],
)
def test_nonsense_is_no_template(dumped: JsonValue) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - any text will do
        Template.load(dumped)


def test_a_template_as_deep_as_json_may_be_is_rendered() -> None:
    value: JsonValue = "${c}"
    for _ in range(64):
        value = {"k": [value]}
    assert "x" in str(template(value).render(NAMES))
