"""Turns: who comes next among workflows of equal priority, so that none starves.

Of each priority, the highest first, every workflow gives one execution in its turn. The
next claim goes on behind the workflow that came last: of N workflows that have something
due, each has come within N executions, however many the others have.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TypeVar

T = TypeVar("T")


def in_turn(
    due: Mapping[int, Mapping[str, Iterable[T]]], after: str
) -> Iterator[tuple[str, T]]:
    """Yield what is due, each with its workflow.

    Args:
        due: By priority and workflow, in the order in which a workflow gives them.
        after: The workflow that came last.

    >>> due = {0: {"a": [1, 2], "b": [3, 4]}, 9: {"b": [5]}}
    >>> list(in_turn(due, after="a"))
    [('b', 5), ('b', 3), ('a', 1), ('b', 4), ('a', 2)]
    """
    for priority in sorted(due, reverse=True):
        names = sorted(due[priority], key=lambda name: (name <= after, name))
        waiting = {name: iter(due[priority][name]) for name in names}
        while waiting:
            for name in list(waiting):
                for one in waiting[name]:
                    yield name, one
                    break
                else:
                    del waiting[name]
