"""The python connector keeps the contract of the Calls port, on both event loops."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import pytest

from plait.connectors.python import Functions, PythonCalls, StepError
from plait.model.json import JsonValue
from plait.ports.calls import Call
from plait.testing.calls_suite import CallsSuite, LoopFactory, Stage, call_to
from tests.unit.connectors.scenes import LOOPS


async def echo(value: JsonValue) -> JsonValue:
    return value


def echo_in_a_thread(value: JsonValue) -> JsonValue:
    return value


def refuse() -> None:
    raise StepError("connector.refused", "no")


class PythonStage:
    """Functions that answer, refuse or hang."""

    def __init__(self, echo_name: str) -> None:
        functions = Functions(
            {
                "echo": echo,
                "echo_in_a_thread": echo_in_a_thread,
                "refuse": refuse,
                "hang": self._hang,
            }
        )
        self.calls = PythonCalls(functions)
        self._echo = echo_name
        self._taken = 0
        self._hanging = 0

    async def _hang(self) -> None:
        self._taken += 1
        self._hanging += 1
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            self._hanging -= 1

    def answered(self, value: JsonValue) -> Call:
        return call_to({"function": self._echo, "arguments": [value]})

    def refused(self) -> Call:
        return call_to({"function": "refuse"})

    def unanswered(self, *, timeout_ms: int) -> Call:
        return call_to({"function": "hang"}, timeout_ms=timeout_ms)

    async def until_taken(self, count: int) -> None:
        while self._taken < count:
            await asyncio.sleep(0)

    async def until_free(self) -> None:
        while self._hanging:
            await asyncio.sleep(0)


class TestPythonCalls(CallsSuite):
    @pytest.fixture(params=list(LOOPS))
    def loop_factory(self, request: pytest.FixtureRequest) -> LoopFactory:
        return LOOPS[request.param]

    def stage(self) -> AbstractAsyncContextManager[Stage]:
        return stage("echo")


class TestPythonCallsInThreads(CallsSuite):
    def stage(self) -> AbstractAsyncContextManager[Stage]:
        return stage("echo_in_a_thread")


@asynccontextmanager
async def stage(echo_name: str) -> AsyncIterator[Stage]:
    on_stage = PythonStage(echo_name)
    yield on_stage
    await on_stage.calls.close()
