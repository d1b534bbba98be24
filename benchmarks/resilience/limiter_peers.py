"""Plait's limiters and those of others, asked the same thing in the same words.

Each way is a coroutine function or a plain one that asks once, of a limiter of its own.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Final, TypeAlias

from plait.resilience.rate_limit import rate_limiter

Ask: TypeAlias = "Callable[[], Awaitable[object]] | Callable[[], object]"

ADMITTED: Final = "admitted"
REFUSED: Final = "refused"
WAITED: Final = "half of 2,000 tasks wait"


@dataclass(frozen=True, slots=True)
class Way:
    """One library's way to ask one limiter.

    Attributes:
        strategy: Those of one strategy admit the same calls.
        waits: Whether `ask` is to be awaited.
        needs: The module it is in.
        make: Returns `ask`, for a new limiter of so many calls in so many seconds.
        outcomes: What becomes of the calls.
    """

    library: str
    strategy: str
    waits: bool
    needs: str
    make: Callable[[int, float], Ask]
    outcomes: tuple[str, ...] = (ADMITTED, REFUSED)

    @property
    def is_here(self) -> bool:
        """Whether the library is installed."""
        return find_spec(self.needs) is not None


def _plait(strategy: str) -> list[Way]:
    def plain(limit: int, period_s: float) -> Ask:
        return rate_limiter(strategy, limit=limit, period_s=period_s).try_acquire

    def awaited(limit: int, period_s: float) -> Ask:
        return rate_limiter(strategy, limit=limit, period_s=period_s).acquire

    return [
        Way("plait", strategy, False, "plait", plain),
        Way("plait", strategy, True, "plait", awaited),
    ]


def _plait_line(strategy: str) -> Way:
    def patient(limit: int, period_s: float) -> Ask:
        return rate_limiter(strategy, limit=limit, period_s=period_s).acquire_or_wait

    return Way("plait", strategy, True, "plait", patient, (WAITED,))


def _limits(strategy: str, name: str) -> list[Way]:
    def make(package: str) -> Callable[[int, float], Ask]:
        def of(limit: int, period_s: float) -> Ask:
            item = import_module("limits").RateLimitItemPerSecond(limit, int(period_s))
            storage = import_module(f"{package}.storage").MemoryStorage()
            strategies = import_module(f"{package}.strategies")
            hit = getattr(strategies, name)(storage).hit
            return lambda: hit(item, "k")

        return of

    return [
        Way("limits", strategy, False, "limits", make("limits")),
        Way("limits", strategy, True, "limits", make("limits.aio")),
    ]


def _pyrate(strategy: str, bucket: Callable[[Any, Any], Any]) -> list[Way]:
    def limiter(limit: int, period_s: float) -> Any:
        module = import_module("pyrate_limiter")
        rate = module.Rate(limit, int(period_s * 1_000))
        return module.Limiter(bucket(module, rate))

    def plain(limit: int, period_s: float) -> Ask:
        ask = limiter(limit, period_s).try_acquire
        return lambda: ask("k", blocking=False)

    def awaited(limit: int, period_s: float) -> Ask:
        ask = limiter(limit, period_s).try_acquire_async
        return lambda: ask("k", blocking=False)

    return [
        Way("pyrate-limiter", strategy, False, "pyrate_limiter", plain),
        Way("pyrate-limiter", strategy, True, "pyrate_limiter", awaited),
    ]


def _pyrate_log(algorithm: str) -> Callable[[Any, Any], Any]:
    def bucket(module: Any, rate: Any) -> Any:
        algorithms = import_module("pyrate_limiter.abstracts.algorithm")
        return module.InMemoryBucket([rate], getattr(algorithms, algorithm)())

    return bucket


def _pyrate_state(_module: Any, rate: Any) -> Any:
    buckets = import_module("pyrate_limiter.buckets.state_bucket")
    algorithms = import_module("pyrate_limiter.abstracts.algorithm")
    store = buckets.InMemoryStateStore()
    return buckets.StateBucket([rate], store=store, algorithm=algorithms.TokenBucket())


def _aiolimiter(limit: int, period_s: float) -> Ask:
    acquire: Ask = import_module("aiolimiter").AsyncLimiter(limit, period_s).acquire
    return acquire


WAYS: Final = (
    *_plait("fixed_window"),
    *_limits("fixed_window", "FixedWindowRateLimiter"),
    *_pyrate("fixed_window", _pyrate_log("FixedWindow")),
    *_plait("sliding_window"),
    *_limits("sliding_window", "MovingWindowRateLimiter"),
    *_pyrate("sliding_window", _pyrate_log("SlidingWindowLog")),
    *_plait("token_bucket"),
    *_pyrate("token_bucket", _pyrate_state),
    *_plait("leaky_bucket_meter"),
    _plait_line("leaky_bucket_meter"),
    # Whom it does not admit it lets wait.
    Way(
        "aiolimiter",
        "leaky_bucket_meter",
        True,
        "aiolimiter",
        _aiolimiter,
        (ADMITTED, WAITED),
    ),
)
