"""Batched calls: many single lookups become one bulk call, its results dealt out again.

Rule 1. A step is answered as if it had asked alone: of the results it is given its own.
Rule 2. Only calls that are equal but for what they look up go together: of one tenant, with
        the same credentials, to the same upstream.

Not here: when a batch goes (plait.resilience.batch).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Final

from plait.drivers.outcome import Start
from plait.drivers.policies.cached import made_for
from plait.drivers.policies.tasks import CallFailed, TaskCall, made
from plait.model.errors import Advice
from plait.model.failure import Failure
from plait.model.json import JsonObject, JsonValue, canonical_bytes
from plait.plan import BatchPolicy
from plait.ports.calls import Call, CallHandle, CallReply, Done
from plait.resilience import Batch

_MISSING: Final = object()


class Batches:
    """The batches of one process that wait or are under way."""

    def __init__(self) -> None:
        self._groups: dict[bytes, _Group] = {}
        self._calls = self._lookups = 0

    def start(
        self, policy: BatchPolicy, call: Call, done: Done, start: Start
    ) -> CallHandle:
        """Look up what `call` asks for together with others; alone, if it has no list."""
        wanted = _at(call.request, policy.over)
        if not isinstance(wanted, list):
            return start(call, done)
        lookup = TaskCall(call, done)
        lookup.run(partial(self._answer, policy, call, start, wanted))
        return lookup

    async def _answer(
        self, policy: BatchPolicy, call: Call, start: Start, wanted: list[JsonValue]
    ) -> CallReply:
        alike = _group_of(call, policy)
        group = self._groups.get(alike)
        if group is None:
            group = self._groups[alike] = _Group(policy)
        self._lookups += 1
        try:
            return await group.look_up(call, start, wanted)
        finally:
            self._calls += group.calls_since()
            if group.is_idle and self._groups.get(alike) is group:
                del self._groups[alike]

    def snapshot(self) -> JsonObject:
        """Return how many lookups there were, and in how many calls."""
        if not self._lookups:
            return {}
        return {"lookups": {"lookups": self._lookups, "calls": self._calls}}


class _Group:
    """Calls that are equal but for what they look up."""

    def __init__(self, policy: BatchPolicy) -> None:
        self._policy = policy
        self._batch: Batch[bytes, CallReply] = Batch(
            self._ask, max_size=policy.size_max, max_delay_s=policy.delay_ms / 1000
        )
        self._wanted: dict[bytes, list[JsonValue]] = {}
        self._latest: tuple[Call, Start] | None = None
        self._users = self._told = 0

    async def look_up(self, call: Call, start: Start, wanted: list[JsonValue]) -> CallReply:
        """Return the reply to one lookup."""
        key = canonical_bytes(wanted)
        self._wanted[key] = wanted
        self._latest = call, start
        self._users += 1
        try:
            return await self._batch(key)
        finally:
            self._users -= 1

    @property
    def is_idle(self) -> bool:
        """Whether nobody waits for it."""
        return not self._users

    def calls_since(self) -> int:
        """Return how many calls were made since this was asked last."""
        made_count = self._batch.snapshot().calls
        since, self._told = made_count - self._told, made_count
        return since

    async def _ask(self, keys: list[bytes]) -> list[CallReply | Exception]:
        assert self._latest is not None
        call, start = self._latest
        lists = [self._wanted.pop(key) for key in keys]
        everything = list({_text(one): one for each in lists for one in each}.values())
        request = _with(call.request, self._policy.over, everything)
        reply = await made(start, replace(call, request=request))
        return [dealt(reply, self._policy, wanted, len(keys)) for wanted in lists]


def dealt(
    reply: CallReply, policy: BatchPolicy, wanted: list[JsonValue], count: int
) -> CallReply | Exception:
    """Return what of a bulk call's reply answers one lookup.

    Args:
        count: How many lookups the call was made for.
    """
    own = {_text(one) for one in wanted}
    found = _at(reply.response, policy.results)
    kept: JsonValue
    if isinstance(found, list):
        kept = [one for one in found if _text(_by(one, policy.by)) in own]
    elif isinstance(found, dict):
        kept = {key: value for key, value in found.items() if key in own}
    else:
        where = f"at '{'.'.join(policy.results)}'" if policy.results else "as a whole"
        text = f"the reply is neither list nor object {where}, so it cannot be dealt out"
        failure = Failure("resilience.batch", text, advice=Advice.REPORT)
        return CallFailed(failure)
    note: JsonObject = {"policy": "batch", "lookups": count}
    notes = (*reply.notes, note) if count > 1 else reply.notes
    response: Any = _with(reply.response, policy.results, kept)
    return replace(reply, response=response, notes=notes)


def _group_of(call: Call, policy: BatchPolicy) -> bytes:
    rest: Any = _with(call.request, policy.over, None)
    named: list[JsonValue] = [
        call.kind,
        rest,
        [*policy.over],
        [*policy.results],
        policy.by,
        [policy.size_max, policy.delay_ms],
        [*call.headers_wanted],
        made_for(call),
    ]
    return hashlib.sha256(canonical_bytes(named)).digest()


def _at(value: Any, keys: Sequence[str]) -> Any:
    for key in keys:
        value = value.get(key, _MISSING) if isinstance(value, dict) else _MISSING
    return value


def _with(value: Any, keys: Sequence[str], instead: Any) -> Any:
    """Return a copy of `value` with something else at `keys`."""
    if not keys:
        return instead
    first, *rest = keys
    return {**value, first: _with(value[first], rest, instead)}


def _by(one: Any, key: str) -> JsonValue:
    return one.get(key) if isinstance(one, dict) else None


def _text(value: JsonValue) -> str:
    """What is looked up as 42 may come back as "42": in a URL it is text."""
    return value if isinstance(value, str) else canonical_bytes(value).decode()
