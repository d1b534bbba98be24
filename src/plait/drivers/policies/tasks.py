"""Calls that need a task: those whose answer comes from something that is waited for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from plait.drivers.children import timed_out
from plait.drivers.outcome import Start, outcome_of
from plait.model.errors import Advice
from plait.model.failure import Failure
from plait.ports.calls import Call, CallReply, Done, Outcome


class CallFailed(Exception):
    """A call further in has failed."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.code)
        self.failure = failure


async def made(start: Start, call: Call) -> CallReply:
    """Make a call, and return its reply. Cancelled, it cancels the call.

    Raises:
        CallFailed: It has failed.
    """
    outcome = await outcome_of(start, call)
    if isinstance(outcome, Failure):
        raise CallFailed(outcome)
    return outcome


def patience_ms(call: Call) -> int:
    """Return the longest that a call may take, waiting in line included."""
    asked = call.policies
    if asked is None or asked.policies is None:
        return call.timeout_ms
    if asked.left_ms is not None:
        return asked.left_ms
    lines = asked.policies.rate_limit, asked.policies.bulkhead
    return call.timeout_ms + sum(one.queue_ms for one in lines if one is not None)


class TaskCall:
    """One call whose answer a task waits for, no longer than the call's own time."""

    __slots__ = ("_deadline", "_done", "_task", "call")

    def __init__(self, call: Call, done: Done) -> None:
        self.call = call
        self._done = done
        self._task: asyncio.Task[None] | None = None
        self._deadline: asyncio.TimerHandle | None = None

    def run(self, answer: Callable[[], Coroutine[Any, Any, CallReply]]) -> None:
        """Wait for the answer in the background, and tell of it."""
        loop = asyncio.get_running_loop()
        left_s = patience_ms(self.call) / 1000
        self._deadline = loop.call_later(left_s, self._give_up)
        self._task = loop.create_task(self._tell(answer))

    def trust(self) -> None:
        """Wait as long as the call further in takes: that has the same time."""
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def tell(self, outcome: Outcome) -> None:
        """Be done."""
        self._task = None
        self.cancel()
        self._done(outcome)

    def cancel(self) -> None:
        """See plait.ports.calls.CallHandle."""
        self.trust()
        if self._task is not None:
            self._task.cancel()
            self._task = None

    async def _tell(self, answer: Callable[[], Coroutine[Any, Any, CallReply]]) -> None:
        try:
            # Called here: who is cancelled before the first turn leaves nothing unawaited.
            outcome: Outcome = await answer()
        except CallFailed as error:
            outcome = error.failure
        except Exception as error:  # or who waits for the call would wait for ever
            text = f"the call's policies failed inside ({type(error).__name__})"
            outcome = Failure("internal", text, advice=Advice.REPORT, sent=False)
        self.tell(outcome)

    def _give_up(self) -> None:
        self.cancel()
        self._done(timed_out(self.call))
