"""A connector that does not keep its contract: the suite has to say so."""

from __future__ import annotations

import asyncio
from contextlib import AbstractAsyncContextManager

from plait_line import LineCalls
from test_line import TestLine, line_stage

from plait.model.json import JsonValue
from plait.ports.calls import Call, CallReply
from plait.testing.calls_suite import Stage


class Deaf(LineCalls):
    """Goes on when nobody waits any more."""

    async def answer(self, call: Call) -> JsonValue | CallReply:
        try:
            said: JsonValue = await super().answer(call)
        except asyncio.CancelledError:
            return None
        return said


class TestDeaf(TestLine):
    """Fails."""

    def stage(self) -> AbstractAsyncContextManager[Stage]:
        return line_stage(Deaf)
