"""What an expression reads below each of its slots, found in its syntax tree.

Rule 1. A read is the longest path with constant keys that is rooted in a slot; a dynamic
        index reads everything at the place where it stands.
Rule 2. Names that macros introduce are no reads, and hide a slot of the same name.
Rule 3. `Need` says how much of a value an expression can see. Pruned to that, it gives
        the same result.

Not here: the slots themselves (plait.expression.lift).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Final, TypeAlias

from plait.expression.paths import Read
from plait.expression.syntax import (
    Call,
    Const,
    Ident,
    Loop,
    Node,
    Select,
    children_of,
)
from plait.model.json import JsonValue


class Seen(Enum):
    """How much of a value is looked at."""

    WHOLE = "whole"
    # Its type, its size, its keys: what it contains is not looked at.
    SHAPE = "shape"


Need: TypeAlias = "Seen | dict[str | int, Need]"

# In a trail: every element of a list.
EACH: Final = -1
_NEVER: Final = 1 << 30


@dataclass(frozen=True, slots=True)
class Trail:
    """Where a value comes from: a slot, and the steps below it; EACH for every element.

    Attributes:
        is_direct: False when the value was reached through a name of a macro.
        optional_from: From this step on, a missing key is no failure.
    """

    slot: int
    steps: Read = ()
    is_direct: bool = True
    optional_from: int = _NEVER

    def then(self, step: str | int, *, optional: bool = False) -> Trail:
        """Return the trail one step further."""
        since = min(self.optional_from, len(self.steps)) if optional else self.optional_from
        return replace(self, steps=(*self.steps, step), optional_from=since)


Scope: TypeAlias = Mapping[str, "Trail | None"]


@dataclass(slots=True)
class Reads:
    """What an expression reads.

    Attributes:
        needs: Per slot that is read, how much of it.
        paths: Per slot that is read, the paths below it, in order of appearance.
        trails: Every chain of keys, for telling which one was missing.
    """

    needs: dict[int, Need] = field(default_factory=dict)
    paths: dict[int, list[Read]] = field(default_factory=dict)
    trails: list[Trail] = field(default_factory=list)


def reads_of(tree: Node, slot_count: int) -> Reads:
    """Return what `tree` reads of the slots `v0` … `v{slot_count - 1}`."""
    finder = _Finder(slot_count)
    finder.visit(tree, {}, Seen.WHOLE)
    return finder.reads


class _Finder:
    def __init__(self, slot_count: int) -> None:
        self.slots = {f"v{number}": number for number in range(slot_count)}
        self.reads = Reads()

    def visit(self, node: Node, scope: Scope, seen: Seen) -> None:
        """Note what `node` reads, when so much of its value is looked at."""
        trail = self.trail(node, scope)
        if trail is not None:
            self._note(trail, seen)
            return
        match node:
            case Loop():
                self._visit_loop(node, scope)
            case Select(operand, key, True):
                self._visit_has(operand, key, scope)
            case Call("uuid", (execution, text)):
                self._visit_uuid(execution, scope)
                self.visit(text, scope, Seen.WHOLE)
            case Call():
                self._visit_call(node, scope)
            case _:
                for child in children_of(node):
                    self.visit(child, scope, Seen.WHOLE)

    def trail(self, node: Node, scope: Scope) -> Trail | None:
        """Return where the value of `node` comes from, if it is a chain of keys."""
        match node:
            case Ident(name) if name in scope:
                return scope[name]
            case Ident(name) if name in self.slots:
                return Trail(self.slots[name])
            case Select(operand, key, False):
                return self._step(operand, Const(key), scope)
            case Call("_[_]", (operand, Const() as key)):
                return self._step(operand, key, scope)
            case Call("_?._" | "_[?_]", (operand, Const() as key)):
                return self._step(operand, key, scope, optional=True)
            case Call("value", (), Call() as target):
                return self.trail(target, scope)
            case _:
                return None

    def _step(
        self, operand: Node, key: Const, scope: Scope, *, optional: bool = False
    ) -> Trail | None:
        trail, step = self.trail(operand, scope), key.value
        if trail is None or isinstance(step, bool) or not isinstance(step, str | int):
            return None
        # A negative index is never there, and stands for EACH in a trail.
        if isinstance(step, int) and step < 0:
            return None
        return trail.then(step, optional=optional)

    def _visit_loop(self, loop: Loop, scope: Scope) -> None:
        self.visit(loop.range, scope, Seen.WHOLE)
        self.visit(loop.start, scope, Seen.WHOLE)
        if loop.is_naming:
            named = self._indirect(loop.start, scope)
            self.visit(loop.result, {**scope, loop.accumulator: named}, Seen.WHOLE)
            return
        source = self._indirect(loop.range, scope)
        element = None if source is None else source.then(EACH)
        inner = {**scope, loop.variable: element, loop.accumulator: None}
        self.visit(loop.condition, inner, Seen.WHOLE)
        self.visit(loop.step, inner, Seen.WHOLE)
        self.visit(loop.result, {**scope, loop.accumulator: None}, Seen.WHOLE)

    def _indirect(self, node: Node, scope: Scope) -> Trail | None:
        trail = self.trail(node, scope)
        return None if trail is None else replace(trail, is_direct=False)

    def _visit_has(self, operand: Node, key: str, scope: Scope) -> None:
        trail = self.trail(operand, scope)
        if trail is None:
            self.visit(operand, scope, Seen.WHOLE)
        else:
            self._note(trail.then(key, optional=True), Seen.SHAPE)

    def _visit_uuid(self, execution: Node, scope: Scope) -> None:
        """`uuid(execution, …)` reads the id; `uuid("text", …)` reads the text."""
        trail = self.trail(execution, scope)
        if trail is None:
            self.visit(execution, scope, Seen.WHOLE)
        else:
            self._need(trail.then("id"), Seen.WHOLE)

    def _visit_call(self, call: Call, scope: Scope) -> None:
        seen = Seen.SHAPE if _looks_at_shape(call) else Seen.WHOLE
        for child in children_of(call):
            self.visit(child, scope, seen)

    def _note(self, trail: Trail, seen: Seen) -> None:
        self.reads.trails.append(trail)
        self._need(trail, seen)

    def _need(self, trail: Trail, seen: Seen) -> None:
        if not trail.is_direct:
            return
        paths = self.reads.paths.setdefault(trail.slot, [])
        if trail.steps not in paths:
            paths.append(trail.steps)
        known = self.reads.needs.get(trail.slot)
        self.reads.needs[trail.slot] = _needing(known, trail.steps, seen)


def _looks_at_shape(call: Call) -> bool:
    if call.function in ("_==_", "_!=_"):
        return Const(None) in call.args
    return call.function in ("size", "type", "hasValue")


def _needing(known: Need | None, steps: Read, seen: Seen) -> Need:
    """Return `known`, widened so that `seen` of what `steps` lead to is kept."""
    if known is Seen.WHOLE:
        return known
    if not steps:
        return seen if known is None or known is seen else Seen.WHOLE
    if known is Seen.SHAPE:
        return Seen.WHOLE
    below: dict[str | int, Need] = {} if known is None else dict(known)
    below[steps[0]] = _needing(below.get(steps[0]), steps[1:], seen)
    return below


def pruned(value: JsonValue, need: Need) -> JsonValue:
    """Return as much of `value` as an expression with this `need` can see.

    >>> pruned({"a": {"b": 1, "c": 2}, "d": 3}, {"a": {"b": Seen.WHOLE}})
    {'a': {'b': 1}}
    >>> pruned([7, 8, 9], {1: Seen.WHOLE}), pruned([7, 8], Seen.SHAPE)
    ([None, 8], [None, None])
    """
    if need is Seen.WHOLE or not isinstance(value, dict | list):
        return value
    if need is Seen.SHAPE:
        return dict.fromkeys(value) if isinstance(value, dict) else [None] * len(value)
    if isinstance(value, dict):
        return {
            key: pruned(value[key], below)
            for key, below in need.items()
            if isinstance(key, str) and key in value
        }
    indexes = [index for index in need if isinstance(index, int)]
    kept = value[: max(indexes, default=-1) + 1]
    return [
        pruned(item, need[index]) if index in need else None
        for index, item in enumerate(kept)
    ]
