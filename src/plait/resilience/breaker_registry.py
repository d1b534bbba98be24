"""One circuit breaker per upstream, shared by all that call it.

Whoever wires a process together owns one registry; there is no global one.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Generic, Protocol, TypeVar

from plait.resilience.breaker_settings import (
    BreakerSettings,
    BreakerSnapshot,
    BreakerStateChanged,
)
from plait.resilience.circuit_breaker import CircuitBreaker
from plait.resilience.clock import SYSTEM_CLOCK, Clock
from plait.resilience.matching import ErrorWords, is_upstream_failure


class _HasSettings(Protocol):
    settings: BreakerSettings


B = TypeVar("B", bound=_HasSettings)


class Registry(ABC, Generic[B]):
    """Breakers of one kind by name, made when they are first asked for."""

    __slots__ = ("_breakers", "_settings")

    def __init__(self, settings: BreakerSettings | None = None) -> None:
        self._settings = settings if settings is not None else BreakerSettings()
        self._breakers: dict[str, B] = {}

    def get(self, name: str, settings: BreakerSettings | None = None) -> B:
        """Return the breaker called `name`.

        Args:
            name: What it protects: a host, a service.
            settings: Settings of its own; None: those of the registry, or of whoever
                asked first.

        Raises:
            ValueError: Somebody asked for it with other settings.
        """
        breaker = self._breakers.get(name)
        if breaker is None:
            breaker = self._breakers[name] = self._made(name, settings or self._settings)
        elif settings is not None and settings != breaker.settings:
            message = (
                f"settings of the breaker {name!r} differ from those that it was made "
                f"with, {breaker.settings}; give it the same everywhere, or another name"
            )
            raise ValueError(message)
        return breaker

    @abstractmethod
    def _made(self, name: str, settings: BreakerSettings) -> B:
        """Return a new breaker."""


class BreakerRegistry(Registry[CircuitBreaker]):
    """The breakers of one process.

    >>> breakers = BreakerRegistry(BreakerSettings(failure_threshold=3))
    >>> breakers.get("payments") is breakers.get("payments")
    True
    """

    __slots__ = ("_clock", "_failures", "_on_event")

    def __init__(
        self,
        settings: BreakerSettings | None = None,
        *,
        failures: ErrorWords = is_upstream_failure,
        on_event: Callable[[BreakerStateChanged], None] | None = None,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        """Make an empty registry; the arguments are those of its breakers."""
        super().__init__(settings)
        self._failures = failures
        self._on_event = on_event
        self._clock = clock

    def snapshot(self) -> Mapping[str, BreakerSnapshot]:
        """Return what each breaker holds now, by name."""
        return {name: each.snapshot() for name, each in sorted(self._breakers.items())}

    def _made(self, name: str, settings: BreakerSettings) -> CircuitBreaker:
        return CircuitBreaker(
            settings,
            failures=self._failures,
            name=name,
            on_event=self._on_event,
            clock=self._clock,
        )
