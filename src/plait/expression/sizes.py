"""How large a value can be, counted before anything is evaluated.

Rule 1. Every size is an upper bound. `nodes` counts scalars, lists and objects; `chars`
        counts characters of text, keys included.
Rule 2. A part of an expression is evaluated many times inside a loop. `peak` bounds the
        value of one evaluation, `total` the sum over all of them: a loop over a list
        sees each element once, so the total of what it reads is the list.

Not here: what work costs (plait.expression.costs, plait.expression.budget).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, NamedTuple, TypeAlias

import orjson

from plait.model.json import JsonValue

# 100,000: more alternatives are not looked at one by one; their list bounds them.
_ALTERNATIVES_MAX: Final = 100_000


class Size(NamedTuple):
    """An upper bound of the size of a value, or of many."""

    nodes: int
    chars: int

    def plus(self, other: Size) -> Size:
        return Size(self.nodes + other.nodes, self.chars + other.chars)

    def times(self, count: int) -> Size:
        return Size(self.nodes * count, self.chars * count)

    def at_most(self, other: Size) -> Size:
        return Size(min(self.nodes, other.nodes), min(self.chars, other.chars))

    def at_least(self, other: Size) -> Size:
        return Size(max(self.nodes, other.nodes), max(self.chars, other.chars))


SCALAR: Final = Size(1, 8)
NOTHING: Final = Size(0, 0)


@dataclass(slots=True)
class Known:
    """A value that is one of these; over all evaluations, each at most `times` times."""

    values: list[JsonValue]
    times: int
    _sum: Size | None = None
    _peak: Size = NOTHING

    def peak(self) -> Size:
        self._measure()
        return self._peak

    def sum(self) -> Size:
        """Return the size of all alternatives together."""
        return self._measure()

    def _measure(self) -> Size:
        if self._sum is None:
            nodes = chars = peak_nodes = peak_chars = 0
            for value in self.values:
                value_nodes, value_chars = size_of(value)
                nodes += value_nodes
                chars += value_chars
                peak_nodes = max(peak_nodes, value_nodes)
                peak_chars = max(peak_chars, value_chars)
            self._sum, self._peak = Size(nodes, chars), Size(peak_nodes, peak_chars)
        return self._sum


@dataclass(slots=True)
class Made:
    """A value that the expression makes; only its size is known."""

    peak_size: Size
    total_size: Size

    def peak(self) -> Size:
        return self.peak_size


Bound: TypeAlias = "Known | Made"


class Context(NamedTuple):
    """How often a part is evaluated: in all, and at most per evaluation of the whole.

    Inside one loop both are the number of rounds. Inside two, `evaluations` adds up the
    rounds of the inner loop, `factor` multiplies the longest of both.
    """

    evaluations: int = 1
    factor: int = 1


def total_of(bound: Bound, context: Context) -> Size:
    """Return the size of all values that `bound` stands for in `context`, together."""
    at_most = bound.peak().times(context.evaluations)
    if isinstance(bound, Known):
        return bound.sum().times(bound.times).at_most(at_most)
    return bound.total_size.at_most(at_most)


def moved(bound: Bound, source: Context, target: Context) -> Bound:
    """Return `bound`, which was found in `source`, as seen from the loop `target`."""
    again = -(-target.factor // max(source.factor, 1))
    if isinstance(bound, Known):
        return Known(bound.values, bound.times * again, bound._sum, bound._peak)
    return Made(bound.peak_size, bound.total_size.times(again))


def selected(bound: Bound, key: str) -> Bound:
    """Return the bound of what stands at `key` of the values of `bound`."""
    if isinstance(bound, Made):
        return bound
    found = [v[key] for v in bound.values if isinstance(v, dict) and key in v]
    return Known(found, bound.times)


def elements(bound: Bound, context: Context) -> Bound:
    """Return the bound of an element of the lists (or a key of the objects) of `bound`.

    Of any element: a list may have been sorted or filtered since.
    """
    if isinstance(bound, Made):
        return bound
    containers = [v for v in bound.values if isinstance(v, list | dict)]
    if sum(map(len, containers)) > _ALTERNATIVES_MAX:
        return Made(bound.peak(), total_of(bound, context))
    return Known([item for container in containers for item in container], bound.times)


def count_total(bound: Bound, context: Context) -> int:
    """Return how many elements all evaluations of `bound` have together, at most."""
    if isinstance(bound, Made):
        return total_of(bound, context).nodes
    return sum(_length(value) for value in bound.values) * bound.times


def count_peak(bound: Bound) -> int:
    """Return how many elements the longest value of `bound` has, at most."""
    if isinstance(bound, Made):
        return bound.peak_size.nodes
    return max((_length(value) for value in bound.values), default=0)


def either(bounds: Iterable[Bound], context: Context) -> Bound:
    """Return the bound of a value that is one of `bounds`."""
    alternatives = list(bounds)
    known = [bound for bound in alternatives if isinstance(bound, Known)]
    if len(known) == len(alternatives) and known:
        values = [value for bound in known for value in bound.values]
        return Known(values, max(bound.times for bound in known))
    peak, total = NOTHING, NOTHING
    for bound in alternatives:
        peak = peak.at_least(bound.peak())
        total = total.plus(total_of(bound, context))
    return Made(peak, total)


def together(bounds: Iterable[Bound], context: Context) -> Made:
    """Return the bound of a value that holds all of `bounds`."""
    peak, total = Size(1, 2), Size(1, 2).times(context.evaluations)
    for bound in bounds:
        peak = peak.plus(bound.peak())
        total = total.plus(total_of(bound, context))
    return Made(peak, total)


def made(peak: Size, context: Context) -> Made:
    """Return the bound of a value of size `peak`, made anew each time."""
    return Made(peak, peak.times(context.evaluations))


def size_of(value: JsonValue) -> Size:
    """Return the size of `value`.

    >>> size_of("abc"), size_of([1, {"a": 2}])
    (Size(nodes=1, chars=3), Size(nodes=4, chars=11))
    """
    kind = type(value)
    if kind is str:
        return Size(1, len(value))  # type: ignore[arg-type]
    if kind is not list and kind is not dict:
        return SCALAR
    try:
        text = orjson.dumps(value)
    except TypeError:
        return _walked_size(value)
    nodes = 1 + text.count(b",") + text.count(b"{") + text.count(b"[")
    return Size(nodes, len(text))


def _walked_size(value: JsonValue) -> Size:
    """Return the size of what orjson does not write: integers beyond 64 bits."""
    if isinstance(value, dict):
        size = Size(1, sum(len(key) for key in value))
        inner: Iterable[JsonValue] = value.values()
    elif isinstance(value, list):
        size, inner = Size(1, 0), value
    else:
        return size_of(value)
    for item in inner:
        size = size.plus(_walked_size(item))
    return size


def _length(value: JsonValue) -> int:
    return len(value) if isinstance(value, list | dict) else 0
