"""Connectors of other packages: the port of calls, for who would rather write a coroutine.

>>> import asyncio
>>> from plait.testing.calls_suite import call_to, outcome_of
>>> class Echo(CoroutineCalls):
...     async def answer(self, call):
...         return {"said": call.request["text"]}
>>> async def ask():
...     calls = Echo("echo")
...     try:
...         return await outcome_of(calls, call_to({"text": "hi"}))
...     finally:
...         await calls.close()
>>> asyncio.run(ask()).response
{'said': 'hi'}

Rule 1. Each call is a task. Its time is kept here, and it is cancelled when the time is
        over, when the call is, and when the connector is closed.
Rule 2. What it raises becomes a failure. A ConnectorError keeps its code; of anything else
        only the type is told: its text may hold what was sent.
"""

from __future__ import annotations

import asyncio
from typing import Any

from plait.connectors.egress import ConnectorError
from plait.model.duration import format_ms
from plait.model.errors import Advice
from plait.model.json import JsonValue
from plait.ports.calls import Call, CallHandle, CallReply, Done, Outcome
from plait.ports.plugins import RAISED_BY_OTHERS


class TimedOut(ConnectorError):
    """The call's time was up."""

    code = "connector.timeout"
    advice = Advice.RETRY
    classes = ("timeout",)


class Unforeseen(ConnectorError):
    """A fault of the connector itself, or of a library; the text names its type only."""

    code = "connector.failed"


class ShutDown(ConnectorError):
    """The connector was closed; it makes no more calls."""

    code = "connector.closed"
    advice = Advice.RETRY


class CoroutineCalls:
    """Performs calls by a coroutine: subclass it, and write `answer`.

    Args:
        name: The step type, for messages.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._under_way: set[asyncio.Task[None]] = set()
        self._is_closed = False

    def check(self, call: Call) -> None:
        """Refuse a call that cannot be made, before anything is sent.

        Raises:
            ConnectorError: Why: InvalidRequest, say.
        """

    async def answer(self, call: Call) -> JsonValue | CallReply:
        """Make a call; return its response, or a reply with facts beside it.

        Cancelled when nobody waits for it any more: let go of what it holds.

        Raises:
            ConnectorError: It failed; the class says how, and whether to try again.
        """
        raise NotImplementedError

    async def release(self) -> None:
        """Let go of what all calls share; no call is under way any more."""

    def start(self, call: Call, done: Done) -> CallHandle:
        """Begin `call`. See plait.ports.calls.Calls."""
        try:
            if self._is_closed:
                raise ShutDown(f"the {self.name} connector is shut down")
            self.check(call)
        except RAISED_BY_OTHERS as error:
            done(_failure(self.name, error, sent=False))
            return _Handle(None)
        task = asyncio.get_running_loop().create_task(self._made(call, done))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)
        return _Handle(task)

    async def _made(self, call: Call, done: Done) -> None:
        done(await self._outcome(call))

    async def _outcome(self, call: Call) -> Outcome:
        limit = asyncio.timeout(call.timeout_ms / 1000)
        try:
            async with limit:
                found: Any = await self.answer(call)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            # The connector's own: something that it awaited was cancelled, this call not.
            return _failure(self.name, asyncio.CancelledError(), sent=True)
        except RAISED_BY_OTHERS as error:
            if not limit.expired():
                return _failure(self.name, error, sent=True)
            text = f"{self.name} gave no answer within {format_ms(call.timeout_ms)}"
            return TimedOut(text).as_failure(sent=True)
        return found if isinstance(found, CallReply) else CallReply(found, {})

    async def close(self) -> None:
        """Cancel what is under way, and let go of what is shared; later calls fail."""
        self._is_closed = True
        tasks = list(self._under_way)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self.release()


def _failure(name: str, error: BaseException, *, sent: bool) -> Outcome:
    if not isinstance(error, ConnectorError):
        what = type(error).__name__
        error = Unforeseen(f"the {name} connector failed inside ({what})")
    return error.as_failure(sent=sent)


class _Handle:
    def __init__(self, task: asyncio.Task[None] | None) -> None:
        self._task = task

    def cancel(self) -> None:
        """See plait.ports.calls.CallHandle."""
        if self._task is not None:
            self._task.cancel()
