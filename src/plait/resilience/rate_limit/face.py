"""What every limiter is to its callers, wherever it keeps count."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import ParamSpec, TypedDict, TypeVar

from plait.resilience.checks import check_count, check_patience, check_seconds
from plait.resilience.errors import RateLimited
from plait.resilience.policy import Policy
from plait.resilience.rate_limit.admission import OnEvent, Refused

P = ParamSpec("P")
T = TypeVar("T")


class CommonSettings(TypedDict, total=False):
    """What any limiter can be given besides its limit.

    Attributes:
        name: For errors and events.
        queue_timeout_s: Seconds that `call`, the decorator and the block wait to be
            admitted: 0, the default, refuses at once, None waits as long as it takes.
        max_queue: Callers that may wait in this process; 0: nobody waits, None, the
            default: any number.
        on_event: Is told of each refusal; it must not raise.
    """

    name: str
    queue_timeout_s: float | None
    max_queue: int | None
    on_event: OnEvent | None


def or_limit(argument: str, value: int | None, limit: int) -> int:
    """Return `value`, calls that may come at once; the limit of a period if not given."""
    check_count("limit", limit)
    if value is None:
        return limit
    check_count(argument, value)
    return value


class RateLimiter(Policy):
    """Admits calls up to a limit; one object for all who share the limit.

    Use it as a decorator (`@limiter`), around a block (`async with limiter:`), or through
    `acquire` and `acquire_or_wait`. It belongs to one event loop and has no locks.

    Attributes:
        name: For errors and events.
        weight_max: The heaviest call that can ever be admitted.
    """

    def __init__(
        self,
        *,
        limit: int,
        period_s: float,
        weight_max: int,
        name: str = "",
        queue_timeout_s: float | None = 0.0,
        max_queue: int | None = None,
        on_event: OnEvent | None = None,
    ) -> None:
        self.name = name
        self.weight_max = weight_max
        check_count("limit", limit)
        check_seconds("period_s", period_s)
        self._limit = limit
        self._period_s = float(period_s)
        self._queue_timeout_s = check_patience("queue_timeout_s", queue_timeout_s)
        if max_queue is not None:
            check_count("max_queue", max_queue, least=0)
        self._max_queue = max_queue
        self._on_event = on_event

    @abstractmethod
    async def acquire(self, weight: int = 1) -> None:
        """Take `weight` of the limit at once.

        Raises:
            RateLimited: There is not enough of it left, or others wait for it.
            ValueError: `weight` is no whole number from 1 to `weight_max`.
        """

    @abstractmethod
    async def acquire_or_wait(
        self, weight: int = 1, *, timeout: float | None = None
    ) -> None:
        """Take `weight` of the limit, if need be later: who comes first is served first.

        Cancelled while it waits, it gives its place to the next.

        Args:
            weight: 1 to `weight_max`.
            timeout: Seconds to wait at most; None: as long as it takes.

        Raises:
            RateLimited: The time was up, or could not be enough; or `max_queue` others
                wait already.
            ValueError: `weight` is no whole number from 1 to `weight_max`.
        """

    async def call(
        self, function: Callable[P, Awaitable[T]], /, *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Call `function` once it is admitted, waiting `queue_timeout_s` for that.

        Raises:
            RateLimited: It was not; nothing was called.
        """
        await self._enter()
        return await function(*args, **kwargs)

    async def __aenter__(self) -> None:
        await self._enter()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        return None

    async def _enter(self) -> None:
        if self._queue_timeout_s == 0.0:
            await self.acquire()
        else:
            await self.acquire_or_wait(timeout=self._queue_timeout_s)

    def _check(self, weight: int) -> None:
        check_count("weight", weight)
        if weight > self.weight_max:
            raise ValueError(
                f"weight is {weight}: {self._named()} never admits more than "
                f"{self.weight_max} at once; split the call, or raise the limit"
            )

    def _limited(self, weight: int, retry_after: float, why: str = "") -> RateLimited:
        """Return the error, and tell of it."""
        self._tell_refused(weight, retry_after)
        said = why or f"{self._limit} per {self._period_s:g} s are used up"
        message = f"{self._named()}: {said}; try again in {retry_after:.3g} s"
        return RateLimited(message, name=self.name, retry_after=retry_after)

    def _crowded(self) -> str:
        return f"{self._max_queue} callers wait already"

    def _tell_refused(self, weight: int, retry_after: float) -> None:
        if self._on_event is not None:
            self._on_event(Refused(self.name, weight, retry_after))

    def _named(self) -> str:
        return f"rate limit '{self.name}'" if self.name else "rate limit"
