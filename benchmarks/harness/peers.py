"""Peers: what is measured beside Plait, as far as it is installed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol, TypeVar


class Measurable(Protocol):
    """Something that can be measured if it is there."""

    @property
    def name(self) -> str:
        """As the command line calls it."""
        ...

    @property
    def title(self) -> str:
        """As the table calls it."""
        ...

    def missing(self) -> str | None:
        """Return what must be installed first; None: nothing."""
        ...


P = TypeVar("P", bound=Measurable)


def present(peers: Iterable[P], names: Sequence[str]) -> Iterator[P]:
    """Yield those that can be measured; say what the others lack.

    Args:
        names: Only these; none given: all.
    """
    for peer in chosen(peers, names):
        missing = peer.missing()
        if missing is None:
            yield peer
        else:
            print(not_here(peer.title, missing))


def chosen(peers: Iterable[P], names: Sequence[str]) -> list[P]:
    """Return the peers of these names; none given: all of them."""
    return [peer for peer in peers if not names or peer.name in names]


def not_here(title: str, missing: str) -> str:
    """Return the line that stands for a peer's figures."""
    return f"{title} is not here: {missing} must be installed first"
