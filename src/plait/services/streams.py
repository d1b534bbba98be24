"""Streams of events as streams of messages."""

from __future__ import annotations

from collections.abc import AsyncIterator

from plait.ports.platform import Told
from plait.services.v1.common_pb2 import Event
from plait.services.wire import event_of


async def events_of(told: AsyncIterator[Told]) -> AsyncIterator[Event]:
    """Yield events as messages; who leaves leaves the stream behind it too."""
    try:
        async for one in told:
            yield event_of(one)
    finally:
        close = getattr(told, "aclose", None)
        if close is not None:
            await close()
