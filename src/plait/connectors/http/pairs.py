"""`name=value&…`: query parameters and form bodies."""

from __future__ import annotations

import re
from urllib.parse import quote

from plait.connectors.egress import InvalidRequest
from plait.connectors.http.fields import scalar_text

_is_unreserved = re.compile(r"[A-Za-z0-9\-._~]*").fullmatch


def encode_pairs(values: object, what: str) -> str:
    """Return `values` percent-encoded; spaces as `%20`, which every reader understands.

    Args:
        values: A mapping. A list repeats its name; null is left out.
        what: The field's name, for the error.

    Raises:
        InvalidRequest: no mapping, or a value that is not text, number or boolean.

    >>> encode_pairs({"a": "x y", "b": [1, None, True], "c": None}, "params")
    'a=x%20y&b=1&b=true'
    """
    if not isinstance(values, dict):
        raise InvalidRequest(f"`{what}` is not a mapping")
    pairs: list[str] = []
    for name, value in values.items():
        if type(value) is str and _is_unreserved(value) and _is_unreserved(name):
            pairs.append(f"{name}={value}")
        else:
            pairs += _encode_slowly(name, value, what)
    return "&".join(pairs)


def _encode_slowly(name: str, value: object, what: str) -> list[str]:
    items = value if isinstance(value, list) else [value]
    texts = [
        scalar_text(item, f"'{name}' in `{what}`") for item in items if item is not None
    ]
    try:
        key = quote(name, safe="")
        return [f"{key}={quote(text, safe='')}" for text in texts]
    except UnicodeEncodeError:
        raise InvalidRequest(f"'{name}' in `{what}` is not valid Unicode") from None
