"""Calls under their policies: the port of calls, around the port of calls.

Rule 1. No task per call: gates that need not wait are asked at once, and a call that
        nothing stands around is passed on as it is.
Rule 2. Whatever a call took from a gate it gives back once: when it is heard of, when it is
        cancelled, or when a gate further in refuses it.
Rule 3. Only calls that are made now ask. What a history tells of was decided before, so a
        replay asks nobody.
Rule 4. Waiting counts against the time of all attempts together, not of this one.

Not here: what the policies are (plait.resilience), retries (plait.kernel.retry).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import replace
from functools import partial
from typing import TypeAlias

from plait.drivers.children import timed_out
from plait.drivers.closing import close_all
from plait.drivers.policies.batched import Batches
from plait.drivers.policies.cached import Answers, CachedCall, key_of
from plait.drivers.policies.gates import End, Gate, Given, Token
from plait.drivers.policies.hedged import HedgedCall
from plait.drivers.policies.once import Onces
from plait.drivers.policies.shared import Shared
from plait.drivers.policies.verdicts import (
    is_uncalled,
    no_budget,
    noted,
    refused,
    speaks_against,
    unpaid,
)
from plait.kernel.backoff import is_retryable
from plait.model.errors import Advice
from plait.model.failure import Failure
from plait.model.json import JsonObject, JsonValue
from plait.plan import RetryBudget as BudgetPolicy
from plait.ports.calls import Call, CallHandle, CallReply, Calls, Done, Outcome, lacks_of
from plait.resilience import ResilienceError, RetryBudget

# From a call to whom it goes: `http://orders:8080`. Empty: nobody can tell.
UpstreamOf: TypeAlias = Callable[[Call], str]

_DEFAULT_BUDGET = BudgetPolicy()


class PolicedCalls:
    """Performs calls through `calls`, each under the policies of its step.

    Args:
        calls: Makes them.
        upstream_of: Tells whose policies a call is under.
        shared: The policies of the process.
        answers: Its cached answers.
        onces: Its calls that are made once.
        on_close: Awaited last: closes what the policies are shared through.
    """

    def __init__(
        self,
        calls: Calls,
        upstream_of: UpstreamOf,
        shared: Shared | None = None,
        answers: Answers | None = None,
        onces: Onces | None = None,
        on_close: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self._calls = calls
        self.lacks = lacks_of(calls)
        self._upstream_of = upstream_of
        self._on_close = on_close
        self._batches = Batches()
        self._in_line: set[_Attempt] = set()
        self._answers = answers if answers is not None else Answers()
        self._onces = onces if onces is not None else Onces()
        self.shared = shared if shared is not None else Shared()

    def start(self, call: Call, done: Done) -> CallHandle:
        """See plait.ports.calls.Calls."""
        asked = call.policies
        if asked is None:
            return self._calls.start(call, done)
        upstream = self._upstream_of(call)
        if not upstream:
            # The connector knows what is wrong with it.
            return self._calls.start(call, done)
        cache = asked.policies.cache if asked.policies is not None else None
        key = None if cache is None else key_of(call, asked, cache)
        if cache is None or key is None:
            return self._inside(upstream, call, done)
        cached = CachedCall(call, done, partial(self._inside, upstream))
        cached.begin(self._answers.of(cache), key)
        return cached

    def _inside(self, upstream: str, call: Call, done: Done) -> CallHandle:
        """Make a call that no cache answers: once, where it is to be made once."""
        asked = call.policies
        once = asked.policies.once if asked is not None and asked.policies else None
        if once is None or call.idempotency_key is None:
            return self._together(upstream, call, done)
        return self._onces.start(once, call, done, partial(self._together, upstream))

    def _together(self, upstream: str, call: Call, done: Done) -> CallHandle:
        """Make a call with others, or by itself."""
        asked = call.policies
        batch = asked.policies.batch if asked is not None and asked.policies else None
        if batch is None:
            return self._attempt(upstream, call, done)
        return self._batches.start(batch, call, done, partial(self._attempt, upstream))

    def _attempt(self, upstream: str, call: Call, done: Done) -> CallHandle:
        asked = call.policies
        assert asked is not None
        given = asked.policies.hedge if asked.policies is not None else None
        if given is None:
            return self._one(upstream, call, done, False)
        hedge = self.shared.hedge(upstream, call.tenant, given)
        budget = self._budget(upstream, call)
        # A hedge is one call more for an upstream that may be down: as a retry is.
        pay = budget.try_retry if budget is not None else _freely
        hedged = HedgedCall(call, done, partial(self._one, upstream), hedge, pay)
        hedged.begin()
        return hedged

    def _one(self, upstream: str, call: Call, done: Done, is_hedge: bool) -> CallHandle:
        asked = call.policies
        assert asked is not None
        budget = None if is_hedge else self._budget(upstream, call)
        attempt = _Attempt(self._calls, call, done, budget, self._in_line)
        try:
            gates = self.shared.gates(upstream, call.tenant, asked)
            attempt.begin(upstream, gates)
        except ResilienceError as error:  # there is no room for the upstream's gates
            done(refused(error))
        return attempt

    def _budget(self, upstream: str, call: Call) -> RetryBudget | None:
        asked = call.policies
        assert asked is not None
        given = asked.retry.budget if asked.retry is not None else None
        if asked.is_again and asked.retry is None:
            given = _DEFAULT_BUDGET
        return None if given is None else self.shared.budget(upstream, call.tenant, given)

    def snapshot(self) -> JsonObject:
        """Return what the policies hold now and did so far, for metrics."""
        others = {
            "cache": self._answers.snapshot(),
            "idempotency_key": self._onces.snapshot(),
            "batch": self._batches.snapshot(),
        }
        return {
            **self.shared.snapshot(),
            **{policy: told for policy, told in others.items() if told},
        }

    async def close(self) -> None:
        """See plait.ports.calls.Calls."""
        for attempt in list(self._in_line):
            attempt.cancel()
        last = () if self._on_close is None else (self._on_close,)
        own = self._onces.close, self._answers.close, self._calls.close
        await close_all(*own, *last)


def _freely() -> bool:
    return True


class _Attempt:
    """One call under policies, from the outermost gate to its outcome."""

    __slots__ = (
        "_asked",
        "_budget",
        "_call",
        "_calls",
        "_deadline",
        "_done",
        "_gates",
        "_handle",
        "_held",
        "_in_line",
        "_is_over",
        "_notes",
        "_waiting",
        "_waits_since",
    )

    def __init__(
        self,
        calls: Calls,
        call: Call,
        done: Done,
        budget: RetryBudget | None,
        in_line: set[_Attempt],
    ) -> None:
        assert call.policies is not None
        self._calls = calls
        self._call = call
        self._asked = call.policies
        self._done = done
        self._budget = budget
        self._in_line = in_line
        self._gates: Iterator[tuple[Gate, Given]] = iter(())
        self._held: list[tuple[Gate, Token]] = []
        self._notes: list[JsonValue] = []
        self._handle: CallHandle | None = None
        self._waiting: asyncio.Task[None] | None = None
        self._deadline: asyncio.TimerHandle | None = None
        self._waits_since = 0.0
        self._is_over = False

    def begin(self, upstream: str, gates: Iterable[tuple[Gate, Given]]) -> None:
        """Go through the gates, and make the call as soon as all have let it through."""
        if not self._is_paid():
            self._end(no_budget(upstream))
            return
        self._gates = iter(gates)
        self._go_on()

    def cancel(self) -> None:
        """See plait.ports.calls.CallHandle."""
        if self._is_over:
            return
        self._is_over = True
        self._stop_waiting()
        if self._handle is not None:
            self._handle.cancel()
        self._leave(None)

    def _is_paid(self) -> bool:
        """Tell whether a call of a further round may be made: it is a retry."""
        is_first = self._call.attempt == 1
        if self._budget is None or not (self._asked.is_again and is_first):
            return True
        return self._budget.try_retry()

    def _go_on(self) -> None:
        try:
            for gate, given in self._gates:
                token = gate.try_enter(given)
                if token is None:
                    self._wait(gate, given)
                    return
                self._held.append((gate, token))
        except ResilienceError as error:
            self._end(refused(error))
            return
        self._make()

    def _wait(self, gate: Gate, given: Given) -> None:
        loop = asyncio.get_running_loop()
        if not self._waits_since:
            self._waits_since = time.monotonic()
        left_ms = self._asked.left_ms
        if left_ms is not None and self._deadline is None:
            self._deadline = loop.call_later(left_ms / 1000, self._give_up)
        self._in_line.add(self)
        self._waiting = loop.create_task(self._entered(gate, given))

    async def _entered(self, gate: Gate, given: Given) -> None:
        begun_at = time.monotonic()
        try:
            token = await gate.enter(given)
        except ResilienceError as error:
            self._waiting = None
            self._end(refused(error))
            return
        except Exception as error:
            self._waiting = None
            self._end(_broken(gate, error))
            return
        self._waiting = None
        self._held.append((gate, token))
        waited_ms = round((time.monotonic() - begun_at) * 1000)
        if gate.told_from_ms is not None and waited_ms >= gate.told_from_ms:
            self._notes.append({"policy": gate.policy, "waited_ms": waited_ms})
        self._go_on()

    def _give_up(self) -> None:
        """The time of all attempts is over while this one still waits."""
        self._end(timed_out(self._call))

    def _make(self) -> None:
        call = self._in_time()
        if call is None:
            self._give_up()
            return
        self._stop_waiting()
        if self._budget is not None and call.attempt == 1 and not self._asked.is_again:
            self._budget.requested()
        handle = self._calls.start(call, self._hear)
        if not self._is_over:
            self._handle = handle

    def _in_time(self) -> Call | None:
        """Return the call with what is left of its time; None: nothing is."""
        left_ms = self._asked.left_ms
        if not self._waits_since or left_ms is None:
            return self._call
        left_ms -= round((time.monotonic() - self._waits_since) * 1000)
        if left_ms <= 0:
            return None
        return replace(self._call, timeout_ms=min(self._call.timeout_ms, left_ms))

    def _hear(self, outcome: Outcome) -> None:
        if self._is_over:
            return
        told = outcome
        if self._budget is not None:
            if not isinstance(outcome, Failure) or not speaks_against(outcome):
                self._budget.succeeded()
            elif not self._is_payable(outcome, self._budget):
                told = unpaid(outcome)
        self._end(told, outcome)

    def _is_payable(self, failure: Failure, budget: RetryBudget) -> bool:
        """Tell whether the retry that follows is paid for, if one follows at all."""
        retry, call = self._asked.retry, self._call
        if retry is None or call.attempt >= retry.attempts_max or is_uncalled(failure):
            return True
        return not is_retryable(failure, retry, call.effect) or budget.try_retry()

    def _end(self, outcome: Outcome, end: End = None) -> None:
        """Be done. `end` is what the call came to; None: it was not made."""
        if self._is_over:
            return
        self._is_over = True
        self._stop_waiting()
        self._leave(end)
        if self._notes:
            outcome = _with_notes(outcome, self._notes)
        self._done(outcome)

    def _leave(self, end: End) -> None:
        while self._held:
            gate, token = self._held.pop()
            gate.leave(token, end)

    def _stop_waiting(self) -> None:
        self._in_line.discard(self)
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None


def _with_notes(outcome: Outcome, notes: list[JsonValue]) -> Outcome:
    if isinstance(outcome, CallReply):
        return replace(outcome, notes=tuple(notes))
    return noted(outcome, notes)


def _broken(gate: Gate, error: Exception) -> Failure:
    """Return the failure of a policy that fails itself: nothing was called."""
    text = f"the {gate.policy} cannot be asked: {type(error).__name__}"
    return Failure("internal", text, advice=Advice.REPORT, sent=False)
