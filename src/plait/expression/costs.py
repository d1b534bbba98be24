"""What functions cost, and how large their results are: one row per function.

Costs were measured with cel-expr-python 0.1.3 on one core of 2026's small cloud machine
and rounded up. They are constants, so the same expression on the same values is refused
on every machine, or on none.

Not here: operators, and the functions that need more than a row: `matches`, `replace`,
`join`, `format`, `distinct`, … (plait.expression.calls).
"""

from __future__ import annotations

from typing import Final, NamedTuple


class FunctionCost(NamedTuple):
    """Nanoseconds, and how much longer the result is than the arguments together.

    Attributes:
        call_ns: Each call.
        char_ns, node_ns: Per character and node of all arguments.
        grows: Size of the result over that of the arguments; 0: a scalar.
    """

    call_ns: int = 200
    char_ns: float = 1
    node_ns: float = 100
    grows: int = 1


_SCALAR: Final = FunctionCost(grows=0)
_TEXT: Final = FunctionCost(char_ns=12)
_TIME: Final = FunctionCost(call_ns=1_500, grows=0)
_PASSING: Final = FunctionCost(char_ns=0, node_ns=0)

# A function that is not here costs this: linear, its result as long as its arguments.
USUAL: Final = FunctionCost(char_ns=50)

FUNCTION_COSTS: Final = {
    "size": _SCALAR,
    "contains": _SCALAR,
    "startsWith": _SCALAR,
    "endsWith": _SCALAR,
    "indexOf": FunctionCost(char_ns=12, grows=0),
    "lastIndexOf": FunctionCost(char_ns=12, grows=0),
    "charAt": FunctionCost(char_ns=12, grows=0),
    "lowerAscii": _TEXT,
    "upperAscii": _TEXT,
    "trim": _TEXT,
    "substring": _TEXT,
    "strings.quote": FunctionCost(char_ns=12, grows=4),
    "base64.encode": FunctionCost(char_ns=3, grows=2),
    "base64.decode": FunctionCost(char_ns=3),
    "bytes": FunctionCost(),
    "string": FunctionCost(grows=4),
    "int": _SCALAR,
    "uint": _SCALAR,
    "double": _SCALAR,
    "bool": _SCALAR,
    "type": FunctionCost(char_ns=0, node_ns=0, grows=0),
    "timestamp": _TIME,
    "duration": _TIME,
    "uuid": FunctionCost(call_ns=5_000, grows=0),
    "sort": FunctionCost(node_ns=150, char_ns=1),
    "@sortByAssociatedKeys": FunctionCost(node_ns=150, char_ns=1),
    "flatten": FunctionCost(node_ns=150, char_ns=0),
    "reverse": FunctionCost(node_ns=60, char_ns=3),
    "slice": FunctionCost(node_ns=60, char_ns=0),
    "first": _PASSING,
    "last": _PASSING,
    "dyn": _PASSING,
    "value": _PASSING,
    "hasValue": FunctionCost(char_ns=0, node_ns=0, grows=0),
    "or": _PASSING,
    "orValue": _PASSING,
    "optional.of": _PASSING,
    "optional.none": _PASSING,
    "optional.ofNonZeroValue": _PASSING,
}

# Of time.getHours(zone) and its like.
GETTER_COST: Final = FunctionCost(call_ns=1_000, grows=0)
