"""A strategy that does not keep its contract: the suite has to say so."""

from __future__ import annotations

from plait_proxied import Proxied
from test_proxied import TestProxied

from plait.ports.strategy import Strategy


class Gullible(Proxied):
    """Believes everybody."""

    def believes(self, peer: str) -> bool:
        return True


class TestGullible(TestProxied):
    """Fails."""

    def made(self) -> Strategy:
        return Gullible([])
