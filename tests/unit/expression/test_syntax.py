"""Syntax trees are read from the library and written back to it."""

from __future__ import annotations

import pytest

from plait.expression.engine import program_of
from plait.expression.syntax import (
    Call,
    Const,
    Entries,
    Entry,
    Ident,
    Items,
    Loop,
    Node,
    Select,
    Uint,
    nodes_of,
    read_tree,
    write_tree,
)
from plait.expression.wire import WireError

X = Ident("v0")


@pytest.mark.parametrize(
    ("expression", "tree"),
    [
        ("-3", Const(-3)),
        ("7u", Const(Uint(7))),
        ("1.5", Const(1.5)),
        ("b'a'", Const(b"a")),
        ("'é'", Const("é")),
        ("null", Const(None)),
        ("true", Const(True)),
        ("v0.a", Select(X, "a")),
        ("has(v0.a)", Select(X, "a", asks_has=True)),
        ("v0 + 1", Call("_+_", (X, Const(1)))),
        ("v0.size()", Call("size", (), X)),
        ("[v0, ?v0.?a]", Items((X, Call("_?._", (X, Const("a")))), (1,))),
        ("{'a': v0}", Entries((Entry(Const("a"), X),))),
        (
            "{?'a': v0.?b}",
            Entries((Entry(Const("a"), Call("_?._", (X, Const("b"))), True),)),
        ),
    ],
)
def test_each_kind_of_node_is_read(expression: str, tree: Node) -> None:
    assert program_of(expression, 1).tree == tree


def test_a_uint_constant_is_not_taken_for_an_int() -> None:
    tree = program_of("7u", 0).tree
    assert isinstance(tree, Const)
    assert isinstance(tree.value, Uint)


@pytest.mark.parametrize(
    "expression",
    [
        "v0.map(x, x * 2).filter(y, y > 1u)",
        "v0.all(x, x) || v0.exists(x, !x) && v0.exists_one(x, x == 1.5)",
        "cel.bind(x, v0, [x, ?v0.?a, b'c', null, true, -3])",
        "{'a': v0, ?'b': v0.?c, 1: 2}.a ? has(v0.d) : v0[0]",
        "google.protobuf.Int64Value{value: 3} == 3",
        "v0.?a.optMap(x, x + 1).orValue(2)",
    ],
)
def test_a_tree_that_is_written_is_read_back(expression: str) -> None:
    tree = program_of(expression, 1).tree
    assert read_tree(write_tree(tree)) == tree


def test_macros_are_told_from_the_naming_of_a_value() -> None:
    nodes = nodes_of(program_of("cel.bind(x, v0, v0.map(y, x))", 1).tree)
    naming, building = (node for node in nodes if isinstance(node, Loop))
    assert (naming.is_naming, naming.builds_list) == (True, False)
    assert (building.is_naming, building.builds_list) == (False, True)


def test_bytes_that_hold_no_tree_are_refused() -> None:
    with pytest.raises((WireError, KeyError)):
        read_tree(b"\x0a\x03abc\x12\x01\x00")
