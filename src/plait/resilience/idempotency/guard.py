"""Idempotency guard: what is asked for twice under one key is done once.

Rule 1. A key is claimed before its call begins, and the end of the call is written down.
    Callers with the same key wait for that end, and get it.
Rule 2. A call that has begun is brought to its end, whoever of its callers is cancelled.
Rule 3. A claim lasts for `pending_s` and is renewed while the call runs. It expires only
    when its process has died or stood still; then the next caller makes the call.
Rule 4. A key stands for one request: another one under it is refused.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, TypeVar, cast

from plait.resilience.checks import check_seconds
from plait.resilience.clock import SYSTEM_CLOCK, Clock
from plait.resilience.errors import EarlierCallFailed, IdempotencyConflict
from plait.resilience.idempotency.memory import MemoryIdempotencyStore
from plait.resilience.idempotency.store import IdempotencyStore, Record, State
from plait.resilience.json_values import JSON, Codec
from plait.resilience.keys import KeyedPolicy, KeyFunction, call_key
from plait.resilience.matching import (
    ErrorWords,
    code_of,
    is_transient,
    matcher,
    status_of,
)

T = TypeVar("T")

_POLL_S_MIN: Final = 0.02
_POLL_S_MAX: Final = 0.5
_RENEWALS: Final = 3
"""How often a claim is renewed before it would expire."""


@dataclass(frozen=True, slots=True)
class EndNotKept:
    """A call has ended, and its end could not be written down: it may be made again.

    `error` is what the store or codec raised; None: the claim had expired.
    """

    name: str
    key: str
    error: Exception | None


@dataclass(frozen=True, slots=True)
class GuardSnapshot:
    """What a guard did since it was made; `running`: calls under way here.

    `called`: made here; `replayed`: answered with an earlier call's end; `shared`: waited
    for a call of this process; `conflicts`: refused; `unkept`: ends not written down.
    """

    running: int
    called: int
    replayed: int
    shared: int
    conflicts: int
    unkept: int


class _Call:
    """A call under way in this process, and how many wait for it."""

    __slots__ = ("has_begun", "task", "waiting")

    def __init__(self) -> None:
        self.has_begun = False
        self.waiting = 0
        self.task: asyncio.Task[Any] | None = None


class IdempotencyGuard(KeyedPolicy):
    """Does once what is asked for twice under one key: a policy, a decorator.

    >>> guard = IdempotencyGuard(key=lambda order, amount: order)
    >>> @guard
    ... async def charge(order: str, amount: int) -> str:
    ...     print("charging")
    ...     return f"paid {amount}"
    >>> async def main():
    ...     return await charge("A-1", 5), await charge("A-1", 5)
    >>> asyncio.run(main())
    charging
    ('paid 5', 'paid 5')
    """

    def __init__(
        self,
        key: KeyFunction,
        *,
        request: KeyFunction | None = None,
        ttl_s: float = 86_400.0,
        pending_s: float = 60.0,
        wait_s: float | None = None,
        retry_on: ErrorWords = is_transient,
        store: IdempotencyStore | None = None,
        codec: Codec = JSON,
        fail_open: bool = False,
        name: str = "",
        on_event: Callable[[EndNotKept], None] | None = None,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        """Make a guard.

        Args:
            key: Makes a key of the arguments; None of it: this call is not guarded.
            request: What must be the same under one key, as JSON; None: all arguments.
            ttl_s: How long the end of a call is known.
            pending_s: After how long a claim that nobody renews expires.
            wait_s: How long to wait for another process; None: until its claim expires.
            retry_on: Errors after which the call may be made again. All others are its
                end.
            store: None: memory, by `clock`.
            codec: Makes bytes of results.
            fail_open: Call unguarded when the store fails; False: its error is raised.
            name: For messages; part of every key.
            on_event: Is told of ends that could not be kept. It must not raise.
            clock: Waits between two looks at what another process does.

        Raises:
            ValueError: A time is out of its range, or `retry_on` names no errors.
        """
        check_seconds("ttl_s", ttl_s)
        check_seconds("pending_s", pending_s)
        if wait_s is not None:
            check_seconds("wait_s", wait_s, zero=True)
        self.ttl_s, self.pending_s, self.wait_s = ttl_s, pending_s, wait_s
        self.name = name
        if store is None:
            store = MemoryIdempotencyStore(clock=clock)
        self.store: IdempotencyStore = store
        self._key, self._request, self._codec = key, request, codec
        self._may_repeat = matcher("retry_on", retry_on)
        self._fail_open, self._on_event, self._clock = fail_open, on_event, clock
        self._calls: dict[tuple[str, str], _Call] = {}
        self._called = self._replayed = self._shared = self._conflicts = self._unkept = 0

    async def call_inside(
        self,
        depth: int,
        function: Callable[..., Awaitable[T]],
        /,
        *args: Any,
        **kwargs: Any,
    ) -> T:
        """Return how the call under this key ends, or has ended.

        Raises:
            IdempotencyConflict: The key stands for another request, or its call runs
                elsewhere for longer than `wait_s`.
            EarlierCallFailed: It has ended in an error before.
            TypeError: The arguments make no key, or no fingerprint.
        """
        key = call_key(self._key, depth, function, args, kwargs)
        if key is None:
            return await function(*args, **kwargs)
        if self.name:
            key = f"{self.name} {key}"
        request = self._fingerprint(args[depth:], kwargs)
        under_way = self._calls.get((key, request))
        if under_way is None:
            under_way = self._calls[key, request] = _Call()
            call = partial(function, *args, **kwargs)
            work = self._guarded(under_way, key, request, call)
            under_way.task = asyncio.create_task(work)
            under_way.task.add_done_callback(
                partial(self._ended, (key, request), under_way)
            )
        else:
            self._shared += 1
        return cast("T", await self._wait_for(under_way, (key, request)))

    def snapshot(self) -> GuardSnapshot:
        """Return what was done so far."""
        return GuardSnapshot(
            running=sum(call.has_begun for call in self._calls.values()),
            called=self._called,
            replayed=self._replayed,
            shared=self._shared,
            conflicts=self._conflicts,
            unkept=self._unkept,
        )

    async def aclose(self) -> None:
        """Wait for the calls under way. The store stays open."""
        tasks = [call.task for call in self._calls.values() if call.task is not None]
        if tasks:
            await asyncio.wait(tasks)

    def _fingerprint(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> str:
        about: Any = [args, kwargs]
        if self._request is not None:
            about = self._request(*args, **kwargs)
        try:
            text = json.dumps(about, sort_keys=True)
        except (TypeError, ValueError) as error:
            message = f"{error}; give `request`, a function of the arguments"
            raise TypeError(message) from None
        return hashlib.sha256(text.encode()).hexdigest()

    async def _wait_for(self, call: _Call, place: tuple[str, str]) -> Any:
        """Return how `call` ends; who is cancelled ends it only if it has not begun."""
        task = cast("asyncio.Task[Any]", call.task)
        call.waiting += 1
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            if call.waiting == 1 and not call.has_begun:
                # Whoever comes now must not be handed what is being cancelled.
                self._calls.pop(place, None)
                task.cancel()
            raise
        finally:
            call.waiting -= 1

    def _ended(self, place: tuple[str, str], call: _Call, task: asyncio.Task[Any]) -> None:
        if self._calls.get(place) is call:
            del self._calls[place]
        if not task.cancelled():
            # It was everybody's; nobody may be there any more to take it.
            task.exception()

    async def _guarded(
        self,
        under_way: _Call,
        key: str,
        request: str,
        call: Callable[[], Awaitable[Any]],
    ) -> Any:
        """Make the call, or wait for whoever makes it."""
        owner = secrets.token_hex(8)
        waited_s, poll_s = 0.0, _POLL_S_MIN
        while True:
            try:
                record = await self._begin(key, owner, request)
            except asyncio.CancelledError:
                await self.store.release(key, owner)
                raise
            if record is None or record.state is State.BEGUN:
                under_way.has_begun = True
                self._called += 1
                return await (call() if record is None else self._made(key, owner, call))
            if record.state is not State.PENDING or record.request != request:
                return self._replay(record, request)
            if self.wait_s is not None and waited_s >= self.wait_s:
                raise self._conflict("its first call is under way elsewhere", record.left_s)
            left_s = poll_s if self.wait_s is None else self.wait_s - waited_s
            pause_s = min(poll_s, left_s, max(record.left_s, _POLL_S_MIN))
            await self._clock.sleep(pause_s)
            waited_s, poll_s = waited_s + pause_s, min(2 * poll_s, _POLL_S_MAX)

    async def _begin(self, key: str, owner: str, request: str) -> Record | None:
        """Claim the key; None: the store has failed, and the call is made without it."""
        try:
            return await self.store.begin(key, owner, request, self.pending_s)
        except Exception:
            if not self._fail_open:
                raise
            return None

    async def _made(self, key: str, owner: str, call: Callable[[], Awaitable[Any]]) -> Any:
        renewing = asyncio.create_task(self._renew(key, owner))
        try:
            value = await call()
        except Exception as error:
            if self._may_repeat(error):
                await self._kept(key, partial(self.store.release, key, owner))
            else:
                await self._finish(key, owner, State.FAILED, _described(error))
            raise
        finally:
            renewing.cancel()
        try:
            data = self._codec.encode(value)
        except (TypeError, ValueError) as error:
            self._not_kept(key, error)
            await self._finish(key, owner, State.FAILED, _described(error))
        else:
            await self._finish(key, owner, State.COMPLETED, data)
        return value

    async def _renew(self, key: str, owner: str) -> None:
        """Keep the claim while the call runs; a store that fails is asked again."""
        while True:
            await asyncio.sleep(self.pending_s / _RENEWALS)
            extend = partial(self.store.extend, key, owner, self.pending_s)
            if await self._kept(key, extend) is False:
                return

    async def _finish(self, key: str, owner: str, state: State, data: bytes) -> None:
        write = partial(self.store.finish, key, owner, state, data, self.ttl_s)
        await self._kept(key, write)

    async def _kept(
        self, key: str, write: Callable[[], Awaitable[bool | None]]
    ) -> bool | None:
        """Tell the store; the call has been made, whatever becomes of that."""
        try:
            is_mine = await write()
        except Exception as error:
            self._not_kept(key, error)
            return None
        if is_mine is False:
            self._not_kept(key, None)
        return is_mine

    def _not_kept(self, key: str, error: Exception | None) -> None:
        self._unkept += 1
        if self._on_event is not None:
            self._on_event(EndNotKept(self.name, key, error))

    def _replay(self, record: Record, request: str) -> Any:
        if record.request != request:
            raise self._conflict("the key stands for another request", None)
        self._replayed += 1
        if record.state is State.COMPLETED:
            return self._codec.decode(record.data)
        told = json.loads(record.data)
        message = f"{self.name or 'the call'} failed before: {told['message']}"
        error = EarlierCallFailed(message, name=self.name)
        error.kind, error.status = told["kind"], told["status"]
        error.original_code = told["code"]
        raise error

    def _conflict(self, why: str, retry_after: float | None) -> IdempotencyConflict:
        self._conflicts += 1
        message = f"{self.name or 'the call'} is refused: {why}"
        return IdempotencyConflict(message, name=self.name, retry_after=retry_after)


def _described(error: Exception) -> bytes:
    """Return what is told of `error` to whoever asks later."""
    told = {
        "kind": type(error).__qualname__,
        "message": str(error),
        "code": code_of(error),
        "status": status_of(error),
    }
    return json.dumps(told).encode()
