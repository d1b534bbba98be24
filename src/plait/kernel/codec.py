"""Turns as bytes: what a journal keeps, readable by later versions and by people.

Rule 1. A turn is written as `{"format": 1, "events": [["StepStarted", {…}], …]}`: JSON, the
        outside event first, then what the kernel concluded from it.
Rule 2. `FORMAT` changes when old readers would misread new bytes; they then refuse.
Rule 3. A field at its default may be missing, so a later version may add fields.

Not here: keeping the bytes (behind plait.ports.journal), plans as bytes (plait.plan.codec).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Final, get_args

import orjson

from plait.kernel.events import (
    DerivedEvent,
    Event,
    ExecutionStarted,
    HistoryBegun,
    OutsideEvent,
)
from plait.model.errors import Advice, PlaitError
from plait.model.failure import Failure
from plait.model.json import JsonObject, JsonValue
from plait.model.place import Place

FORMAT: Final = 1
_FAILURES: Final = ("failure", "passed_over")


class TurnUnreadable(PlaitError):
    """Bytes that should hold a turn do not, or were written by a newer version."""

    code: ClassVar[str] = "journal.unreadable"
    advice: ClassVar[Advice] = Advice.REPORT

    def __init__(self, reason: str) -> None:
        super().__init__(f"this history cannot be read by this version: {reason}")
        self.reason = reason


def dump_turn(events: list[Event]) -> bytes:
    """Return the bytes of one turn's events; equal events give equal bytes.

    Raises:
        TypeError: An event holds what JSON cannot.
    """
    named = [[type(event).__name__, event] for event in events]
    return orjson.dumps({"format": FORMAT, "events": named}, default=_place_as_list)


def load_turn(data: bytes) -> list[Event]:
    """Return the events that `data` holds; `dump_turn(load_turn(data)) == data`.

    Raises:
        TurnUnreadable: `data` is damaged, or a newer version wrote it.
    """
    try:
        outer = orjson.loads(data)
        written_format = outer["format"]
    except (orjson.JSONDecodeError, TypeError, KeyError) as error:
        raise TurnUnreadable("an entry is not the JSON of a turn") from error
    if written_format != FORMAT:
        raise TurnUnreadable(f"an entry has format {written_format}, known is {FORMAT}")
    return [load_event(event) for event in outer["events"]]


def event_json(event: Event) -> JsonValue:
    """Return an event as it stands in a turn's bytes: its name, its fields."""
    fields: JsonValue = orjson.loads(orjson.dumps(event, default=_place_as_list))
    return [type(event).__name__, fields]


def load_event(saved: Any) -> Event:
    """Return the event that `event_json` has written.

    Raises:
        TurnUnreadable: A newer version has written it.
    """
    name, fields = saved
    return _load(name, fields)


def failure_json(failure: Failure) -> JsonObject:
    """Return all of a failure; `Failure.as_json` is what people see of it."""
    saved: JsonObject = orjson.loads(orjson.dumps(failure, default=_place_as_list))
    return saved


def _place_as_list(value: Any) -> list[Any]:
    if isinstance(value, Place):
        return list(value)
    raise TypeError(f"{type(value).__name__} is not JSON")


def _load(name: str, fields: Mapping[str, Any]) -> Event:
    kind = _KINDS.get(name)
    if kind is None:
        raise TurnUnreadable(f"it knows no event '{name}'")
    failures = {
        name: load_failure(fields[name])
        for name in _FAILURES
        if fields.get(name) is not None
    }
    try:
        if kind is HistoryBegun:
            fields = {**fields, "started": ExecutionStarted(**fields["started"])}
        return kind(**{**fields, **failures})
    except TypeError as error:
        raise TurnUnreadable(f"event '{name}' has other fields: {error}") from error


def load_failure(fields: Mapping[str, Any]) -> Failure:
    """Return the failure that `failure_json` has written."""
    place = fields["place"]
    return Failure(
        **{
            **fields,
            "advice": Advice(fields["advice"]),
            "classes": tuple(fields["classes"]),
            "place": None if place is None else Place(*place),
        }
    )


_KINDS: Final[Mapping[str, Callable[..., Event]]] = {
    kind.__name__: kind
    for union in (OutsideEvent, DerivedEvent)
    for kind in get_args(union)
}
