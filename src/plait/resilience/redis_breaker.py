"""Circuit breaker of several processes: they share its state through Redis.

Rule 1. Every decision is made on the server, by one script, with the server's clock: no two
    processes see the same free place, and their clocks need not agree.
Rule 2. When Redis does not answer, calls go through uncounted (or are refused, on request).
Rule 3. A cancelled caller gives back what the server was granting it meanwhile.

A call costs two round trips: one for the permit, one for the outcome. A half-open place
whose holder died is free again when `half_open_s` is over.

Not here: the breaker of one process (plait.resilience.circuit_breaker).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from importlib import resources
from inspect import isawaitable
from typing import Any, Final, ParamSpec, TypeVar, cast

from redis.asyncio import Redis
from redis.exceptions import RedisError

from plait.resilience.breaker_registry import Registry
from plait.resilience.breaker_settings import (
    BreakerSettings,
    BreakerSnapshot,
    BreakerState,
    BreakerStateChanged,
    Reason,
)
from plait.resilience.clock import Clock, seconds_until
from plait.resilience.errors import CircuitOpen, ResilienceError, TimedOut
from plait.resilience.matching import ErrorWords, is_upstream_failure, matcher
from plait.resilience.policy import Policy

P = ParamSpec("P")
T = TypeVar("T")

_SCRIPT: Final = (resources.files(__package__) / "redis_breaker.lua").read_text("utf-8")
_TTL_S_MIN: Final = 3_600.0

UNCOUNTED: Final = -1
"""The permit of a call that was let through because Redis did not answer."""


@dataclass(frozen=True, slots=True)
class _Answer:
    """What the script said."""

    permit: int
    before: BreakerState
    after: BreakerState
    reason: str
    now: float
    open_until: float


class RedisCircuitBreaker(Policy):
    """A circuit breaker that all processes with the same `name` share.

    Drivers `await try_acquire()` for a permit and settle it once, with `succeeded`,
    `failed`, `raised` or `abandoned`.
    """

    __slots__ = (
        "__weakref__",
        "_arguments",
        "_clock",
        "_fail_open",
        "_fallback",
        "_is_failure",
        "_keys",
        "_on_event",
        "_pending",
        "_redis",
        "_script",
        "name",
        "settings",
        "unanswered",
    )

    def __init__(
        self,
        client: Redis,
        settings: BreakerSettings | None = None,
        *,
        name: str,
        prefix: str = "plait:breaker:",
        failures: ErrorWords = is_upstream_failure,
        fallback: Callable[[CircuitOpen], Any] | None = None,
        fail_open: bool = True,
        on_event: Callable[[BreakerStateChanged], None] | None = None,
        clock: Clock | None = None,
    ) -> None:
        """Join the breaker called `name`; it is made by whoever asks first.

        Args:
            client: Of redis-py; the caller sets its timeouts, and closes it.
            settings: The same in all processes; None: the defaults.
            name: What the processes share, and what messages name.
            prefix: Of the keys, which are `prefix{name}` and `prefix{name}:window`.
            failures, fallback: As those of `CircuitBreaker`.
            fail_open: Let calls through while Redis does not answer; False: refuse them.
            on_event: Told of the changes that calls of this process make. It must not
                raise.
            clock: None: the server's, the one that all processes share.

        Raises:
            ValueError: `name` is empty, or `failures` names no errors.
        """
        if not name:
            raise ValueError("name is empty; it is what the processes share")
        self.settings = settings if settings is not None else BreakerSettings()
        self.name = name
        self.unanswered = 0
        self._redis = client
        self._script = client.register_script(_SCRIPT)
        self._keys = [f"{prefix}{{{name}}}", f"{prefix}{{{name}}}:window"]
        self._arguments = _arguments(self.settings)
        self._is_failure = matcher("failures", failures)
        self._fallback = fallback
        self._fail_open = fail_open
        self._on_event = on_event
        self._clock = clock
        self._pending: set[asyncio.Task[Any]] = set()

    async def try_acquire(self) -> int:
        """Return a permit for one call, or 0: it is refused."""
        permit, _ = await self._acquire()
        return permit

    async def acquire(self) -> int:
        """Return a permit for one call.

        Raises:
            CircuitOpen: There is none.
        """
        permit, answer = await self._acquire()
        if not permit:
            raise self._refusal(answer)
        return permit

    async def succeeded(self, permit: int, duration_s: float = 0.0) -> None:
        """Settle `permit`: the call has succeeded in so many seconds."""
        slow = self._is_slow(duration_s)
        failed = slow and self.settings.slow_rate is None
        await self._settled("settle", permit, failed=failed, slow=slow)

    async def failed(self, permit: int, duration_s: float = 0.0) -> None:
        """Settle `permit`: the call has failed after so many seconds."""
        slow = self._is_slow(duration_s)
        await self._settled("settle", permit, failed=True, slow=slow)

    async def raised(
        self, permit: int, error: BaseException, duration_s: float = 0.0
    ) -> None:
        """Settle `permit`: the call has ended in `error`, whatever that counts as."""
        refused = isinstance(error, ResilienceError) and not isinstance(error, TimedOut)
        if refused or not isinstance(error, Exception):
            await self.abandoned(permit)
        elif self._is_failure(error):
            await self.failed(permit, duration_s)
        else:
            await self.succeeded(permit, duration_s)

    async def abandoned(self, permit: int) -> None:
        """Settle `permit`: the call was not made, or nobody knows how it would end."""
        await self._settled("abandon", permit)

    async def open(self) -> None:
        """Let nothing through, in all processes, until `close` or `reset`.

        Raises:
            redis.exceptions.RedisError: Redis does not answer.
        """
        await self._run("open")

    async def close(self) -> None:
        """Let everything through again; raises as `open` does."""
        await self._run("close")

    async def reset(self) -> None:
        """Do as `close` does, and begin the totals of `snapshot` anew."""
        await self._run("reset")

    async def snapshot(self) -> BreakerSnapshot:
        """Return what all processes hold now.

        Raises:
            redis.exceptions.RedisError: Redis does not answer.
        """
        answer = await self._run("look")
        found = await cast("Awaitable[dict[Any, Any]]", self._redis.hgetall(self._keys[0]))
        texts = {_text(key): _text(value) for key, value in found.items()}

        def count(field: str) -> int:
            return int(texts.get(field, 0))

        return BreakerSnapshot(
            state=answer.after,
            consecutive_failures=count("consecutive"),
            window_calls=count("calls"),
            window_failures=count("failures"),
            window_slow=count("slow_calls"),
            half_open_calls=count("running"),
            retry_after=_retry_after(answer),
            succeeded=count("succeeded"),
            failed=count("failed"),
            slow=count("slow"),
            refused=count("refused"),
        )

    async def call(
        self, function: Callable[P, Awaitable[T]], /, *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Call `function` if the circuit lets it through.

        Raises:
            CircuitOpen: It does not; nothing was called.
        """
        permit, answer = await self._acquire()
        if not permit:
            return cast("T", await self._answer(self._refusal(answer)))
        begun_at = time.monotonic()
        try:
            value = await function(*args, **kwargs)
        except BaseException as error:
            await self.raised(permit, error, time.monotonic() - begun_at)
            raise
        await self.succeeded(permit, time.monotonic() - begun_at)
        return value

    async def aclose(self) -> None:
        """Wait for what cancelled callers have left under way."""
        while self._pending:
            await asyncio.wait(self._pending)

    async def _acquire(self) -> tuple[int, _Answer | None]:
        """Return a permit or 0, and what the server said; None: nothing."""
        task = self._begun(self._run("acquire"))
        try:
            answer = await asyncio.shield(task)
        except asyncio.CancelledError:
            task.add_done_callback(self._give_back)
            raise
        except (RedisError, OSError):
            self.unanswered += 1
            return (UNCOUNTED if self._fail_open else 0), None
        return answer.permit, answer

    def _give_back(self, task: asyncio.Task[_Answer]) -> None:
        """Abandon the permit of a caller who has gone."""
        if not task.cancelled() and task.exception() is None and task.result().permit:
            self._begun(self._settle_now("abandon", task.result().permit, "0", "0"))

    async def _settled(
        self, verb: str, permit: int, *, failed: bool = False, slow: bool = False
    ) -> None:
        """Tell the server; a cancelled caller has it told all the same."""
        if permit > 0:
            task = self._settle_now(verb, permit, str(int(failed)), str(int(slow)))
            await asyncio.shield(self._begun(task))

    async def _settle_now(self, verb: str, permit: int, failed: str, slow: str) -> None:
        try:
            await self._run(verb, str(permit), failed, slow)
        except (RedisError, OSError):
            self.unanswered += 1

    def _begun(self, work: Any) -> asyncio.Task[Any]:
        task = asyncio.ensure_future(work)
        self._pending.add(task)
        task.add_done_callback(self._pending.discard)
        return cast("asyncio.Task[Any]", task)

    async def _run(
        self, verb: str, permit: str = "0", failed: str = "0", slow: str = "0"
    ) -> _Answer:
        now = "" if self._clock is None else repr(self._clock.now())
        arguments = [verb, now, permit, failed, slow, *self._arguments]
        said = [_text(part) for part in await self._script(self._keys, arguments)]
        before, after = BreakerState(said[1]), BreakerState(said[2])
        at = float(said[4])
        answer = _Answer(int(said[0]), before, after, said[3], at, float(said[5]))
        if before is not after and self._on_event is not None:
            reason = cast("Reason", answer.reason)
            self._on_event(BreakerStateChanged(self.name, before, after, reason, at))
        return answer

    def _is_slow(self, duration_s: float) -> bool:
        slow_call_s = self.settings.slow_call_s
        return slow_call_s is not None and duration_s >= slow_call_s

    def _refusal(self, answer: _Answer | None) -> CircuitOpen:
        if answer is None:
            message = f"{self.name} is refused: Redis does not tell its state"
            return CircuitOpen(message, name=self.name)
        message = f"{self.name} is {answer.after.replace('_', '-')}"
        return CircuitOpen(message, name=self.name, retry_after=_retry_after(answer))

    async def _answer(self, refusal: CircuitOpen) -> Any:
        if self._fallback is None:
            raise refusal
        answer = self._fallback(refusal)
        return await answer if isawaitable(answer) else answer


class RedisBreakerRegistry(Registry[RedisCircuitBreaker]):
    """Breakers that all processes on one Redis share, by name."""

    __slots__ = ("_client", "_fail_open", "_failures", "_on_event")

    def __init__(
        self,
        client: Redis,
        settings: BreakerSettings | None = None,
        *,
        failures: ErrorWords = is_upstream_failure,
        fail_open: bool = True,
        on_event: Callable[[BreakerStateChanged], None] | None = None,
    ) -> None:
        """Make an empty registry; the arguments are those of its breakers."""
        super().__init__(settings)
        self._client = client
        self._failures = failures
        self._fail_open = fail_open
        self._on_event = on_event

    def _made(self, name: str, settings: BreakerSettings) -> RedisCircuitBreaker:
        return RedisCircuitBreaker(
            self._client,
            settings,
            name=name,
            failures=self._failures,
            fail_open=self._fail_open,
            on_event=self._on_event,
        )


def _arguments(settings: BreakerSettings) -> list[str]:
    """Return the settings as the script takes them."""
    times_s = settings.open_s + settings.half_open_s + (settings.window_s or 0)
    ttl_ms = round(max(_TTL_S_MIN, 10 * times_s) * 1_000)
    numbers = (
        settings.failure_threshold,
        settings.failure_rate,
        settings.slow_rate,
        settings.window_calls,
        settings.window_s,
        settings.min_calls,
        settings.success_threshold,
        settings.open_s,
        settings.max_half_open_calls,
        settings.half_open_s,
        ttl_ms,
    )
    return ["" if number is None else repr(number) for number in numbers]


def _retry_after(answer: _Answer) -> float | None:
    if answer.after is not BreakerState.OPEN:
        return None
    return seconds_until(answer.open_until, answer.now)


def _text(value: Any) -> str:
    """Decode what a client may have decoded already."""
    return value.decode() if isinstance(value, bytes) else str(value)
