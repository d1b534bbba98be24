"""Values as bytes, for stores outside the process: JSON that comes back as it went in.

Rule. Nothing is unpickled: what is read can run no code.
"""

from __future__ import annotations

import json
from typing import Any, Final, Protocol

_LEAVES: Final = frozenset({str, int, float, bool, type(None)})


class Codec(Protocol):
    """How values become bytes, and values again."""

    def encode(self, value: Any) -> bytes:
        """Return `value` as bytes.

        Raises:
            TypeError, ValueError: It would not come back as it is.
        """
        ...

    def decode(self, data: bytes) -> Any:
        """Return the value.

        Raises:
            ValueError: `data` is not what `encode` made.
        """
        ...


class JsonCodec:
    """JSON, and only what survives it: no tuples, no keys that are not text.

    >>> JsonCodec().decode(JsonCodec().encode({"price": 9.5}))
    {'price': 9.5}
    >>> JsonCodec().encode((1, 2))
    Traceback (most recent call last):
    TypeError: a tuple does not survive JSON; return JSON, or give a `codec` of your own
    """

    __slots__ = ()

    def encode(self, value: Any) -> bytes:
        """Return `value` as JSON."""
        _check(value)
        return json.dumps(value, separators=(",", ":")).encode()

    def decode(self, data: bytes) -> Any:
        """Return the value that `data` is the JSON of."""
        return json.loads(data)


JSON: Final = JsonCodec()


def _check(value: Any) -> None:
    """Refuse what JSON would turn into something else."""
    kind = type(value)
    if kind is list:
        for item in value:
            _check(item)
    elif kind is dict:
        for key, item in value.items():
            if type(key) is not str:
                raise TypeError(f"the key {key!r} does not survive JSON; keys are texts")
            _check(item)
    elif kind not in _LEAVES:
        raise TypeError(
            f"a {kind.__qualname__} does not survive JSON; "
            "return JSON, or give a `codec` of your own"
        )
