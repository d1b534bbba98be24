"""How long an expression may take, decided before it is evaluated.

The library cannot be interrupted and a pure room has no clock. So the work is bounded
from the syntax tree and the sizes of the values that are read, in nanoseconds on a
machine of 2026. Above LIMIT_NS the expression is refused.

Rule 1. The bound is an upper bound: what passes is quick. It is also close enough that
        `filter` and `map` over 5,000 items pass.
Rule 2. It is arithmetic on constants: the same on every machine, every time.
Rule 3. Most evaluations do not compute it: `free_nodes` says below which size of the
        values every evaluation of a given expression passes.

Not here: sizes (plait.expression.sizes), the constants of functions
(plait.expression.costs). The library itself ends an expression after 10,000 rounds of
loops; ROUNDS_MAX relies on that.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, TypeAlias

from plait.expression.costs import FUNCTION_COSTS, GETTER_COST, USUAL, FunctionCost
from plait.expression.patterns import Weight, made_weight, weight_of
from plait.expression.sizes import (
    SCALAR,
    Bound,
    Context,
    Known,
    Made,
    Size,
    count_peak,
    count_total,
    either,
    elements,
    made,
    moved,
    selected,
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
CHARS_PER_NODE: Final = 64

_NODE_NS: Final = 40
_ROUND_NS: Final = 80
_APPEND_NS: Final = 700
# Listing and sorting the keys of an object; of what may be one.
_KEY_NS: Final = 2_500
_MAYBE_KEY_NS: Final = 500
_ENTRY_NS: Final = 300
_INTO_CEL: Final = FunctionCost(node_ns=100, char_ns=0.3)
_OUT_OF_CEL: Final = FunctionCost(node_ns=500, char_ns=2)
_EQUALS: Final = FunctionCost(node_ns=30, char_ns=0.1)
_JOINS: Final = FunctionCost(node_ns=40, char_ns=0.3)
_SPLITS: Final = FunctionCost(node_ns=50, char_ns=50)
_REPLACES: Final = FunctionCost(node_ns=50, char_ns=40)
# Per pair of nodes: every element is compared with every other.
_PAIR_NS: Final = 10
# Per pair of characters of the text and of what is looked for in it.
_SEARCH_NS: Final = 0.02
# `%.1000f` writes as many digits; without a precision a number has at most 30 characters.
_PRECISE_CHARS: Final = 1_100
_NUMBER_CHARS: Final = 30

_Scope: TypeAlias = "Mapping[str, tuple[Bound, Context]]"
_COMPARISONS: Final = frozenset({"_==_", "_!=_", "_<_", "_<=_", "_>_", "_>=_"})
_SCALAR_OPERATORS: Final = frozenset(
    {"_&&_", "_||_", "!_", "-_", "_-_", "_*_", "_/_", "_%_", "@not_strictly_false"}
)
_SELECTORS: Final = frozenset({"_[_]", "_?._", "_[?_]"})
# Whose result is an element of the argument, or the argument in another order.
_ELEMENTS: Final = frozenset({"first", "last"})
_SAME: Final = frozenset({"dyn", "value", "optional.of", "sort", "reverse"})
_SEARCHES: Final = frozenset({"contains", "indexOf", "lastIndexOf"})


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
    slots: dict[str, Bound] = {name: Known([value], 1) for name, value in values.items()}
    _Estimate(slots).whole(tree)


def free_nodes(tree: Node) -> int:
    """Return the size of values, in nodes, up to which `tree` always passes; or -1.

    A text counts as one node per CHARS_PER_NODE characters.
    """
    names = {node.name for node in nodes_of(tree) if isinstance(node, Ident)}
    free = -1
    for nodes in _RUNGS:
        size = Size(nodes, nodes * CHARS_PER_NODE)
        slots: dict[str, Bound] = {name: Made(size, size) for name in names}
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

    def whole(self, tree: Node) -> None:
        for bound in self.slots.values():
            self._pay(_INTO_CEL, total_of(bound, Context()), 0)
        result = self.value(tree, Context(), {})
        self._pay(_OUT_OF_CEL, total_of(result, Context()), 0)

    def _add(self, work_ns: float) -> None:
        self.work_ns += work_ns
        if self.work_ns > LIMIT_NS:
            raise TooMuch(self.work_ns)

    def _pay(self, cost: FunctionCost, size: Size, calls: int) -> None:
        self._add(
            cost.call_ns * calls + cost.node_ns * size.nodes + cost.char_ns * size.chars
        )

    def value(self, node: Node, context: Context, scope: _Scope) -> Bound:
        """Add the work of `node`; return the bound of its value."""
        self._add(_NODE_NS * context.evaluations)
        match node:
            case Const(value):
                return _const(value, context)
            case Ident(name):
                return self._name(name, context, scope)
            case Select(operand, field, asks_has):
                inner = self.value(operand, context, scope)
                return (
                    made(SCALAR, context) if asks_has else selected(inner, field, context)
                )
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
        bounds = [self.value(part, context, scope) for part in parts]
        return _together(bounds, context)

    def _call(self, call: Call, context: Context, scope: _Scope) -> Bound:
        args = call.args if call.target is None else (call.target, *call.args)
        bounds = [self.value(arg, context, scope) for arg in args]
        name = call.function
        if name in _SELECTORS:
            return _indexed(bounds[0], args[1], context)
        if name == "_?_:_":
            return either(bounds[1:], context)
        if name in _SCALAR_OPERATORS:
            return made(SCALAR, context)
        special = getattr(self, _SPECIAL.get(name, "_plain"))
        result: Bound = special(call, args, bounds, context)
        return result

    def _plain(
        self, call: Call, _args: tuple[Node, ...], bounds: list[Bound], context: Context
    ) -> Bound:
        cost = FUNCTION_COSTS.get(call.function, USUAL)
        if call.function.startswith("get"):
            cost = GETTER_COST
        elif call.function.startswith("math."):
            cost = FUNCTION_COSTS["size"]
        together = _together(bounds, context)
        self._pay(cost, total_of(together, context), context.evaluations)
        if call.function in _SEARCHES:
            sought = bounds[1].peak().chars
            self._add(_SEARCH_NS * total_of(bounds[0], context).chars * sought)
        if cost.grows == 0:
            return made(SCALAR, context)
        if call.function in _ELEMENTS:
            return elements(bounds[0], context)
        if call.function in _SAME:
            return bounds[0]
        return Made(
            together.peak().times(cost.grows), total_of(together, context).times(cost.grows)
        )

    def _compare(
        self, _call: Call, _args: tuple[Node, ...], bounds: list[Bound], context: Context
    ) -> Bound:
        left, right = (total_of(bound, context) for bound in bounds)
        self._pay(_EQUALS, left.at_most(right), 0)
        return made(SCALAR, context)

    def _contains(
        self, _call: Call, _args: tuple[Node, ...], bounds: list[Bound], context: Context
    ) -> Bound:
        """`x in list` compares with every element; `key in object` looks it up."""
        sought, where = bounds
        values = where.values if isinstance(where, Known) else [None]
        if not all(isinstance(value, dict) for value in values):
            self._pay(_EQUALS, total_of(where, context), 0)
        self._pay(_EQUALS, total_of(sought, context), 0)
        return made(SCALAR, context)

    def _concatenate(
        self, _call: Call, _args: tuple[Node, ...], bounds: list[Bound], context: Context
    ) -> Bound:
        result = _together(bounds, context)
        self._pay(_JOINS, total_of(result, context), 0)
        return result

    def _split(
        self, _call: Call, _args: tuple[Node, ...], bounds: list[Bound], context: Context
    ) -> Bound:
        text = total_of(bounds[0], context)
        self._pay(_SPLITS, text, context.evaluations)
        peak = bounds[0].peak().chars
        return Made(
            Size(peak + 2, 4 * peak + 8),
            Size(text.chars + 2 * context.evaluations, 4 * text.chars + 8),
        )

    def _join(
        self, _call: Call, _args: tuple[Node, ...], bounds: list[Bound], context: Context
    ) -> Bound:
        parts = total_of(bounds[0], context)
        between = bounds[1].peak().chars if len(bounds) > 1 else 0
        self._pay(FunctionCost(node_ns=120), parts, context.evaluations)
        self._add(between * parts.nodes)
        peak = bounds[0].peak()
        return Made(
            Size(1, peak.chars + between * peak.nodes),
            Size(context.evaluations, parts.chars + between * parts.nodes),
        )

    def _replace(
        self, _call: Call, args: tuple[Node, ...], bounds: list[Bound], context: Context
    ) -> Bound:
        old = args[1]
        # Each match of `old` becomes one `new`; an empty `old` matches everywhere.
        known = (
            len(old.value) if isinstance(old, Const) and isinstance(old.value, str) else 0
        )
        grows = bounds[2].peak().chars // max(known, 1) + 2
        text = total_of(bounds[0], context)
        self._pay(_REPLACES, Size(text.nodes, text.chars), context.evaluations)
        result = Made(
            Size(1, (bounds[0].peak().chars + 1) * grows),
            Size(context.evaluations, (text.chars + context.evaluations) * grows),
        )
        self._pay(_JOINS, result.total_size, 0)
        return result

    def _format(
        self, _call: Call, args: tuple[Node, ...], bounds: list[Bound], context: Context
    ) -> Bound:
        pattern = args[0]
        text = pattern.value if isinstance(pattern, Const) else None
        precise = not isinstance(text, str) or "%." in text
        extra = _PRECISE_CHARS if precise else _NUMBER_CHARS
        together = _together(bounds, context)
        peak, total = together.peak(), total_of(together, context)
        result = Made(
            Size(1, 2 * peak.chars + extra * peak.nodes),
            Size(context.evaluations, 2 * total.chars + extra * total.nodes),
        )
        self._pay(FunctionCost(call_ns=500, char_ns=2), total, context.evaluations)
        self._pay(_JOINS, result.total_size, 0)
        return result

    def _distinct(
        self, _call: Call, _args: tuple[Node, ...], bounds: list[Bound], context: Context
    ) -> Bound:
        total, peak = total_of(bounds[0], context), bounds[0].peak()
        self._pay(FunctionCost(node_ns=300), total, context.evaluations)
        if not _holds_scalars(bounds[0]):
            self._add(_PAIR_NS * total.nodes * peak.nodes)
        return bounds[0]

    def _matches(
        self, _call: Call, args: tuple[Node, ...], bounds: list[Bound], context: Context
    ) -> Bound:
        weights = self._weights(args[1], bounds[1])
        self._add(max(w.call_ns() for w in weights) * context.evaluations)
        chars = total_of(bounds[0], context).chars
        self._add(max(w.char_ns() for w in weights) * chars)
        return made(SCALAR, context)

    def _weights(self, node: Node, bound: Bound) -> list[Weight]:
        """Return what the pattern `node` may unroll to."""
        if isinstance(bound, Known):
            texts = [value for value in bound.values if isinstance(value, str)]
            return [weight_of(text) for text in texts] or [Weight()]
        return [made_weight(bound.peak().chars, may_repeat=self._may_repeat(node))]

    def _may_repeat(self, node: Node) -> bool:
        """Tell whether a text that `node` is made of holds a brace or a backslash."""
        for part in nodes_of(node):
            match part:
                case Const(str(text)):
                    texts = [text]
                case Ident(name) if isinstance(bound := self.slots.get(name), Known):
                    texts = [value for value in bound.values if isinstance(value, str)]
                case Ident() | Loop():
                    return True
                case _:
                    continue
            if any("{" in text or "\\" in text for text in texts):
                return True
        return False

    def _loop(self, loop: Loop, context: Context, scope: _Scope) -> Bound:
        source = self.value(loop.range, context, scope)
        start = self.value(loop.start, context, scope)
        if loop.is_naming:
            inner = {**scope, loop.accumulator: (start, context)}
            return self.value(loop.result, context, inner)
        rounds = min(count_total(source, context), ROUNDS_MAX)
        longest = min(count_peak(source), ROUNDS_MAX)
        self._add(rounds * (_ROUND_NS + (_APPEND_NS if loop.builds_list else 0)))
        self._add(rounds * _key_ns(source))
        body = Context(rounds, context.factor * max(longest, 1))
        inner = {**scope, loop.variable: (elements(source, context), body)}
        if loop.builds_list:
            return self._built(loop.step, source, body, inner, context)
        inner[loop.accumulator] = (made(SCALAR, body), body)
        self.value(loop.condition, body, inner)
        self.value(loop.step, body, inner)
        return made(SCALAR, context)

    def _built(
        self, step: Node, source: Bound, body: Context, inner: _Scope, context: Context
    ) -> Bound:
        """Return the bound of the list that `map` or `filter` builds with `step`."""
        match step:
            case Call("_?_:_", (test, wanted, _)):
                self.value(test, body, inner)
                return self._built(wanted, source, body, inner, context)
            case Call("_+_", (_, Items((element,)))):
                bound = self.value(element, body, inner)
            case _:
                raise AssertionError("a macro that appends in a way of its own")
        if isinstance(element, Ident) and _is_variable(element, inner, body):
            return _listed(source, context)
        total = total_of(bound, body).plus(Size(body.evaluations, 0))
        peak = bound.peak().times(min(count_peak(source), ROUNDS_MAX))
        return Made(
            peak.plus(Size(1, 2)).at_most(total.plus(Size(1, 2))), total.plus(SCALAR)
        )


_SPECIAL: Final = {
    **dict.fromkeys(_COMPARISONS, "_compare"),
    "@in": "_contains",
    "_+_": "_concatenate",
    "split": "_split",
    "join": "_join",
    "replace": "_replace",
    "format": "_format",
    "distinct": "_distinct",
    "matches": "_matches",
}


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


def _indexed(bound: Bound, index: Node, context: Context) -> Bound:
    if isinstance(index, Const) and isinstance(index.value, str):
        return selected(bound, index.value, context)
    return elements(bound, context)


def _together(bounds: list[Bound], context: Context) -> Made:
    """Return the bound of a value that holds all of `bounds`."""
    peak, total = Size(1, 2), Size(1, 2).times(context.evaluations)
    for bound in bounds:
        peak = peak.plus(bound.peak())
        total = total.plus(total_of(bound, context))
    return Made(peak, total)


def _holds_scalars(bound: Bound) -> bool:
    """Tell whether a list of `bound` surely holds no list and no object."""
    return isinstance(bound, Known) and not any(
        isinstance(item, list | dict)
        for value in bound.values
        if isinstance(value, list)
        for item in value
    )


def _is_variable(element: Ident, inner: _Scope, body: Context) -> bool:
    """Tell whether `element` is the element of the loop itself: then this is a filter."""
    return element.name in inner and inner[element.name][1] is body
