"""Upstreams that fail, hang and dawdle, and count every call that reaches them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from plait.ports.calls import Call, CallHandle, CallReply, Done, Outcome
from plait.testing.durable.faults import Fate, Fault
from plait.testing.durable.ledger import Ledger
from plait.testing.script import HANG, Answer, Script, answer_to, error

if TYPE_CHECKING:
    from plait.testing.durable.worker import Worker


class Upstreams:
    """What all workers call. What it is asked for happens, whoever dies of it."""

    def __init__(self, fate: Fate, ledger: Ledger, script: Script) -> None:
        self._lot = fate.lot("upstreams")
        self._ledger = ledger
        self._script = script

    def answer(self, worker_id: str, call: Call) -> Answer:
        """Take in a call; return what it will be answered, and after how long."""
        self._ledger.called(worker_id, call)
        script = self._script
        if self._lot.falls(Fault.UPSTREAM_FAILED):
            script = _always(error("connector.http.503", after_ms=3))
        elif self._lot.falls(Fault.UPSTREAM_HUNG):
            script = _always(HANG)
        elif not self._lot.falls(Fault.UPSTREAM_SLOW):
            return answer_to(script, call)
        self._ledger.disturbed(call.execution_id)
        answer = answer_to(script, call)
        assert answer.after_ms is not None
        after_ms = answer.after_ms + int(self._lot.seconds(0, 800))
        return Answer(answer.response, answer.facts, answer.failure, after_ms)

    def is_deadly(self, worker_id: str, call: Call) -> bool:
        """Tell whether whoever makes this call dies of it, also when it is calm."""
        if call.execution_id not in self._ledger.deadly:
            return False
        if self._ledger.killed(worker_id, call):
            self._lot.fate.fired[Fault.DEADLY] += 1
            return True
        return False


def _always(answer: Answer) -> Callable[[Call], Answer]:
    return lambda _: answer


class WorkerCalls:
    """One worker's way to the upstreams. Implements plait.ports.calls.Calls."""

    def __init__(self, worker: Worker, upstreams: Upstreams) -> None:
        self._worker = worker
        self._upstreams = upstreams
        self._lot = worker.lot

    def start(self, call: Call, done: Done) -> CallHandle:
        """See plait.ports.calls.Calls. What a frozen worker asks for, it asks later."""
        under_way = _UnderWay(self._worker, done)
        if self._lot.falls(Fault.CRASH_BEFORE_CALL):
            self._worker.die()
        self._worker.when_awake(lambda: self._send(call, under_way))
        return under_way

    def _send(self, call: Call, under_way: _UnderWay) -> None:
        if under_way.is_cancelled:
            return
        answer = self._upstreams.answer(self._worker.worker_id, call)
        outcome = answer.failure or CallReply(answer.response, answer.facts)
        assert answer.after_ms is not None
        loop = asyncio.get_running_loop()
        loop.call_later(answer.after_ms / 1000, under_way.arrive, outcome)
        is_deadly = self._upstreams.is_deadly(self._worker.worker_id, call)
        if is_deadly or self._lot.falls(Fault.CRASH_AFTER_CALL):
            self._worker.die()

    async def close(self) -> None:
        """Nothing to close."""


class _UnderWay:
    """A call under way, as its worker sees it."""

    def __init__(self, worker: Worker, done: Done) -> None:
        self._worker = worker
        self._done = done
        self.is_cancelled = False

    def cancel(self) -> None:
        self.is_cancelled = True

    def arrive(self, outcome: Outcome) -> None:
        self._worker.when_awake(lambda: self._tell(outcome))

    def _tell(self, outcome: Outcome) -> None:
        if not self.is_cancelled:
            self._done(outcome)
