"""Cache: answers from what was answered before, for a while, within bounds.

Rule 1. Of the calls with one key one is under way in this process; the others wait for it.
Rule 2. A store that fails answers nothing and stops nothing: the call is made, and
    `on_event` is told.
Rule 3. What was asked for before an invalidation is not kept after it.
Rule 4. Errors are never kept, unless `negative` names them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, ParamSpec, TypeAlias, TypeVar, cast

from plait.resilience.cache.memory import MemoryStore
from plait.resilience.cache.store import Found, Store
from plait.resilience.checks import check_seconds
from plait.resilience.clock import SYSTEM_CLOCK, Clock
from plait.resilience.errors import ResilienceError
from plait.resilience.flights import Flight, Flights
from plait.resilience.identity import check_named, seen_by
from plait.resilience.keys import KeyedPolicy, KeyFunction, call_key, text_of
from plait.resilience.matching import ErrorWords, is_transient, is_upstream_failure, matcher

P = ParamSpec("P")
T = TypeVar("T")

NEGATIVES_MAX: Final = 10_000


@dataclass(frozen=True, slots=True)
class StoreFailed:
    """The store could not `get`, `put` or `delete`; the call went on without it."""

    name: str
    action: str
    error: Exception


@dataclass(frozen=True, slots=True)
class RefreshFailed:
    """A stale value was answered, and to replace it in the background has failed."""

    name: str
    error: Exception


Event: TypeAlias = StoreFailed | RefreshFailed


@dataclass(frozen=True, slots=True)
class CacheSnapshot:
    """What a cache did since it was made, in calls.

    `hits`: answered fresh; `stale`: answered stale while refreshing; `misses`: called;
    `shared`: waited for another's call; `failed_over`: answered stale because the call
    failed; `negative`: answered with a kept error; `unkeyed`: passed by without a key;
    `unkept`: too large for the store, or refused by it; `store_failures`: see Rule 2;
    `loading`: calls under way now.
    """

    hits: int
    stale: int
    misses: int
    shared: int
    failed_over: int
    negative: int
    unkeyed: int
    unkept: int
    store_failures: int
    loading: int


def calls_for_stale(error: Exception) -> bool:
    """Tell whether a stale answer is better: failures upstream, and refusals further in."""
    if isinstance(error, ResilienceError):
        return is_transient(error)
    return is_upstream_failure(error)


class Cache(KeyedPolicy):
    """Answers of the last `ttl_s` seconds: a policy, a decorator.

    >>> prices = Cache(ttl_s=60)
    >>> @prices
    ... async def price(sku: str) -> float:
    ...     print(f"asking for {sku}")
    ...     return 9.5
    >>> async def main():
    ...     return [await price(sku) for sku in ("A-1", "A-1")]
    >>> asyncio.run(main())
    asking for A-1
    [9.5, 9.5]
    """

    def __init__(
        self,
        ttl_s: float,
        *,
        stale_while_revalidate_s: float = 0.0,
        stale_if_error_s: float = 0.0,
        stale_on: ErrorWords = calls_for_stale,
        key: KeyFunction | None = None,
        user: KeyFunction | None = None,
        keep: Callable[[Any], bool] | None = None,
        negative: ErrorWords | None = None,
        negative_ttl_s: float | None = None,
        store: Store | None = None,
        name: str = "",
        on_event: Callable[[Event], None] | None = None,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        """Make a cache.

        Args:
            ttl_s: How long an answer is fresh; > 0.
            stale_while_revalidate_s: How long after that it is still given, while another
                is fetched in the background.
            stale_if_error_s: How long after that it is given when the call fails.
            stale_on: Failures that it is given for.
            key: Makes a key of the arguments; None of it: this call is not cached. None:
                function and arguments. In a store that processes share, functions that
                hold variables of the one around them need a key.
            user: Tells of the arguments whose answer it is. Nobody else gets it, and a
                call of nobody (None, "") is not cached.
            keep: Tells which answers are kept; None: all.
            negative: Errors that are kept too, in this process; None: none.
            negative_ttl_s: How long those are kept; None: `ttl_s`.
            store: None: 64 MiB in memory, by `clock`.
            name: For events; part of every key, so caches of different names can share a
                store.
            on_event: Is told of failures. It must not raise.
            clock: Tells the age of errors, and of values if there is no `store`.

        Raises:
            ValueError: A time is out of its range, or an argument names no errors.
        """
        check_seconds("ttl_s", ttl_s)
        check_seconds("stale_while_revalidate_s", stale_while_revalidate_s, zero=True)
        check_seconds("stale_if_error_s", stale_if_error_s, zero=True)
        if negative_ttl_s is not None:
            check_seconds("negative_ttl_s", negative_ttl_s)
        self.ttl_s = ttl_s
        self.stale_while_revalidate_s = stale_while_revalidate_s
        self.stale_if_error_s = stale_if_error_s
        self.name = name
        self.store: Store = store if store is not None else MemoryStore(clock=clock)
        self._key, self._user, self._keep = key, user, keep
        self._is_failure = matcher("stale_on", stale_on)
        self._is_negative = matcher("negative", negative) if negative is not None else None
        self._negative_ttl_s = negative_ttl_s if negative_ttl_s is not None else ttl_s
        self._on_event, self._now = on_event, clock.now
        self._begin()

    def _begin(self) -> None:
        self._memory = self.store if isinstance(self.store, MemoryStore) else None
        self._stale_s = self.ttl_s + self.stale_while_revalidate_s
        self._error_s = self.ttl_s + self.stale_if_error_s
        self._keep_s = max(self._stale_s, self._error_s)
        self._lookups, self._loads = Flights(), Flights()
        self._refreshing: dict[str, asyncio.Task[Any]] = {}
        self._writing: dict[str, asyncio.Task[None]] = {}
        self._negatives: dict[str, tuple[Exception, float]] = {}
        self._hits = self._stale = self._misses = self._failed_over = 0
        self._negative = self._unkeyed = self._unkept = self._store_failures = 0

    async def call_inside(
        self,
        depth: int,
        function: Callable[..., Awaitable[T]],
        /,
        *args: Any,
        **kwargs: Any,
    ) -> T:
        """Return the kept answer, or call `function` and keep what it returns.

        Raises:
            TypeError: The call's arguments make no key.
        """
        key = self._key_of(depth, function, args, kwargs)
        if key is None:
            self._unkeyed += 1
            return await function(*args, **kwargs)
        if self._negatives:
            self._raise_kept(key)
        call = partial(function, *args, **kwargs) if args or kwargs else function
        if self._memory is None:
            return cast("T", await self._lookups.call(key, self._looked_up, key, call))
        found = self._memory.look(key)
        if found is not None and found.age_s < self._stale_s:
            return cast("T", self._answer(found, key, call))
        return cast("T", await self._loads.call(key, self._load, key, found, call))

    def check(self, function: Callable[..., Any]) -> None:
        """Refuse a function that other processes could not tell from others."""
        if self._key is None and self._memory is None:
            check_named(function)

    def peek(
        self, function: Callable[P, Awaitable[Any]], /, *args: P.args, **kwargs: P.kwargs
    ) -> Found | None:
        """Return an answer that is in memory, fresh or stale, without a wait.

        A fresh one counts as a hit. None: there is none, or its store must be waited for;
        `call` sees to all that is not fresh.

        Raises:
            TypeError: The call's arguments make no key.
        """
        if self._memory is None:
            return None
        key = self._key_of(0, self._seen(function), args, kwargs)
        found = None if key is None else self._memory.look(key)
        if found is not None and found.age_s < self.ttl_s:
            self._hits += 1
        return found

    async def invalidate(
        self, function: Callable[P, Awaitable[Any]], /, *args: P.args, **kwargs: P.kwargs
    ) -> None:
        """Forget the answer to `function` with these arguments, also one under way.

        Raises:
            TypeError: The arguments make no key.
        """
        key = self._key_of(0, self._seen(function), args, kwargs)
        if key is None:
            return
        self._loads.drop(key)
        self._lookups.drop(key)
        self._negatives.pop(key, None)
        # What is on its way into the store would arrive after the deletion.
        if writing := self._writing.get(key):
            await asyncio.wait((writing,))
        await self.store.delete(key)

    async def clear(self) -> None:
        """Forget all that is in the store, also of other caches, and what is under way."""
        self._loads.drop_all()
        self._lookups.drop_all()
        self._negatives.clear()
        if self._writing:
            await asyncio.wait(tuple(self._writing.values()))
        await self.store.clear()

    async def aclose(self) -> None:
        """Cancel what is fetched in the background, and wait for what is being written.

        The store stays open.
        """
        tasks = (*self._refreshing.values(),)
        for task in tasks:
            task.cancel()
        if left := (*tasks, *self._writing.values()):
            await asyncio.wait(left)

    def snapshot(self) -> CacheSnapshot:
        """Return what was done so far."""
        return CacheSnapshot(
            hits=self._hits,
            stale=self._stale,
            misses=self._misses,
            shared=self._loads.shared + self._lookups.shared,
            failed_over=self._failed_over,
            negative=self._negative,
            unkeyed=self._unkeyed,
            unkept=self._unkept,
            store_failures=self._store_failures,
            loading=len(self._loads),
        )

    def _key_of(
        self,
        depth: int,
        function: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> str | None:
        is_shared = self._memory is None
        key = call_key(self._key, depth, function, args, kwargs, is_shared=is_shared)
        if key is None:
            return None
        if self._user is not None:
            user = self._user(*args[depth:], **kwargs)
            if user is None or user == "":
                return None
            key = f"{text_of(user)} {key}"
        return f"{self.name} {key}" if self.name else key

    def _seen(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return what this cache protects, of a function that it may decorate."""
        # With `key` the name is enough, and a decorated function has it, too.
        seen: Callable[..., Any] = function
        return seen if self._key is not None else seen_by(self, function)

    def _answer(self, found: Found, key: str, call: Callable[..., Awaitable[Any]]) -> Any:
        """Return a value that may still be given, and have a stale one replaced."""
        if found.age_s < self.ttl_s:
            self._hits += 1
            return found.value
        self._stale += 1
        if key not in self._refreshing:
            task = asyncio.create_task(self._loads.call(key, self._load, key, None, call))
            self._refreshing[key] = task
            task.add_done_callback(partial(self._refreshed, key))
        return found.value

    def _refreshed(self, key: str, task: asyncio.Task[Any]) -> None:
        del self._refreshing[key]
        error = None if task.cancelled() else task.exception()
        if isinstance(error, Exception):
            self._tell(RefreshFailed(self.name, error))

    async def _looked_up(
        self, flight: Flight, key: str, call: Callable[..., Awaitable[Any]]
    ) -> Any:
        """Answer from a store that must be waited for, or make the call."""
        try:
            found = await self.store.get(key)
        except Exception as error:
            self._failed("get", error)
            found = None
        if found is not None and found.age_s < self._stale_s:
            return self._answer(found, key, call)
        return await self._loads.call(key, self._load, key, found, call)

    async def _load(
        self,
        flight: Flight,
        key: str,
        found: Found | None,
        call: Callable[..., Awaitable[Any]],
    ) -> Any:
        """Make the call and keep its answer; a failure may be answered from `found`."""
        self._misses += 1
        try:
            value = await call()
        except Exception as error:
            if self._fails_over(found, error):
                self._failed_over += 1
                return cast("Found", found).value
            if self._is_negative is not None and not flight.dropped:
                self._keep_error(key, error)
            raise
        if flight.dropped or (self._keep is not None and not self._keep(value)):
            return value
        if self._memory is not None:
            self._unkept += not self._memory.keep(key, value, self._keep_s)
            return value
        task = self._writing[key] = asyncio.create_task(self._write(key, value))
        task.add_done_callback(lambda _: self._written(key, task))
        # A caller who is cancelled now has its answer kept all the same.
        await asyncio.shield(task)
        return value

    def _fails_over(self, found: Found | None, error: Exception) -> bool:
        if found is None or found.age_s >= self._error_s:
            return False
        return self._is_failure(error)

    async def _write(self, key: str, value: Any) -> None:
        try:
            self._unkept += not await self.store.put(key, value, self._keep_s)
        except Exception as error:
            self._unkept += 1
            self._failed("put", error)

    def _written(self, key: str, task: asyncio.Task[None]) -> None:
        if self._writing.get(key) is task:
            del self._writing[key]

    def _keep_error(self, key: str, error: Exception) -> None:
        if self._is_negative is not None and self._is_negative(error):
            self._negatives.pop(key, None)
            if len(self._negatives) >= NEGATIVES_MAX:
                del self._negatives[next(iter(self._negatives))]
            self._negatives[key] = (error, self._now() + self._negative_ttl_s)

    def _raise_kept(self, key: str) -> None:
        kept = self._negatives.get(key)
        if kept is None:
            return
        if self._now() < kept[1]:
            self._negative += 1
            # Its trace is that of another caller, and would grow with each.
            raise kept[0].with_traceback(None)
        del self._negatives[key]

    def _failed(self, action: str, error: Exception) -> None:
        self._store_failures += 1
        self._tell(StoreFailed(self.name, action, error))

    def _tell(self, event: Event) -> None:
        if self._on_event is not None:
            self._on_event(event)
