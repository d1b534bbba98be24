"""Plain paths are read as CEL reads them, and say what was missing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plait.expression import (
    ExpressionError,
    NoSuchIndex,
    NoSuchKey,
    Read,
    WrongType,
    format_path,
)
from plait.model.json import JsonValue
from tests.unit.expression import cel_itself
from tests.unit.expression.making import JSON, KEYS, NAME, template, value_of

STEPS = st.lists(st.one_of(KEYS, st.integers(0, 4)), max_size=4)


@given(st.dictionaries(st.sampled_from(["a", "b"]), JSON, min_size=1), STEPS)
def test_getters_agree_with_the_library_on_every_plain_path(
    names: dict[str, JsonValue], steps: list[str | int]
) -> None:
    path: Read = ("a", *steps)
    names.setdefault("a", {})
    assert template(NAME % format_path(path)).expressions[0].is_plain_path
    assert _read(path, names) == cel_itself.evaluate(format_path(path), names)


def _read(path: Read, names: dict[str, JsonValue]) -> object:
    try:
        return value_of(format_path(path), **names)
    except ExpressionError:
        return cel_itself.FAILED


@pytest.mark.parametrize(
    ("expression", "error", "message"),
    [
        ("usr.name", NoSuchKey, "usr: no name 'usr' (did you mean 'user'?)"),
        ("user.nmae", NoSuchKey, "user.nmae: no key 'nmae' (did you mean 'name'?)"),
        ("user.zz.b", NoSuchKey, "user.zz: no key 'zz'"),
        ('user["x y"]', NoSuchKey, "user[\"x y\"]: no key 'x y'"),
        ("user.tags[2]", NoSuchIndex, "user.tags[2]: no index 2; the list has 2 elements"),
        ("user.none.id", WrongType, "user.none.id: no key 'id'; user.none is null"),
        ("user.name.id", WrongType, "user.name.id: no key 'id'; user.name is text"),
        ("user.name[0]", WrongType, "user.name[0]: no index 0; user.name is text"),
        ("user.tags.x", WrongType, "user.tags.x: no key 'x'; user.tags is a list"),
        ("user[0]", NoSuchKey, "user[0]: no key '0'"),
    ],
)
def test_a_path_that_is_not_there_says_what_was_missing(
    expression: str, error: type[ExpressionError], message: str
) -> None:
    user: JsonValue = {"name": "Ada", "none": None, "tags": ["a", "b"], "0": 1}
    with pytest.raises(ExpressionError) as caught:
        value_of(expression, user=user)
    assert type(caught.value) is error
    assert message in caught.value.message
    assert caught.value.expression == expression


@pytest.mark.parametrize("depth", range(1, 8))
def test_getters_of_every_depth_read_their_value(depth: int) -> None:
    names: dict[str, JsonValue] = {"end": 1}
    for _ in range(depth):
        names = {"a": names}
    assert value_of("a." * depth + "end", **names) == 1


def test_a_plain_path_gives_the_value_itself_whatever_it_is() -> None:
    beyond_cel: JsonValue = {"big": 2**70, "nul": "a\0b"}
    assert value_of("x.y", x={"y": beyond_cel}) is beyond_cel


def test_a_character_of_a_text_is_no_index_of_it_here_and_in_cel() -> None:
    names: dict[str, JsonValue] = {"a": "abc"}
    assert cel_itself.evaluate("a[0]", names) is cel_itself.FAILED
    assert _read(("a", 0), names) is cel_itself.FAILED
