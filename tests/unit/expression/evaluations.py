"""Expressions whose results would show any disorder, evaluated many times.

Run as a script, it prints one line per expression, for test_determinism to compare with
what another process prints.
"""

from __future__ import annotations

import sys

from plait.expression import ExpressionError
from plait.model.json import JsonValue
from tests.unit.expression.making import value_of

TIMES = 50
NAMES: dict[str, JsonValue] = {
    "m": {f"key{number}": {"n": number, "x": None} for number in range(20)},
    "xs": [{"b": number, "a": [number], "c": {"z": 1, "y": 2}} for number in range(12)],
    "execution": {"id": "run-7"},
}
EXPRESSIONS = [
    "{'e': 1, 'd': 2, 'c': 3, 'b': 4, 'a': 5, 'f': 6}",
    "true ? m : {}",
    "m.map(k, k)",
    "m.map(k, m[k])",
    "m.filter(k, m[k].n % 2 == 0)",
    "m.map(k, m[k].n > 3, {'k': k, 'v': m[k]})",
    "m.map(k, 1 / (m[k].n - 5) + m.nokey)",
    "m.all(k, m[k].n < 3 || m[k].nokey)",
    "m.exists(k, 10 / (m[k].n - 7) > 100 || m[k].x.y)",
    "m.exists_one(k, m[k].n == 4)",
    "xs.map(x, x)",
    "xs.map(x, x.map(k, k))",
    "{'q': xs, 'p': m}.map(k, k)",
    "{'b': 1, 1: 2, true: 3, 'a': 4, 2: 5, 3: 6, false: 7}.map(k, k)",
    "'%s'.format([m])",
    "m.map(k, k).map(k, {k: m[k].n}).sortBy(o, o.map(k, k)[0])",
    "[m, m].distinct()",
    "xs.sortBy(x, 0)",
    "m == m ? [m, {'z': m, 'y': m}] : []",
    "uuid(execution, m.map(k, k).join(','))",
    "m.?key3.optMap(v, [v, m]).orValue([])",
    "string(m)",
]


def lines() -> list[bytes]:
    """Return the outcome of each expression, evaluated once."""
    return [outcome(expression) for expression in EXPRESSIONS]


def outcome(expression: str) -> bytes:
    """Return the value of `expression`, keys in their own order, or its error."""
    try:
        # Not canonical_bytes: the order of keys is what is looked at.
        return str(value_of(expression, **NAMES)).encode()
    except ExpressionError as error:
        return error.message.encode()


if __name__ == "__main__":
    sys.stdout.buffer.write(b"\n".join(lines()))
