"""One call awaited: its outcome, whenever it is told, and its end when nobody waits."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest

from plait.drivers.outcome import outcome_of
from plait.model.failure import Failure
from plait.ports.calls import Call, CallReply, Done, Outcome

CALL = Call(
    kind="http",
    request={},
    host_is_literal=True,
    timeout_ms=1_000,
    idempotency_key=None,
    headers_wanted=(),
    execution_id="e1",
    step="get",
    attempt=1,
)
REPLY = CallReply({"by": 1}, {})


class OneCall:
    """A call under way, told by hand; `at_once`: its outcome, told before it is started."""

    def __init__(self, at_once: Outcome | None = None) -> None:
        self._at_once = at_once
        self.begun = asyncio.Event()
        self.is_cancelled = False

    def start(self, call: Call, done: Done) -> OneCall:
        assert call is CALL
        self.done = done
        self.begun.set()
        if self._at_once is not None:
            done(self._at_once)
        return self

    def cancel(self) -> None:
        self.is_cancelled = True


@pytest.mark.parametrize("told", [REPLY, Failure("a.b", "no")], ids=["reply", "failure"])
async def test_an_outcome_that_is_told_before_the_call_has_begun_is_heard(
    told: Outcome,
) -> None:
    assert await outcome_of(OneCall(told).start, CALL) is told


async def test_an_outcome_that_is_told_later_is_waited_for() -> None:
    one = OneCall()
    waiting = asyncio.create_task(outcome_of(one.start, CALL))
    await one.begun.wait()
    assert not waiting.done()
    one.done(REPLY)
    assert await waiting is REPLY
    assert not one.is_cancelled


async def test_who_waits_no_longer_cancels_the_call() -> None:
    one = OneCall()
    waiting = asyncio.create_task(outcome_of(one.start, CALL))
    await one.begun.wait()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert one.is_cancelled


async def test_an_outcome_that_crosses_the_cancelling_is_nobodys() -> None:
    one = OneCall()
    waiting = asyncio.create_task(outcome_of(one.start, CALL))
    await one.begun.wait()
    waiting.cancel()
    one.done(REPLY)  # the call has not heard of it yet; this must not raise in it
    with suppress(asyncio.CancelledError):
        await waiting
    assert waiting.cancelled()
    assert one.is_cancelled
