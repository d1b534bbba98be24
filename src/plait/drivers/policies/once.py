"""Calls that are made once: what is asked for twice under one idempotency key is done once.

Rule 1. A key is claimed before its call begins. Who comes meanwhile waits, no longer than
        its own time, and is given the reply; who comes later is given it again.
Rule 2. A call that failed, or whose caller left, is no answer: the claim is given back, and
        the next attempt calls. Those of this process who waited with a failed call have
        failed with it; where its caller left, the first of them calls.
Rule 3. A claim is its execution's and step's: who comes back after a crash takes its own
        claim again. That of another process that died expires by itself.
Rule 4. A key stands for one request of one tenant and one step, and of one trust: what the
        operator's own words were answered is not replayed to a document of an API. Headers
        are no part of a request: tokens change.
Rule 5. While the store does not answer nothing is called: nobody could tell what was.

Not here: keeping claims and replies (plait.resilience.idempotency).
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import Counter
from collections.abc import Coroutine, Mapping
from dataclasses import replace
from typing import Any, Final

from plait.drivers.outcome import Start
from plait.drivers.policies.resting import ReplyCodec
from plait.drivers.policies.tasks import CallFailed, TaskCall, made
from plait.drivers.policies.verdicts import refused
from plait.model.errors import Advice
from plait.model.failure import Failure
from plait.model.json import JsonObject, canonical_bytes
from plait.plan import OncePolicy
from plait.ports.calls import Call, CallHandle, CallReply, Done
from plait.resilience import IdempotencyUnavailable, ResilienceError
from plait.resilience.flights import Flights
from plait.resilience.idempotency import (
    IdempotencyStore,
    MemoryIdempotencyStore,
    Record,
    State,
)

REPLIES_BYTES_MAX: Final = 64 * 1024 * 1024
# Less than the 30 s that a call has by default: who waits for one that died calls in time.
_CLAIM_S: Final = 10.0
_RENEWALS: Final = 3
_POLL_S_MIN: Final = 0.02
_POLL_S_MAX: Final = 0.5
_OUTCOMES: Final = ("called", "replayed", "shared", "conflicts", "unkept", "unanswered")


class Onces:
    """The calls of one process that are made once.

    Args:
        store: None: so many bytes in memory.
        secrets: What is masked in the replies that others are given.
    """

    def __init__(
        self,
        store: IdempotencyStore | None = None,
        secrets: Mapping[str, str] | None = None,
        *,
        claim_s: float = _CLAIM_S,
    ) -> None:
        self.store: IdempotencyStore = (
            MemoryIdempotencyStore(bytes_max=REPLIES_BYTES_MAX) if store is None else store
        )
        self.codec = ReplyCodec(secrets or {})
        self.claim_s = claim_s
        self.flights = Flights()
        self.counts: Counter[str] = Counter()
        self.running: set[asyncio.Task[object]] = set()
        self.writing: set[asyncio.Task[bool | None]] = set()

    def start(self, policy: OncePolicy, call: Call, done: Done, start: Start) -> CallHandle:
        """Make a call, unless one was made under its key: then give the reply of that."""
        once = _OnceCall(self, policy, call, done, start)
        once.run(once.answer)
        return once

    async def told(self, asking: Coroutine[Any, Any, bool | None]) -> bool | None:
        """Return what the store says to something it is told; None: it does not answer."""
        try:
            return await asking
        except Exception:
            self.counts["unanswered"] += 1
            return None

    def snapshot(self) -> JsonObject:
        """Return what was done with calls under keys; empty: there were none."""
        if not self.counts and not self.flights.shared:
            return {}
        told: JsonObject = {one: self.counts[one] for one in _OUTCOMES}
        told["shared"] = self.flights.shared
        if isinstance(self.store, MemoryIdempotencyStore):
            told["bytes"] = self.store.used_bytes
        return {"replies": told}

    async def close(self) -> None:
        """Cancel what is under way, and give its claims back."""
        for task in self.running:
            task.cancel()
        while left := {*self.running, *self.writing}:
            await asyncio.wait(left)
        await self.store.aclose()


class _OnceCall(TaskCall):
    """One call that may have been made already."""

    __slots__ = (
        "_age_ms",
        "_did",
        "_has_waited",
        "_key",
        "_owner",
        "_policy",
        "_request",
        "_start",
        "_to",
    )

    def __init__(
        self, to: Onces, policy: OncePolicy, call: Call, done: Done, start: Start
    ) -> None:
        super().__init__(call, done)
        self._to = to
        self._policy = policy
        self._start = start
        self._key = self._request = ""
        self._owner = f"{call.execution_id}/{call.step}"
        self._did = "shared"
        self._has_waited = False
        self._age_ms: int | None = None

    async def answer(self) -> CallReply:
        """Return the reply of the call that is made under the key."""
        task = asyncio.current_task()
        assert task is not None
        self._to.running.add(task)
        call = self.call
        said = {key: value for key, value in call.request.items() if key != "headers"}
        whose = call.tenant, call.host_is_literal
        self._key = _hash(*whose, self._policy.scope, call.idempotency_key)
        self._request = _hash(call.kind, said)
        try:
            place = self._key + self._request
            self._has_waited = place in self._to.flights
            reply: CallReply = await self._to.flights.call(place, self._lead)
        finally:
            self._to.running.discard(task)
        if not self._did:
            return reply
        note: JsonObject = {"policy": "idempotency_key", "did": self._did}
        if self._age_ms is not None:
            note["age_ms"] = self._age_ms
        # The notes of another's reply are of the call that brought it.
        own = reply.notes if self._did == "unkept" else ()
        return replace(reply, notes=(*own, note))

    async def _lead(self, flight: object) -> CallReply:
        """Make the call for all of this process who ask, or find what it came to."""
        del flight
        self._did = ""
        try:
            record = await self._claimed()
            if record.state is State.BEGUN:
                self._to.counts["called"] += 1
                reply = await self._made()
        except BaseException:
            # Should the store not hear of it, the claim expires by itself.
            await self._to.told(self._to.store.release(self._key, self._owner))
            raise
        if record.state is State.BEGUN:
            return await self._kept(reply)
        self._to.counts["replayed"] += 1
        self._did = "replayed"
        self._age_ms = max(0, self._policy.keep_ms - round(record.left_s * 1000))
        return self._to.codec.decode(record.data)

    async def _claimed(self) -> Record:
        """Return BEGUN when the call is to be made, or how it ended elsewhere."""
        pause_s = _POLL_S_MIN
        while True:
            record = await self._asked()
            if record.request != self._request:
                self._to.counts["conflicts"] += 1
                raise CallFailed(_conflict(self.call))
            if record.state is not State.PENDING:
                if record.state is State.BEGUN and not self._has_waited:
                    self.trust()
                return record
            self._has_waited = True
            await asyncio.sleep(min(pause_s, max(record.left_s, _POLL_S_MIN)))
            pause_s = min(2 * pause_s, _POLL_S_MAX)

    async def _asked(self) -> Record:
        claim = self._key, self._owner, self._request, self._to.claim_s
        try:
            return await self._to.store.begin(*claim)
        except ResilienceError as error:
            raised = error
        except Exception as error:
            text = f"the store of keys does not answer ({type(error).__name__})"
            raised = IdempotencyUnavailable(f"{text}; nothing was called")
        self._to.counts["unanswered"] += 1
        raise CallFailed(refused(raised))

    async def _made(self) -> CallReply:
        renewing = asyncio.get_running_loop().create_task(self._renew())
        try:
            return await made(self._start, self.call)
        finally:
            renewing.cancel()

    async def _renew(self) -> None:
        """Keep the claim while the call runs; a store that fails is asked again."""
        while True:
            await asyncio.sleep(self._to.claim_s / _RENEWALS)
            extending = self._to.store.extend(self._key, self._owner, self._to.claim_s)
            await self._to.told(extending)

    async def _kept(self, reply: CallReply) -> CallReply:
        """Write down what the call came to, also when its caller leaves now."""
        data = self._to.codec.encode(reply)
        keep_s = self._policy.keep_ms / 1000
        written = self._to.store.finish(
            self._key, self._owner, State.COMPLETED, data, keep_s
        )
        writing = asyncio.get_running_loop().create_task(self._to.told(written))
        self._to.writing.add(writing)
        writing.add_done_callback(self._to.writing.discard)
        if not await asyncio.shield(writing):
            self._to.counts["unkept"] += 1
            self._did = "unkept"
        return reply


def _conflict(call: Call) -> Failure:
    text = "the idempotency key stands for another request; nothing was called"
    details: JsonObject = {"step": call.step}
    code = "resilience.idempotency_conflict"
    return Failure(code, text, details, advice=Advice.FIX_REQUEST, sent=False)


def _hash(*parts: Any) -> str:
    return hashlib.sha256(canonical_bytes([*parts])).hexdigest()
