"""Addresses of step instances: `orders`, `fan[left]/charge`, `pay.fallback/charge`.

Rule 1. An address is unique in an execution: what a group runs again, it runs under
        another one. Its second attempt puts `~2` behind the group's own name
        (`fan~2[left]/charge`); the first puts nothing, which is what nearly all make.
Rule 2. Without the rounds an address says where the step stands in the document.
Rule 3. A step of a sequence that a `goto` leads to again is another instance of it, with a
        number of its own: `check`, `check#2`.
Rule 4. Ids and names of branches have letters, digits and `_` only, so the signs between
        them mean one thing each. In the place of a branch's name stands the number of an
        iteration, of an item (`poll[3]/fetch`) or a page of them (`fan[page3]/fetch`); an
        id begins with no digit.

Not here: the same addresses for a plan that does not run (plait.compile.inside).
"""

from __future__ import annotations

import re
from collections.abc import Iterator

_ROUND = re.compile(r"~\d+", re.ASCII)
_NUMBER = re.compile(r"\[(page)?\d+\]", re.ASCII)
_VISIT = re.compile(r"#\d+", re.ASCII)
_ENDS = re.compile(r"[/\[~.]", re.ASCII)
_ID = re.compile(r"\w*", re.ASCII)


def inside(path: str, attempt: int) -> str:
    """Return what the addresses inside a group begin with, in its attempt `attempt`.

    >>> inside("fan", 1), inside("fan", 2)
    ('fan', 'fan~2')
    """
    return path if attempt == 1 else f"{path}~{attempt}"


def visited(path: str, visit: int) -> str:
    """Return the address of a step's instance number `visit`, from 1.

    >>> visited("check", 1), visited("check", 2)
    ('check', 'check#2')
    """
    return path if visit == 1 else f"{path}#{visit}"


def beside(path: str) -> str:
    """Return what the address of the step that runs in the place of another begins with.

    >>> beside("pay")
    'pay.fallback/'
    """
    return f"{path}.fallback/"


def without_rounds(path: str) -> str:
    """Return the address of the same step in the first round of every group around it.

    >>> without_rounds("outer~2/fan~13[left]/charge")
    'outer/fan[left]/charge'
    """
    return _ROUND.sub("", path) if "~" in path else path


def in_document(path: str) -> str:
    """Return where the step at `path` stands in the document, in whichever iteration.

    >>> in_document("outer~2/fan[13]~2/charge"), in_document("poll#3/fetch")
    ('outer/fan[*]/charge', 'poll/fetch')
    """
    found = _NUMBER.sub(r"[\1*]", without_rounds(path))
    return _VISIT.sub("", found) if "#" in found else found


def is_within(path: str, group: str) -> bool:
    """Tell whether `path` is `group` or stands inside it, in whatever round.

    >>> [is_within(path, "fan") for path in ("fan", "fan~2[left]/x", "fan.fallback/y")]
    [True, True, True]
    >>> [is_within(path, "fan") for path in ("fa", "fancy/x")]
    [False, False]
    """
    return path == group or (path.startswith(group) and path[len(group)] in "/[~.")


def with_groups(path: str) -> Iterator[str]:
    """Yield `path` and the address of whatever it is within (`is_within`).

    >>> list(with_groups("fan[3]/charge"))
    ['fan', 'fan[3]', 'fan[3]/charge']
    """
    for end in _ENDS.finditer(path):
        yield path[: end.start()]
    yield path


def ids(path: str) -> list[str]:
    """Return the ids of the steps that lead to the one at `path`, which is the last.

    >>> [ids(path) for path in ("pay", "fan~2[left]/charge", "pay.fallback/card")]
    [['pay'], ['fan', 'charge'], ['pay', 'card']]
    """
    return [outermost_id(segment) for segment in path.split("/")]


def outermost_id(path: str) -> str:
    """Return the id of the step of the document's own scope that `path` leads into.

    >>> [outermost_id(path) for path in ("pay", "fan~2[left]/charge", "pay.fallback/card")]
    ['pay', 'fan', 'pay']
    """
    found = _ID.match(path)
    return found.group() if found is not None else ""
