"""Hedged calls: a second one when the first is slow.

Rule 1. The first that succeeds is the outcome; the others are cancelled. One that fails
        leaves it to those under way. When all have failed, the first that was sent tells
        why.
Rule 2. All have the time of one attempt together.
Rule 3. What is recorded is the outcome, with a note of how it came about: a replay asks
        neither a clock nor how fast others were.

Not here: when a call is slow, how many hedges there may be (plait.resilience.hedge).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import TypeAlias

from plait.drivers.policies.verdicts import noted
from plait.model.failure import Failure
from plait.model.json import JsonObject, JsonValue
from plait.ports.calls import Call, CallHandle, CallReply, Done, Outcome
from plait.resilience import Hedge

# Starts one of the calls; the flag is true for all but the first.
Start: TypeAlias = Callable[[Call, Done, bool], CallHandle]


class HedgedCall:
    """One attempt, made by several calls if need be.

    Args:
        start: Starts one of them.
        hedge: What is known of the upstream.
        pay: Tells whether the upstream can bear another call.
    """

    __slots__ = (
        "_begun_at",
        "_call",
        "_count",
        "_done",
        "_failure",
        "_handles",
        "_hedge",
        "_is_over",
        "_open",
        "_pay",
        "_start",
        "_timer",
    )

    def __init__(
        self, call: Call, done: Done, start: Start, hedge: Hedge, pay: Callable[[], bool]
    ) -> None:
        self._call = call
        self._done = done
        self._start = start
        self._hedge = hedge
        self._pay = pay
        self._begun_at = asyncio.get_running_loop().time()
        self._count = 0
        self._open: set[int] = set()
        self._handles: dict[int, CallHandle] = {}
        self._failure: Failure | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._is_over = False

    def begin(self) -> None:
        """Make the first call."""
        self._hedge.requested()
        self._make(self._call)
        self._wait()

    def cancel(self) -> None:
        """See plait.ports.calls.CallHandle."""
        self._is_over = True
        self._stop()

    def _make(self, call: Call) -> None:
        number = self._count
        self._count += 1
        self._open.add(number)
        handle = self._start(call, lambda outcome: self._hear(number, outcome), number > 0)
        if number in self._open:
            self._handles[number] = handle

    def _wait(self) -> None:
        delay_s = self._hedge.delay_s
        if self._is_over or delay_s is None or self._count > self._hedge.max_hedges:
            return
        self._timer = asyncio.get_running_loop().call_later(delay_s, self._next)

    def _next(self) -> None:
        """Nobody has answered: make another call, if that may be."""
        self._timer = None
        left_ms = self._call.timeout_ms - self._took_ms()
        # One that failed was not slow: whether it is made again is for a retry to say.
        if self._failure is not None or left_ms <= 0:
            return
        if self._pay() and self._hedge.try_hedge():
            self._make(replace(self._call, timeout_ms=left_ms))
            self._wait()

    def _hear(self, number: int, outcome: Outcome) -> None:
        if self._is_over:
            return
        self._open.discard(number)
        self._handles.pop(number, None)
        if isinstance(outcome, CallReply):
            took_s = self._took_ms() / 1000
            self._hedge.answered(took_s, by_hedge=number > 0)
            self._end(outcome, number)
            return
        # One that a policy has refused says nothing of the upstream, which the others ask.
        if self._failure is None or (outcome.sent and not self._failure.sent):
            self._failure = outcome
        if not self._open:
            self._end(self._failure, None)

    def _end(self, outcome: Outcome, number: int | None) -> None:
        self._is_over = True
        self._stop()
        self._done(_told(outcome, self._count, number) if self._count > 1 else outcome)

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for handle in self._handles.values():
            handle.cancel()
        self._handles.clear()

    def _took_ms(self) -> int:
        return round((asyncio.get_running_loop().time() - self._begun_at) * 1000)


def _told(outcome: Outcome, count: int, number: int | None) -> Outcome:
    """Return an outcome that tells of the calls it is of, and which one answered."""
    answered = None if number is None else number + 1
    note: JsonObject = {"policy": "hedge", "calls": count, "answered": answered}
    if isinstance(outcome, CallReply):
        return replace(outcome, notes=(*outcome.notes, note))
    before: JsonValue = (outcome.details or {}).get("policies")
    return noted(outcome, [*(before if isinstance(before, list) else ()), note])
