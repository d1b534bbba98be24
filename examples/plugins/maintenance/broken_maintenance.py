"""Middleware that does not keep its contract: the suite has to say so."""

from __future__ import annotations

from pathlib import Path

from plait_maintenance import Maintenance
from test_maintenance import TestMaintenance

from plait.ports.message import Reply, Request
from plait.ports.middleware import Layer, Then


class Greedy(Maintenance):
    """Reads what should be passed on."""

    async def handle(self, request: Request, then: Then) -> Reply:
        reply = await super().handle(request, then)
        if reply.stream is not None:
            reply.body = b"".join([part async for part in reply.stream])
            reply.stream = None
        return reply


class TestGreedy(TestMaintenance):
    """Fails."""

    def made(self) -> Layer:
        return Greedy(Path("nowhere"), 1)
