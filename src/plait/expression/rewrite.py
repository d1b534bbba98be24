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
)

# 64: near the square root of 5,000, where both kinds of copy cost the same.
_CHUNK_ITEMS: Final = 64
_UUID: Final = "uuid"
_EXECUTION: Final = "@execution"
_RANGE: Final = "@range"
_KEY: Final = "@key"
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


def rewritten(node: Node) -> Node:
    """Return `node` with all its loops ordered and quick."""
    match node:
        case Const() | Ident():
            return node
        case Select():
            return replace(node, operand=rewritten(node.operand))
        case Call():
            target = None if node.target is None else rewritten(node.target)
            args = _all(node.args)
            if node.function == _UUID:
                args = (_identity(args[0]), *args[1:])
            return replace(node, args=args, target=target)
        case Items():
            return replace(node, elements=_all(node.elements))
        case Entries():
            return replace(node, entries=tuple(_entry(entry) for entry in node.entries))
        case Loop():
            return _loop(node)


def _all(nodes: tuple[Node, ...]) -> tuple[Node, ...]:
    return tuple(rewritten(node) for node in nodes)


def _entry(entry: Entry) -> Entry:
    return replace(entry, key=rewritten(entry.key), value=rewritten(entry.value))


def _loop(loop: Loop) -> Loop:
    inner = replace(
        loop,
        range=rewritten(loop.range),
        start=rewritten(loop.start),
        step=rewritten(loop.step),
        result=rewritten(loop.result),
    )
    if loop.is_naming:
        return inner
    if not _is_list(loop.range):
        inner = replace(inner, range=_ordered(inner.range))
    # The step of `inner` may hold a rewritten loop; its own shape is as it was.
    return _chunked(inner) if loop.builds_list else inner


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


def _ordered(source: Node) -> Node:
    """Return `source` itself if it is a list, its sorted keys if it is a map."""
    value = Ident(_RANGE)
    keys = _chunked(_appending(_KEY, value, Ident(_KEY)))
    chosen = Call("_?_:_", (_is_map(value), Call("sort", (), keys), value))
    return _named(_RANGE, source, chosen)


def _identity(execution: Node) -> Node:
    """Return the id of `execution` if it is a map, else `execution` itself."""
    value = Ident(_EXECUTION)
    chosen = Call("_?_:_", (_is_map(value), Select(value, "id"), value))
    return _named(_EXECUTION, execution, chosen)


def _is_map(value: Ident) -> Node:
    return Call("_==_", (Call("type", (value,)), Ident("map")))


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
