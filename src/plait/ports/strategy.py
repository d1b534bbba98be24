"""Authentication strategies: another way to show who asks.

A package brings one by an entry point of the group `plait.authentication`; a gateway asks
those that `security.strategies` names, in that order, and then looks for keys and tokens.

>>> import asyncio
>>> from plait.model.caller import Caller
>>> class Badge:
...     async def authenticate(self, headers, peer):
...         if "x-badge" not in headers:
...             return None
...         if headers["x-badge"] != "7":
...             raise Unauthenticated("this badge is none", is_invalid=True)
...         return Caller("badge:7", role="viewer")
...     async def close(self):
...         "Nothing is open."
>>> STRATEGY = AuthenticationStrategy(1, lambda context: Badge(), headers=("x-badge",))
>>> badge = STRATEGY.make(PluginContext())
>>> asyncio.run(badge.authenticate({"x-badge": "7"}, "10.0.0.1")).subject
'badge:7'

Contract: plait.testing.authentication_suite.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

from plait.model.caller import Caller
from plait.model.record import record
from plait.ports.identity import Unauthenticated
from plait.ports.plugins import PluginContext

__all__ = ["AuthenticationStrategy", "Strategy", "Unauthenticated"]


class Strategy(Protocol):
    """Finds out who asks, from what a request shows."""

    async def authenticate(self, headers: Mapping[str, str], peer: str) -> Caller | None:
        """Return on whose behalf a request is made; None: it shows nothing of this kind.

        Then the next strategy is asked. What is shown and does not count is refused here,
        so that nobody becomes a caller by it further on.

        Args:
            headers: By lower-case name.
            peer: The address at the other end of the connection; empty when not known.

        Raises:
            Unauthenticated: What is shown does not count. Why is not told.
            RateExceeded: Too many attempts failed from there.
        """
        ...

    async def close(self) -> None:
        """Let go of everything; nobody asks any more."""
        ...


@record
class AuthenticationStrategy:
    """What an entry point names.

    Attributes:
        port: The version of this port that it was written for: 1.
        make: Makes the strategy of a gateway; its options are `[authentication.NAME]`.
        headers: The names, lower-case, of the headers that show something to it. Where
            callers are required, who sends none of them and no key is refused at once.
    """

    port: int
    make: Callable[[PluginContext], Strategy]
    headers: tuple[str, ...]
