"""The syntax tree of an expression, as the CEL library hands it out and takes it back.

`Expression.serialize()` gives a google.protobuf.Any of cel.expr.CheckedExpr (or of
ParsedExpr when types were not checked); field numbers below are those of
cel/expr/checked.proto and cel/expr/syntax.proto.

Rule 1. A node is immutable, and holds no position: run-time errors carry none.
Rule 2. `write_tree` gives ParsedExpr: the type checker has done its work on the original.

Not here: the wire format (plait.expression.wire), what a tree means (plait.expression.
reads, .rewrite, .budget).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, TypeAlias

from plait.expression.wire import (
    Content,
    bytes_field,
    double_field,
    double_of,
    fields_of,
    int_field,
    signed,
    text_field,
)

_CHECKED_TREE: Final = 4
_PARSED_TREE: Final = 2
_PARSED_URL: Final = "type.googleapis.com/cel.expr.ParsedExpr"


class Uint(int):
    """An unsigned constant: CEL tells `1u` from `1`."""


Scalar: TypeAlias = "bool | int | float | str | bytes | None"


@dataclass(frozen=True, slots=True)
class Const:
    """A literal."""

    value: Scalar


@dataclass(frozen=True, slots=True)
class Ident:
    """A name."""

    name: str


@dataclass(frozen=True, slots=True)
class Select:
    """`operand.field`; with `asks_has`, `has(operand.field)`."""

    operand: Node
    field: str
    asks_has: bool = False


@dataclass(frozen=True, slots=True)
class Call:
    """A function, operator or method (then with a target)."""

    function: str
    args: tuple[Node, ...]
    target: Node | None = None


@dataclass(frozen=True, slots=True)
class Items:
    """A list literal; elements at `optional` are left out when they hold nothing."""

    elements: tuple[Node, ...]
    optional: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of a map literal."""

    key: Node
    value: Node
    optional: bool = False


@dataclass(frozen=True, slots=True)
class Entries:
    """A map literal; with a `message` name, a protobuf message."""

    entries: tuple[Entry, ...]
    message: str = ""


@dataclass(frozen=True, slots=True)
class Loop:
    """What macros expand to: a fold over a range, or the naming of a value."""

    variable: str
    range: Node
    accumulator: str
    start: Node
    condition: Node
    step: Node
    result: Node
    second_variable: str = ""

    @property
    def is_naming(self) -> bool:
        """Whether this only names a value: `cel.bind`, `optMap`; no loop at all."""
        return self.range == EMPTY and self.condition == Const(False)

    @property
    def builds_list(self) -> bool:
        """Whether this is `map` or `filter`, which append to a list."""
        return self.start == EMPTY and not self.is_naming


EMPTY: Final = Items(())

Node: TypeAlias = "Const | Ident | Select | Call | Items | Entries | Loop"


def children_of(node: Node) -> tuple[Node, ...]:
    """Return the nodes right below `node`, in the order they are written."""
    match node:
        case Const() | Ident():
            return ()
        case Select(operand):
            return (operand,)
        case Call(_, args, target):
            return args if target is None else (target, *args)
        case Items(elements):
            return elements
        case Entries(entries):
            return tuple(part for entry in entries for part in (entry.key, entry.value))
        case Loop():
            return (node.range, node.start, node.condition, node.step, node.result)


def nodes_of(node: Node) -> Iterator[Node]:
    """Yield `node` and every node below it."""
    yield node
    for child in children_of(node):
        yield from nodes_of(child)


def read_tree(serialised: bytes) -> Node:
    """Return the tree that `Expression.serialize()` gave.

    Raises:
        WireError: The bytes hold no tree.
        KeyError: The tree holds what this version does not know.
    """
    outer = dict(fields_of(serialised))
    name = _text(outer[1])
    number = _PARSED_TREE if name.endswith(".ParsedExpr") else _CHECKED_TREE
    return _read(dict(fields_of(_raw(outer[2])))[number])


def write_tree(tree: Node) -> bytes:
    """Return `tree` in the form that `Env.deserialize()` takes."""
    parsed = bytes_field(_PARSED_TREE, _Writer().node(tree))
    return text_field(1, _PARSED_URL) + bytes_field(2, parsed)


def _raw(content: Content) -> bytes:
    if isinstance(content, int):
        raise KeyError("a number where a message should be")
    return content


def _text(content: Content) -> str:
    return _raw(content).decode()


def _number(content: Content) -> int:
    if isinstance(content, bytes):
        raise KeyError("bytes where a number should be")
    return content


def _read(content: Content) -> Node:
    for number, inner in fields_of(_raw(content)):
        if number != 2:  # 2: the node's id
            return _READERS[number](_raw(inner))
    raise KeyError("an empty node")


def _read_const(message: bytes) -> Const:
    for number, content in fields_of(message):
        match number:
            case 1:
                return Const(None)
            case 2:
                return Const(bool(content))
            case 3:
                return Const(signed(_number(content)))
            case 4:
                return Const(Uint(_number(content)))
            case 5:
                return Const(double_of(_raw(content)))
            case 6:
                return Const(_text(content))
            case 7:
                return Const(_raw(content))
            case _:
                raise KeyError(number)
    raise KeyError("an empty constant")


def _read_ident(message: bytes) -> Ident:
    return Ident(_text(dict(fields_of(message))[1]))


def _read_select(message: bytes) -> Select:
    fields = dict(fields_of(message))
    return Select(_read(fields[1]), _text(fields[2]), bool(fields.get(3, 0)))


def _read_call(message: bytes) -> Call:
    target: Node | None = None
    function, args = "", []
    for number, content in fields_of(message):
        if number == 1:
            target = _read(content)
        elif number == 2:
            function = _text(content)
        else:
            args.append(_read(content))
    return Call(function, tuple(args), target)


def _read_items(message: bytes) -> Items:
    elements, optional = [], []
    for number, content in fields_of(message):
        if number == 1:
            elements.append(_read(content))
        elif isinstance(content, int):
            optional.append(content)
        else:  # packed, as proto3 writes repeated numbers
            optional.extend(content)
    return Items(tuple(elements), tuple(optional))


def _read_entries(message: bytes) -> Entries:
    entries, name = [], ""
    for number, content in fields_of(message):
        if number == 1:
            name = _text(content)
        else:
            entries.append(_read_entry(_raw(content)))
    return Entries(tuple(entries), name)


def _read_entry(message: bytes) -> Entry:
    fields = dict(fields_of(message))
    key = Const(_text(fields[2])) if 2 in fields else _read(fields[3])
    return Entry(key, _read(fields[4]), bool(fields.get(5, 0)))


def _read_loop(message: bytes) -> Loop:
    fields = dict(fields_of(message))
    return Loop(
        variable=_text(fields[1]),
        range=_read(fields[2]),
        accumulator=_text(fields[3]),
        start=_read(fields[4]),
        condition=_read(fields[5]),
        step=_read(fields[6]),
        result=_read(fields[7]),
        second_variable=_text(fields[8]) if 8 in fields else "",
    )


_READERS: Final[dict[int, Callable[[bytes], Node]]] = {
    3: _read_const,
    4: _read_ident,
    5: _read_select,
    6: _read_call,
    7: _read_items,
    8: _read_entries,
    9: _read_loop,
}


class _Writer:
    """Writes nodes, each with a number of its own."""

    def __init__(self) -> None:
        self.last_id = 0

    def node(self, node: Node) -> bytes:
        self.last_id += 1
        own_id = int_field(2, self.last_id)
        match node:
            case Const(value):
                return own_id + bytes_field(3, _const(value))
            case Ident(name):
                return own_id + bytes_field(4, text_field(1, name))
            case Select():
                return own_id + bytes_field(5, self._select(node))
            case Call():
                return own_id + bytes_field(6, self._call(node))
            case Items():
                return own_id + bytes_field(7, self._items(node))
            case Entries():
                return own_id + bytes_field(8, self._entries(node))
            case Loop():
                return own_id + bytes_field(9, self._loop(node))

    def _select(self, node: Select) -> bytes:
        body = bytes_field(1, self.node(node.operand)) + text_field(2, node.field)
        return body + (int_field(3, 1) if node.asks_has else b"")

    def _call(self, node: Call) -> bytes:
        target = b"" if node.target is None else bytes_field(1, self.node(node.target))
        args = b"".join(bytes_field(3, self.node(arg)) for arg in node.args)
        return target + text_field(2, node.function) + args

    def _items(self, node: Items) -> bytes:
        elements = b"".join(bytes_field(1, self.node(e)) for e in node.elements)
        return elements + b"".join(int_field(2, index) for index in node.optional)

    def _entries(self, node: Entries) -> bytes:
        in_message = bool(node.message)
        entries = [bytes_field(2, self._entry(e, in_message)) for e in node.entries]
        return (text_field(1, node.message) if in_message else b"") + b"".join(entries)

    def _entry(self, entry: Entry, in_message: bool) -> bytes:
        self.last_id += 1
        body = int_field(1, self.last_id)
        if in_message and isinstance(entry.key, Const):
            body += text_field(2, str(entry.key.value))
        else:
            body += bytes_field(3, self.node(entry.key))
        body += bytes_field(4, self.node(entry.value))
        return body + (int_field(5, 1) if entry.optional else b"")

    def _loop(self, node: Loop) -> bytes:
        parts = (
            text_field(1, node.variable),
            bytes_field(2, self.node(node.range)),
            text_field(3, node.accumulator),
            bytes_field(4, self.node(node.start)),
            bytes_field(5, self.node(node.condition)),
            bytes_field(6, self.node(node.step)),
            bytes_field(7, self.node(node.result)),
        )
        return b"".join(parts)


def _const(value: Scalar) -> bytes:
    match value:
        case None:
            return int_field(1, 0)
        case bool():
            return int_field(2, int(value))
        case Uint():
            return int_field(4, value)
        case int():
            return int_field(3, value)
        case float():
            return double_field(5, value)
        case str():
            return text_field(6, value)
        case bytes():
            return bytes_field(7, value)
