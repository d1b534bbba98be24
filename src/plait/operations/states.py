"""The way of a state machine, and the events that were refused, as a history tells them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from plait.kernel.events import Event, SignalReceived, SignalRefused, StateEntered
from plait.kernel.views import moment_text
from plait.model.json import JsonObject


def states_entered(turns: Iterable[list[Event]]) -> Iterator[JsonObject]:
    """Yield the states in the order in which they were entered: what led to each, when."""
    for events in turns:
        for event in events:
            if isinstance(event, StateEntered):
                yield {
                    "state": event.state,
                    "previous": event.previous,
                    "cause": event.cause or None,
                    "at": moment_text(event.at_ms),
                }


def signals_refused(turns: Iterable[list[Event]]) -> Iterator[JsonObject]:
    """Yield the signals that were refused: `id`, `name`, `reason` and when."""
    names: dict[str, str] = {}
    for events in turns:
        for event in events:
            if isinstance(event, SignalReceived):
                names[event.signal_id] = event.name
            elif isinstance(event, SignalRefused):
                yield {
                    "id": event.signal_id,
                    # One that was kept before the history began anew has none here.
                    "name": names.get(event.signal_id),
                    "reason": event.reason,
                    "at": moment_text(event.at_ms),
                }
