"""Observers together: each hears what happens, and none harms the others."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence

from plait.kernel.events import Event
from plait.model.failure import Failure
from plait.ports.observer import About, Line, Observer

logger = logging.getLogger("plait.telemetry")


def heard_by(observers: Sequence[Observer]) -> Observer | None:
    """Return what tells all of `observers`; None: there are none."""
    return _Together(observers) if observers else None


class _Together:
    def __init__(self, observers: Sequence[Observer]) -> None:
        self._observers = observers
        self.draws = any(one.draws for one in observers)

    def ran(
        self,
        about: About,
        status: str,
        failure: Failure | None,
        took_s: float,
        lines: Iterable[Line],
        offset_s: float,
    ) -> None:
        """See plait.ports.observer.Observer."""
        for one in self._observers:
            try:
                one.ran(about, status, failure, took_s, lines, offset_s)
            except Exception:
                logger.exception("an execution was not told of")

    def turned(self, about: About, events: Sequence[Event], lines: Iterable[Line]) -> None:
        """See plait.ports.observer.Observer."""
        for one in self._observers:
            try:
                one.turned(about, events, lines)
            except Exception:
                logger.exception("an execution was not told of")

    def recorded(self, took_s: float) -> None:
        """See plait.ports.observer.Observer."""
        for one in self._observers:
            one.recorded(took_s)
