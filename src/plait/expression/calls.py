"""What one call of a function or operator costs, and how large its result can be.

Rule 1. A handler takes a Use and returns the work of all its evaluations, nanoseconds,
        and the bound of its result. It adds nothing up and refuses nothing.
Rule 2. Constants were measured with cel-expr-python 0.1.3 on one core of a small cloud
        machine of 2026, and rounded up.

Not here: functions whose cost is one row of a table (plait.expression.costs), loops and
the sum of it all (plait.expression.budget).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, NamedTuple, TypeAlias

from plait.expression.costs import FUNCTION_COSTS, GETTER_COST, USUAL, FunctionCost
from plait.expression.patterns import Weight, made_weight, weight_of
from plait.expression.sizes import (
    SCALAR,
    Bound,
    Context,
    Known,
    Made,
    Size,
    either,
    elements,
    made,
    selected,
    together,
    total_of,
)
from plait.expression.syntax import Const, Ident, Loop, Node, nodes_of

# A text of so many characters costs what a node costs.
CHARS_PER_NODE: Final = 64

_EQUALS: Final = FunctionCost(call_ns=90, node_ns=90, char_ns=0.1)
_EQUALS_SCALAR: Final = FunctionCost(call_ns=90, node_ns=15, char_ns=0.1)
_CONCATENATES: Final = FunctionCost(call_ns=0, node_ns=40, char_ns=0.5)
_JOINS: Final = FunctionCost(node_ns=120, char_ns=4)
# Every part, and every match, counts as a node.
_SPLITS: Final = FunctionCost(node_ns=60, char_ns=1)
_REPLACES: Final = FunctionCost(node_ns=50, char_ns=1)
_FORMATS: Final = FunctionCost(call_ns=500, char_ns=2)
_DISTINCT: Final = FunctionCost(node_ns=300)
# Per pair of nodes: every element is compared with every other.
_PAIR_NS: Final = 10
# Per pair of characters of the text and of what is looked for in it.
_SEARCH_NS: Final = 0.02
# `%.1000f` writes as many digits; without a precision a number has at most 30 characters.
_PRECISE_CHARS: Final = 1_100
_NUMBER_CHARS: Final = 30

_SCALAR_OPERATORS: Final = frozenset(
    {"_&&_", "_||_", "!_", "-_", "_-_", "_*_", "_/_", "_%_", "@not_strictly_false"}
)
_COMPARISONS: Final = frozenset({"_==_", "_!=_", "_<_", "_<=_", "_>_", "_>=_"})
_SELECTORS: Final = frozenset({"_[_]", "_?._", "_[?_]"})
# Whose result is an element of the argument; or the argument, or a part of it.
_ELEMENTS: Final = frozenset({"first", "last"})
_SAME: Final = frozenset(
    {"dyn", "value", "optional.of", "sort", "@sortByAssociatedKeys", "reverse", "slice"}
)
_SEARCHES: Final = frozenset({"contains", "indexOf", "lastIndexOf"})


class Use(NamedTuple):
    """A call in its place. The target of a method is its first argument."""

    function: str
    args: tuple[Node, ...]
    bounds: list[Bound]
    context: Context
    slots: Mapping[str, Bound]

    def total(self, index: int) -> Size:
        """Return the size of one argument, over all evaluations."""
        return total_of(self.bounds[index], self.context)

    def text(self, index: int) -> str | None:
        """Return an argument that is a literal text."""
        node = self.args[index]
        value = node.value if isinstance(node, Const) else None
        return value if isinstance(value, str) else None

    def work_ns(self, cost: FunctionCost, size: Size) -> float:
        """Return what `cost` comes to for all evaluations and this size."""
        calls_ns = cost.call_ns * self.context.evaluations
        return calls_ns + cost.node_ns * size.nodes + cost.char_ns * size.chars


Charge: TypeAlias = "tuple[float, Bound]"


def charge_for(use: Use) -> Charge:
    """Return the work of `use`, nanoseconds, and the bound of its result."""
    return _HANDLERS.get(use.function, _plain)(use)


def _plain(use: Use) -> Charge:
    cost = FUNCTION_COSTS.get(use.function, USUAL)
    if use.function.startswith("get"):
        cost = GETTER_COST
    elif use.function.startswith("math."):
        cost = FUNCTION_COSTS["size"]
    whole = together(use.bounds, use.context)
    work_ns = use.work_ns(cost, total_of(whole, use.context))
    if use.function in _SEARCHES:
        sought = use.bounds[1].peak().chars
        work_ns += _SEARCH_NS * use.total(0).chars * sought
    return work_ns, _plain_result(use, cost.grows, whole)


def _plain_result(use: Use, grows: int, whole: Made) -> Bound:
    if grows == 0:
        return made(SCALAR, use.context)
    if use.function in _ELEMENTS:
        return elements(use.bounds[0], use.context)
    if use.function in _SAME:
        return use.bounds[0]
    return Made(whole.peak().times(grows), total_of(whole, use.context).times(grows))


def _scalar(use: Use) -> Charge:
    return 0, made(SCALAR, use.context)


def _selected(use: Use) -> Charge:
    key = use.text(1)
    if key is not None:
        return 0, selected(use.bounds[0], key)
    return 0, elements(use.bounds[0], use.context)


def _chosen(use: Use) -> Charge:
    return 0, either(use.bounds[1:], use.context)


def _compared(use: Use) -> Charge:
    """The smaller side bounds the work; a small one makes the other one no matter."""
    size = Size(0, 0)
    if not any(map(_is_one_scalar, use.bounds)):
        size = use.total(0).at_most(use.total(1))
    return use.work_ns(_EQUALS, size), made(SCALAR, use.context)


def _looked_up(use: Use) -> Charge:
    """`x in list` compares with every element; `key in object` looks it up."""
    work_ns, where = use.work_ns(_EQUALS, use.total(0)), use.bounds[1]
    if not isinstance(where, Known) or not all(isinstance(v, dict) for v in where.values):
        cost = _EQUALS_SCALAR if _holds_scalars(where) else _EQUALS
        work_ns += use.work_ns(cost, use.total(1))
    return work_ns, made(SCALAR, use.context)


def _concatenated(use: Use) -> Charge:
    result = together(use.bounds, use.context)
    return use.work_ns(_CONCATENATES, total_of(result, use.context)), result


def _split(use: Use) -> Charge:
    text, peak = use.total(0), use.bounds[0].peak()
    matches, most = _matches_in(use, use.text(1))
    parts = matches + use.context.evaluations
    result = Made(Size(most + 2, peak.chars + 8), Size(parts + 1, text.chars + 8))
    return use.work_ns(_SPLITS, Size(parts, text.chars)), result


def _joined(use: Use) -> Charge:
    parts, peak = use.total(0), use.bounds[0].peak()
    between = use.bounds[1].peak().chars if len(use.bounds) > 1 else 0
    chars = parts.chars + between * parts.nodes
    longest = peak.chars + between * peak.nodes
    result = Made(Size(1, longest), Size(use.context.evaluations, chars))
    return use.work_ns(_JOINS, Size(parts.nodes, chars)), result


def _replaced(use: Use) -> Charge:
    """Each match of the old text costs, and becomes one new text."""
    text, peak = use.total(0), use.bounds[0].peak()
    new_chars = use.bounds[2].peak().chars
    matches, most = _matches_in(use, use.text(1))
    result = Made(
        Size(1, peak.chars + most * new_chars),
        Size(use.context.evaluations, text.chars + matches * new_chars),
    )
    work_ns = use.work_ns(_REPLACES, Size(matches, text.chars))
    return work_ns + use.work_ns(_CONCATENATES, result.total_size), result


def _formatted(use: Use) -> Charge:
    pattern = use.text(0)
    extra = _NUMBER_CHARS if pattern is not None and "%." not in pattern else _PRECISE_CHARS
    whole = together(use.bounds, use.context)
    peak, total = whole.peak(), total_of(whole, use.context)
    chars = 2 * total.chars + extra * total.nodes
    result = Made(
        Size(1, 2 * peak.chars + extra * peak.nodes), Size(use.context.evaluations, chars)
    )
    work_ns = use.work_ns(_FORMATS, total)
    return work_ns + use.work_ns(_CONCATENATES, result.total_size), result


def _distinct(use: Use) -> Charge:
    total, peak = use.total(0), use.bounds[0].peak()
    work_ns = use.work_ns(_DISTINCT, total)
    if not _holds_scalars(use.bounds[0]):
        work_ns += _PAIR_NS * total.nodes * peak.nodes
    return work_ns, use.bounds[0]


def _matched(use: Use) -> Charge:
    weights = _weights(use)
    call_ns = max(weight.call_ns() for weight in weights)
    char_ns = max(weight.char_ns() for weight in weights)
    work_ns = call_ns * use.context.evaluations + char_ns * use.total(0).chars
    return work_ns, made(SCALAR, use.context)


def _weights(use: Use) -> list[Weight]:
    """Return what the pattern may unroll to."""
    bound = use.bounds[1]
    if isinstance(bound, Known):
        texts = [value for value in bound.values if isinstance(value, str)]
        return [weight_of(text) for text in texts] or [Weight()]
    may_repeat = any(_may_repeat(part, use.slots) for part in nodes_of(use.args[1]))
    return [made_weight(bound.peak().chars, may_repeat=may_repeat)]


def _may_repeat(node: Node, slots: Mapping[str, Bound]) -> bool:
    """Tell whether `node` may bring a brace or a backslash into a text."""
    match node:
        case Const(str(text)):
            texts = [text]
        case Ident(name) if isinstance(bound := slots.get(name), Known):
            texts = [value for value in bound.values if isinstance(value, str)]
        case Ident() | Loop():
            return True
        case _:
            return False
    return any("{" in text or "\\" in text for text in texts)


def _matches_in(use: Use, sought: str | None) -> tuple[int, int]:
    """Return how often `sought` may occur in all first arguments, and in one of them."""
    bound, peak = use.bounds[0], use.bounds[0].peak().chars
    if not sought:
        total = use.total(0)
        return total.chars + total.nodes, peak + 1
    if isinstance(bound, Known):
        counts = [text.count(sought) for text in bound.values if isinstance(text, str)]
        return sum(counts) * bound.times, max(counts, default=0)
    return use.total(0).chars // len(sought), peak // len(sought)


def _is_one_scalar(bound: Bound) -> bool:
    """Tell whether `bound` is one and the same short scalar, every time."""
    if isinstance(bound, Known) and len(bound.values) != 1:
        return False
    peak = bound.peak()
    return peak.nodes <= 1 and peak.chars <= CHARS_PER_NODE


def _holds_scalars(bound: Bound) -> bool:
    """Tell whether a list of `bound` surely holds no list and no object."""
    return isinstance(bound, Known) and not any(
        isinstance(item, list | dict)
        for value in bound.values
        if isinstance(value, list)
        for item in value
    )


_HANDLERS: Final[Mapping[str, Callable[[Use], Charge]]] = {
    **dict.fromkeys(_SCALAR_OPERATORS, _scalar),
    **dict.fromkeys(_COMPARISONS, _compared),
    **dict.fromkeys(_SELECTORS, _selected),
    "_?_:_": _chosen,
    "@in": _looked_up,
    "_+_": _concatenated,
    "split": _split,
    "join": _joined,
    "replace": _replaced,
    "format": _formatted,
    "distinct": _distinct,
    "matches": _matched,
}
