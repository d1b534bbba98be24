"""Cached calls: answers of before, in place of calls.

Rule 1. An answer that is fresh and in this process is given at once, without a task.
Rule 2. Of the calls for one key one is under way in this process; the others wait for it,
        each no longer than its own time.
Rule 3. What is kept is what the upstream said: a reply, never a failure.
Rule 4. No key that a document writes, and no name, reaches what another tenant was
        answered, or what was answered to the operator's own words.

Not here: keeping and finding answers (plait.resilience.cache).
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from dataclasses import replace
from functools import partial
from typing import Any, Final

from plait.drivers.outcome import Start
from plait.drivers.policies.tasks import CallFailed, TaskCall, made
from plait.drivers.policies.verdicts import UNCALLED_CODES, speaks_against
from plait.kernel import CallPolicies
from plait.model.json import JsonObject, JsonValue, canonical_bytes
from plait.plan import CachePolicy
from plait.ports.calls import Call, CallReply, Done
from plait.resilience import Cache, MemoryStore
from plait.resilience.cache import Store

CACHE_BYTES_MAX: Final = 64 * 1024 * 1024
# One per way of keeping answers, of which documents have few.
_CACHES_MAX: Final = 1_000


class Answers:
    """The caches of one process: one for each way of keeping answers, in one store.

    Args:
        store: None: so many bytes in memory.
    """

    def __init__(
        self, store: Store | None = None, *, bytes_max: int = CACHE_BYTES_MAX
    ) -> None:
        self._store: Store = store if store is not None else MemoryStore(bytes_max)
        self._caches: OrderedDict[tuple[int, int, int], Cache] = OrderedDict()

    def of(self, policy: CachePolicy) -> Cache:
        """Return what keeps answers as `policy` says."""
        said = policy.ttl_ms, policy.stale_ms, policy.error_ms
        cache = self._caches.get(said)
        if cache is None:
            cache = self._caches[said] = Cache(
                policy.ttl_ms / 1000,
                stale_while_revalidate_s=policy.stale_ms / 1000,
                stale_if_error_s=policy.error_ms / 1000,
                stale_on=_calls_for_stale,
                key=_key,
                store=self._store,
            )
            if len(self._caches) > _CACHES_MAX:
                self._caches.popitem(last=False)
        return cache

    def snapshot(self) -> JsonObject:
        """Return what all caches of the process did, and what they hold."""
        told: dict[str, JsonValue] = {}
        for cache in self._caches.values():
            now = cache.snapshot()
            counts = {
                "hits": now.hits,
                "stale": now.stale,
                "misses": now.misses,
                "shared": now.shared,
                "failed_over": now.failed_over,
                "store_failures": now.store_failures,
            }
            for name, count in counts.items():
                before = told.get(name, 0)
                assert isinstance(before, int)
                told[name] = before + count
        if told and isinstance(self._store, MemoryStore):
            told["bytes"] = self._store.used_bytes
        return {"answers": told} if told else {}

    async def close(self) -> None:
        """Cancel what is fetched in the background."""
        for cache in self._caches.values():
            await cache.aclose()


def key_of(call: Call, asked: CallPolicies, policy: CachePolicy) -> str | None:
    """Return what a call's answer is kept under; None: it is not.

    A hash: requests hold credentials.
    """
    own, user = asked.keys.get("cache"), asked.keys.get("cache.user")
    if own == "" or user == "":
        return None
    what: Any = call.request if own is None else [policy.scope, own]
    named: list[JsonValue] = [call.kind, own is None, what, user, [*call.headers_wanted]]
    named += made_for(call)
    return hashlib.sha256(canonical_bytes(named)).hexdigest()


def made_for(call: Call) -> list[JsonValue]:
    """Return what tells apart calls whose requests are alike: on whose behalf they are
    made, whether on the operator's word (the host may be private then), what they show,
    and in which workflow: a credential may be for some only.

    What one of them is answered is nobody's who differs in any of it.
    """
    return [call.tenant, call.host_is_literal, call.credential, call.workflow]


class CachedCall(TaskCall):
    """One call that may be answered from before."""

    __slots__ = ("_age_ms", "_did", "_start")

    def __init__(self, call: Call, done: Done, start: Start) -> None:
        super().__init__(call, done)
        self._start = start
        self._age_ms: int | None = None
        # What the timeline tells; `hit` also of one that another call has brought just now.
        self._did = "hit"

    def begin(self, cache: Cache, key: str) -> None:
        """Answer from `cache`, or make the call and keep what it brings."""
        found = cache.peek(self._fetch, key)
        if found is not None:
            self._age_ms = round(found.age_s * 1000)
            if found.age_s < cache.ttl_s:
                self.tell(self._told(found.value))
                return
            self._did = "stale"
        self.run(partial(self._answer, cache, key))

    async def _answer(self, cache: Cache, key: str) -> CallReply:
        return self._told(await cache.call(self._fetch, key))

    async def _fetch(self, key: str) -> CallReply:
        """Make the call, for the cache; `key` is how that knows it."""
        del key
        self._did = "missed"
        try:
            return await made(self._start, self.call)
        except CallFailed:
            self._did = "failed_over"
            raise

    def _told(self, reply: CallReply) -> CallReply:
        """Return a reply that tells where it comes from."""
        if self._did == "missed":
            return reply
        note: JsonObject = {"policy": "cache", "did": self._did}
        if self._age_ms is not None:
            note["age_ms"] = self._age_ms
        # Its own notes are those of the call that brought it.
        return replace(reply, notes=(note,))


def _calls_for_stale(error: Exception) -> bool:
    """Tell whether a stale answer is better: the upstream failed, or a policy refused."""
    return isinstance(error, CallFailed) and (
        error.failure.code not in UNCALLED_CODES and speaks_against(error.failure)
    )


def _key(key: str) -> str:
    return key
