"""Streams: what happens in an execution, as server-sent events, while it happens.

Each turn of its history is one event; its `id` is the turn's number, so a client that comes
back with `Last-Event-ID` misses nothing. The last event, `end`, tells how it ended.

Not here: the route, and who may see what (plait.gateway.api).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Final

import orjson

from plait.drivers.journal import Store, turns_of
from plait.kernel.events import Event
from plait.model.json import JsonObject, JsonValue
from plait.operations import event_json
from plait.ports.journal import RUNNING, History, Search, UnknownExecution

# Between two looks at the execution's row. A look is one read by key.
_LOOK_S: Final = 0.2
# Proxies close connections that say nothing for a minute.
_HEARTBEAT_LOOKS: Final = round(15 / _LOOK_S)
HEADERS: Final = (
    (b"content-type", b"text/event-stream"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),
)


async def follow(
    store: Store,
    history: History,
    after: int,
    *,
    told: Callable[[History], JsonObject],
    is_whole: bool,
    is_over: asyncio.Event,
) -> AsyncIterator[bytes]:
    """Yield the events of an execution, those after turn number `after`, to its end.

    Args:
        history: As it is now.
        told: Returns what the event `end` says.
        is_whole: Whether inputs, outputs and answers are told, or names only.
        is_over: Set when nobody shall be kept waiting any longer.
    """
    execution_id = history.summary.new.execution_id
    # A number that no turn has yet is not a wish to miss those to come.
    after = min(after, history.summary.length)
    while True:
        first = history.summary.length - len(history.entries) + 1
        for number, events in enumerate(turns_of(history), start=first):
            if number > after:
                yield _turn(number, events, is_whole=is_whole)
                after = number
        if history.summary.standing.status != RUNNING:
            yield _event("end", after, told(history))
            return
        async for beat in _until_changed(store, execution_id, after, is_over):
            yield beat
        if is_over.is_set():
            return
        try:
            history = await store.read(execution_id)
        except UnknownExecution:  # it has ended long ago, and was removed
            return


async def _until_changed(
    store: Store, execution_id: str, length: int, is_over: asyncio.Event
) -> AsyncIterator[bytes]:
    """Return when the history is longer than that; yield what keeps a connection open."""
    looks = 0
    search = Search(execution_ids=(execution_id,), limit=1)
    while not is_over.is_set():
        found = await store.find(search)
        if not found or found[0].length > length:
            return
        looks += 1
        if looks % _HEARTBEAT_LOOKS == 0:
            yield b": still here\n\n"
        try:
            async with asyncio.timeout(_LOOK_S):
                await is_over.wait()
        except TimeoutError:
            continue


def _turn(number: int, events: list[Event], *, is_whole: bool) -> bytes:
    shown: list[JsonValue] = [event_json(event, is_whole=is_whole) for event in events]
    return _event("turn", number, {"number": number, "events": shown})


def _event(name: str, number: int, data: JsonObject) -> bytes:
    return b"event: %s\nid: %d\ndata: %s\n\n" % (name.encode(), number, orjson.dumps(data))
