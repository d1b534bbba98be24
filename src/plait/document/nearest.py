"""The nearest known name, within bounds.

Comparing two names closely takes 10 µs and, for names of 200 characters, a hundred times
as much; a hostile document asks for 50 names among 4,000. So few are compared closely:
those whose length, beginning and end are alike.

Not here: how two names are compared (plait.model.diagnostic).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from difflib import get_close_matches
from typing import Final

from plait.model.diagnostic import did_you_mean

# 32: more than a document has steps, mostly; a look at each takes 0.3 ms together.
_COMPARED_MAX: Final = 32
# People mistype short names; close looks at longer ones cost too much.
_CHARS_MAX: Final = 48
# Two names with less than this in common are two names.
_SURE: Final = 0.75


def nearest_hint(name: str, known: Collection[str]) -> str:
    """Return a hint naming the nearest of `known`, or an empty string if none is near.

    >>> nearest_hint("usr", ["user", "orders"]), nearest_hint("zzz", ["user"])
    ("did you mean 'user'?", '')
    """
    if len(name) > _CHARS_MAX:
        return _nearest_long(name, known)
    return did_you_mean(name, _likeliest(name, known))


def surely_meant(name: str, known: Iterable[str]) -> str:
    """Return the one of a few `known` that `name` is a slip of the pen of; "" if of none.

    Stricter than a hint: what follows from it is reported too.

    >>> surely_meant("HTPP", ["http", "set"]), surely_meant("get", ["GET", "PUT"])
    ('http', 'GET')
    >>> surely_meant("request", ["return"]), surely_meant("FETCH", ["PATCH"])
    ('', '')
    """
    if len(name) > _CHARS_MAX:
        return ""
    folded = {one.lower(): one for one in known}
    near = get_close_matches(name.lower(), list(folded), 1, _SURE)
    return folded[near[0]] if near else ""


def _likeliest(name: str, known: Collection[str]) -> list[str]:
    """Return the few of `known` that are worth a closer look, sorted."""
    if len(known) <= _COMPARED_MAX:
        return sorted(known)
    least, most = len(name) - 2, len(name) + 2
    near = [one for one in known if least <= len(one) <= most]
    for ends in (_both_ends, _one_end):
        alike = ends(name, near) if len(near) > _COMPARED_MAX else near
        if alike:
            return sorted(alike[:_COMPARED_MAX])
    return []


def _both_ends(name: str, known: list[str]) -> list[str]:
    head, tail = name[:2], name[-2:]
    return [one for one in known if one.startswith(head) and one.endswith(tail)]


def _one_end(name: str, known: list[str]) -> list[str]:
    head, tail = name[:2], name[-2:]
    return [one for one in known if one.startswith(head) or one.endswith(tail)]


def _nearest_long(name: str, known: Collection[str]) -> str:
    """Return a hint naming a long name that begins and ends as `name` does."""
    third = len(name) // 3
    head, tail = name[:third], name[-third:]
    alike = [
        one
        for one in known
        if one.startswith(head) and one.endswith(tail) and len(one) < 2 * len(name)
    ]
    return f"did you mean '{min(alike)}'?" if alike else ""
