"""JSON values as Plait holds them, and the one canonical way to write them."""

from __future__ import annotations

from typing import TypeAlias

import orjson

JsonValue: TypeAlias = (
    "bool | int | float | str | list[JsonValue] | dict[str, JsonValue] | None"
)
JsonObject: TypeAlias = "dict[str, JsonValue]"


def canonical_bytes(value: JsonValue) -> bytes:
    """Return the bytes that stand for `value`: keys sorted, no spaces, UTF-8.

    Equal values give equal bytes, so hashes of them can be compared.

    Raises:
        TypeError: `value` holds something that JSON cannot.

    >>> canonical_bytes({"b": 1, "a": [1.5, None]})
    b'{"a":[1.5,null],"b":1}'
    """
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


def readable_bytes(value: JsonValue, bytes_max: int) -> bytes:
    """Return the bytes of `value` with a line for each of its values; without any spaces
    where that would be longer than `bytes_max`: indentation of deep values is most of it.

    >>> readable_bytes({"a": [1]}, 99)
    b'{\\n  "a": [\\n    1\\n  ]\\n}'
    >>> readable_bytes({"a": [1]}, 10)
    b'{"a":[1]}'
    """
    indented = orjson.dumps(value, option=orjson.OPT_INDENT_2)
    return indented if len(indented) <= bytes_max else orjson.dumps(value)


def is_deeper(value: JsonValue, depth_max: int) -> bool:
    """Tell whether objects and lists of `value` are nested deeper than `depth_max`.

    >>> is_deeper({"a": [1]}, 2), is_deeper({"a": [[]]}, 2)
    (False, True)
    """
    level = [value]
    for _ in range(depth_max + 1):
        containers = [item for item in level if isinstance(item, (dict, list))]
        if not containers:
            return False
        level = [
            inner
            for item in containers
            for inner in (item.values() if isinstance(item, dict) else item)
        ]
    return True
