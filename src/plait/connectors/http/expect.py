"""`expect`: which statuses count as success."""

from __future__ import annotations

import re

_CLASS = re.compile(r"([2-5])xx", re.IGNORECASE)
_RANGE = re.compile(r"([2-5][0-9][0-9])(?:-([2-5][0-9][0-9]))?")

_known: dict[str, frozenset[int]] = {}
# Expectations come from documents, but may be templates: bounded all the same.
_KNOWN_COUNT_MAX = 256


def read_expect(value: object) -> frozenset[int]:
    """Return the statuses that `value` names: `200`, `"2xx"`, `"200-204"` or a list.

    Raises:
        ValueError: it names none.

    >>> sorted(read_expect([404, "200-202"]))
    [200, 201, 202, 404]
    """
    key = repr(value)
    statuses = _known.get(key)
    if statuses is None:
        statuses = _read(value)
        if len(_known) >= _KNOWN_COUNT_MAX:
            _known.clear()
        _known[key] = statuses
    return statuses


def _read(value: object) -> frozenset[int]:
    entries = value if isinstance(value, list) else [value]
    statuses = frozenset(status for entry in entries for status in _read_one(entry))
    if not statuses:
        raise ValueError("expect names no status")
    return statuses


def _read_one(entry: object) -> range:
    text = str(entry)
    if not isinstance(entry, bool):
        if match := _CLASS.fullmatch(text):
            first = int(match[1]) * 100
            return range(first, first + 100)
        if match := _RANGE.fullmatch(text):
            return range(int(match[1]), int(match[2] or match[1]) + 1)
    raise ValueError(f"expect takes 200, '2xx' or '200-204', not {entry!r}")
