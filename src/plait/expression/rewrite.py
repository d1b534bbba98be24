"""Rewrites loops so that they are ordered, and quick; and the arguments of `uuid`.

The CEL library walks a map in an order that differs from process to process, and copies
the whole list for each element that `map` or `filter` appends (5,000 elements: 220 ms).

Rule 1. A range that may be a map becomes its sorted keys. One that is surely a list is
        left alone; else `type(range) == map` decides when the expression runs.
Rule 2. A list under construction is two lists: full chunks, and the chunk being filled.
        One copy then costs a chunk, not the list (5,000 elements: 5 ms).
Rule 3. `uuid(execution, …)` is given the id alone: a null that is passed to a function of
        our own ends the process in time (plait.expression.values, rule 1).
Rule 4. The result of the expression stays the same, and so does what fails.

Not here: how much work a loop may be (plait.expression.budget).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from plait.expression.syntax import (
    EMPTY,
    Call,
    Const,
    Entries,
    Entry,
    Ident,
    Items,
    Loop,
    Node,
    Select,
    nodes_of,
)

# 64: near the square root of 5,000, where both kinds of copy cost the same.
_CHUNK_ITEMS: Final = 64
_UUID: Final = "uuid"
_EXECUTION: Final = "@execution"
_RANGE: Final = "@range"
_KEY: Final = "@key"
_KEYS: Final = "@keys"
_LISTS_FROM: Final = frozenset(
    {"split", "flatten", "slice", "sort", "distinct", "@sortByAssociatedKeys"}
)


def needs_rewriting(node: Node) -> bool:
    """Tell whether `node` is an unordered or slow loop, or calls `uuid`."""
    if isinstance(node, Call):
        return node.function == _UUID
    if not isinstance(node, Loop) or node.is_naming:
        return False
    return node.builds_list or not _is_list(node.range)


def rewritten(tree: Node) -> Node:
    """Return `tree` with all its loops ordered and quick."""
    mixed = any(_mixes_keys(node) for node in nodes_of(tree) if isinstance(node, Entries))
    return _Rewriter(_by_kind if mixed else _plainly).node(tree)


class _Rewriter:
    """Rewrites a tree. `sort` makes a list of keys a sorted one."""

    def __init__(self, sort: Callable[[Node], Node]) -> None:
        self.sort = sort

    def node(self, node: Node) -> Node:
        match node:
            case Const() | Ident():
                return node
            case Select():
                return replace(node, operand=self.node(node.operand))
            case Call():
                return self.call(node)
            case Items():
                return replace(node, elements=self.all(node.elements))
            case Entries():
                return replace(node, entries=tuple(map(self.entry, node.entries)))
            case Loop():
                return self.loop(node)

    def all(self, nodes: tuple[Node, ...]) -> tuple[Node, ...]:
        return tuple(self.node(node) for node in nodes)

    def entry(self, entry: Entry) -> Entry:
        return replace(entry, key=self.node(entry.key), value=self.node(entry.value))

    def call(self, call: Call) -> Call:
        args = self.all(call.args)
        if call.function == _UUID:
            args = (_identity(args[0]), *args[1:])
        target = None if call.target is None else self.node(call.target)
        return replace(call, args=args, target=target)

    def loop(self, loop: Loop) -> Loop:
        inner = replace(
            loop,
            range=self.node(loop.range),
            start=self.node(loop.start),
            step=self.node(loop.step),
            result=self.node(loop.result),
        )
        if loop.is_naming:
            return inner
        if not _is_list(loop.range):
            inner = replace(inner, range=self.ordered(inner.range))
        # The step of `inner` may hold a rewritten loop; its own shape is as it was.
        return _chunked(inner) if loop.builds_list else inner

    def ordered(self, source: Node) -> Node:
        """Return `source` itself if it is a list, its sorted keys if it is a map."""
        value = Ident(_RANGE)
        keys = _chunked(_appending(_KEY, value, Ident(_KEY)))
        return _named(
            _RANGE, source, Call("_?_:_", (_is_map(value), self.sort(keys), value))
        )


def _mixes_keys(literal: Entries) -> bool:
    """Tell whether the keys of a map literal may be of several types."""
    kinds = {
        type(entry.key.value) if isinstance(entry.key, Const) else None
        for entry in literal.entries
    }
    return not literal.message and (None in kinds or len(kinds) > 1)


def _plainly(keys: Node) -> Node:
    return Call("sort", (), keys)


def _by_kind(keys: Node) -> Node:
    """Sort keys of several types: by type, then by how they are written."""
    named, key = Ident(_KEYS), Ident(_KEY)
    written = Call("string", (key,))
    as_number = Call(
        "_?_:_", (_is_of(key, "uint"), _tagged("u", written), _tagged("n", written))
    )
    tag = Call("_?_:_", (_is_of(key, "string"), _tagged("s", key), as_number))
    tags = _chunked(_appending(_KEY, named, tag))
    return _named(_KEYS, keys, Call("@sortByAssociatedKeys", (tags,), named))


def _tagged(tag: str, text: Node) -> Node:
    return Call("_+_", (Const(tag), text))


def _is_list(node: Node) -> bool:
    match node:
        case Items():
            return True
        case Loop():
            return node.builds_list or (node.is_naming and _is_list(node.result))
        case Call(function):
            return function in _LISTS_FROM
        case _:
            return False


def _identity(execution: Node) -> Node:
    """Return the id of `execution` if it is a map, else `execution` itself."""
    value = Ident(_EXECUTION)
    chosen = Call("_?_:_", (_is_map(value), Select(value, "id"), value))
    return _named(_EXECUTION, execution, chosen)


def _is_map(value: Ident) -> Node:
    return _is_of(value, "map")


def _is_of(value: Ident, kind: str) -> Node:
    return Call("_==_", (Call("type", (value,)), Ident(kind)))


def _named(name: str, value: Node, result: Node) -> Loop:
    """Return what `cel.bind(name, value, result)` expands to."""
    return Loop("#unused", EMPTY, name, value, Const(False), Ident(name), result)


def _appending(variable: str, source: Node, element: Node) -> Loop:
    built = Ident("@result")
    step = Call("_+_", (built, Items((element,))))
    return Loop(variable, source, "@result", EMPTY, Const(True), step, built)


def _chunked(loop: Loop) -> Loop:
    """Return `loop`, which appends to a list, appending to chunks instead."""
    state = Ident(loop.accumulator)
    full, filling = _at(state, 0), _at(state, 1)
    return replace(
        loop,
        start=Items((EMPTY, EMPTY)),
        step=_chunked_step(loop.step, state),
        result=Call("flatten", (), Call("_+_", (full, Items((filling,))))),
    )


def _chunked_step(step: Node, state: Ident) -> Node:
    """Return `state + [element]`, alone or behind a test, for a state of two lists."""
    match step:
        case Call("_+_", (_, Items() as appended)):
            return _push(state, appended)
        case Call("_?_:_", (test, wanted, _)):
            return Call("_?_:_", (test, _chunked_step(wanted, state), state))
        case _:
            raise AssertionError("a macro that appends in a way of its own")


def _push(state: Ident, appended: Items) -> Node:
    full, filling = _at(state, 0), _at(state, 1)
    has_room = Call("_<_", (Call("size", (filling,)), Const(_CHUNK_ITEMS)))
    moved = Call("_+_", (full, Items((filling,))))
    return Items(
        (
            Call("_?_:_", (has_room, full, moved)),
            Call("_+_", (Call("_?_:_", (has_room, filling, EMPTY)), appended)),
        )
    )


def _at(node: Node, index: int) -> Node:
    return Call("_[_]", (node, Const(index)))
