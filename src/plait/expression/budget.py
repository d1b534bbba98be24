"""How long an expression may take, decided before it is evaluated.

The library cannot be interrupted and a pure room has no clock. So the work is bounded
from the syntax tree and the sizes of the values that are read, in nanoseconds on a
machine of 2026. Above LIMIT_NS the expression is refused.

Rule 1. The bound is an upper bound: what passes is quick. It is also close enough that
        `filter` and `map` over 5,000 items pass.
Rule 2. It is arithmetic on constants: the same on every machine, every time.
Rule 3. Most evaluations do not compute it: `free_nodes` says below which size of the
        values every evaluation of a given expression passes.

Not here: sizes (plait.expression.sizes), what calls cost (plait.expression.calls). The
library itself ends an expression after 10,000 rounds of loops; ROUNDS_MAX relies on that.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, TypeAlias

from plait.expression.calls import CHARS_PER_NODE, Use, charge_for
from plait.expression.costs import FunctionCost
from plait.expression.sizes import (
    SCALAR,
    Bound,
    Context,
    Known,
    Made,
    Size,
    count_peak,
    count_total,
    elements,
    made,
    moved,
    selected,
    together,
    total_of,
)
from plait.expression.syntax import (
    Call,
    Const,
    Entries,
    Ident,
    Items,
    Loop,
    Node,
    Select,
    nodes_of,
)
from plait.model.json import JsonValue

LIMIT_NS: Final = 50_000_000
ROUNDS_MAX: Final = 10_000

# Sizes for which it is worked out whether an expression always passes.
_RUNGS: Final = (16, 128, 1_024, 4_096, 16_384, 65_536, 262_144)

_NODE_NS: Final = 40
_ENTRY_NS: Final = 300
_ROUND_NS: Final = 100
_APPEND_NS: Final = 900
# Listing and sorting the keys of an object; of what may be one.
_KEY_NS: Final = 2_500
_MAYBE_KEY_NS: Final = 500
_INTO_CEL: Final = FunctionCost(node_ns=120, char_ns=0.3)
_OUT_OF_CEL: Final = FunctionCost(node_ns=600, char_ns=2)

_Scope: TypeAlias = "Mapping[str, tuple[Bound, Context]]"


class TooMuch(Exception):
    """The bound is above the limit. `work_ns`: how far the sum had come."""

    def __init__(self, work_ns: float) -> None:
        super().__init__(f"{work_ns / 1e6:.0f} ms")
        self.work_ns = work_ns


def check_budget(tree: Node, values: Mapping[str, JsonValue]) -> None:
    """Bound the work of `tree` on these values of its slots.

    Raises:
        TooMuch: It may be more than the limit.
    """
    work_of(tree, values)


def work_of(tree: Node, values: Mapping[str, JsonValue]) -> tuple[float, Size]:
    """Return the bound of the work, nanoseconds, and of the size of the result.

    Raises:
        TooMuch: The work may be more than the limit.
    """
    slots: dict[str, Bound] = {name: Known([value], 1) for name, value in values.items()}
    estimate = _Estimate(slots)
    result = estimate.whole(tree)
    return estimate.work_ns, total_of(result, Context())


def free_nodes(tree: Node) -> int:
    """Return the size of values, in nodes, up to which `tree` always passes; or -1.

    A text counts as one node per CHARS_PER_NODE characters.
    """
    names = {node.name for node in nodes_of(tree) if isinstance(node, Ident)}
    free = -1
    for nodes in _RUNGS:
        size = Size(nodes, nodes * CHARS_PER_NODE)
        slots: dict[str, Bound] = {name: Made(size, size) for name in sorted(names)}
        try:
            _Estimate(slots).whole(tree)
        except TooMuch:
            return free
        free = nodes
    return free


class _Estimate:
    """Adds up the work of one evaluation."""

    def __init__(self, slots: Mapping[str, Bound]) -> None:
        self.slots = slots
        self.work_ns = 0.0

    def whole(self, tree: Node) -> Bound:
        """Add the work of `tree`, and of moving values in and out; bound its result."""
        for bound in self.slots.values():
            self._move(_INTO_CEL, total_of(bound, Context()))
        result = self.value(tree, Context(), {})
        self._move(_OUT_OF_CEL, total_of(result, Context()))
        return result

    def _move(self, cost: FunctionCost, size: Size) -> None:
        self._add(cost.node_ns * size.nodes + cost.char_ns * size.chars)

    def _add(self, work_ns: float) -> None:
        self.work_ns += work_ns
        if self.work_ns > LIMIT_NS:
            raise TooMuch(self.work_ns)

    def value(self, node: Node, context: Context, scope: _Scope) -> Bound:
        """Add the work of `node`; return the bound of its value."""
        self._add(_NODE_NS * context.evaluations)
        match node:
            case Const(value):
                return _const(value, context)
            case Ident(name):
                return self._name(name, context, scope)
            case Select(operand, key, asks_has):
                inner = self.value(operand, context, scope)
                return made(SCALAR, context) if asks_has else selected(inner, key)
            case Items(parts):
                return self._collected(parts, context, scope)
            case Entries(entries):
                parts = tuple(part for e in entries for part in (e.key, e.value))
                return self._collected(parts, context, scope)
            case Loop():
                return self._loop(node, context, scope)
            case Call():
                return self._call(node, context, scope)

    def _name(self, name: str, context: Context, scope: _Scope) -> Bound:
        if name in scope:
            bound, source = scope[name]
            return moved(bound, source, context)
        if name in self.slots:
            return moved(self.slots[name], Context(), context)
        return made(SCALAR, context)

    def _collected(self, parts: tuple[Node, ...], context: Context, scope: _Scope) -> Bound:
        self._add(_ENTRY_NS * len(parts) * context.evaluations)
        return together([self.value(part, context, scope) for part in parts], context)

    def _call(self, call: Call, context: Context, scope: _Scope) -> Bound:
        args = call.args if call.target is None else (call.target, *call.args)
        bounds = [self.value(arg, context, scope) for arg in args]
        work_ns, result = charge_for(Use(call.function, args, bounds, context, self.slots))
        self._add(work_ns)
        return result

    def _loop(self, loop: Loop, context: Context, scope: _Scope) -> Bound:
        source = self.value(loop.range, context, scope)
        start = self.value(loop.start, context, scope)
        if loop.is_naming:
            inner = {**scope, loop.accumulator: (start, context)}
            return self.value(loop.result, context, inner)
        rounds = min(count_total(source, context), ROUNDS_MAX)
        longest = min(count_peak(source), ROUNDS_MAX)
        append_ns = _APPEND_NS if loop.builds_list else 0
        self._add(rounds * (_ROUND_NS + append_ns + _key_ns(source)))
        body = Context(rounds, context.factor * max(longest, 1))
        inner = {**scope, loop.variable: (elements(source, context), body)}
        if loop.builds_list:
            return self._built(loop, loop.step, (source, context), body, inner)
        inner[loop.accumulator] = (made(SCALAR, body), body)
        self.value(loop.condition, body, inner)
        self.value(loop.step, body, inner)
        return made(SCALAR, context)

    def _built(
        self,
        loop: Loop,
        step: Node,
        source: tuple[Bound, Context],
        body: Context,
        inner: _Scope,
    ) -> Bound:
        """Return the bound of the list that `map` or `filter` builds with `step`."""
        match step:
            case Call("_?_:_", (test, wanted, _)):
                self.value(test, body, inner)
                return self._built(loop, wanted, source, body, inner)
            case Call("_+_", (_, Items((element,)))):
                bound = self.value(element, body, inner)
            case _:
                raise AssertionError("a macro that appends in a way of its own")
        if element == Ident(loop.variable):
            return _listed(*source)
        # Each element is in the list once: then the list is known as well as they are.
        if isinstance(bound, Known) and bound.times == 1:
            return Known([bound.values], 1)
        total = total_of(bound, body).plus(Size(body.evaluations + 1, 2))
        longest = min(count_peak(source[0]), ROUNDS_MAX)
        peak = bound.peak().times(longest).plus(Size(1, 2))
        return Made(peak.at_most(total), total)


def _key_ns(source: Bound) -> int:
    if isinstance(source, Made):
        return _MAYBE_KEY_NS
    return _KEY_NS if any(isinstance(value, dict) for value in source.values) else 0


def _listed(source: Bound, context: Context) -> Bound:
    """Return the bound of a list of some elements of `source`."""
    if isinstance(source, Known) and all(isinstance(v, list) for v in source.values):
        return source
    return Made(source.peak(), total_of(source, context))


def _const(value: object, context: Context) -> Bound:
    if isinstance(value, str):
        return Known([value], context.evaluations)
    return made(Size(1, len(value)) if isinstance(value, bytes) else SCALAR, context)
