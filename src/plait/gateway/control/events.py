"""Server-sent events: what a service yields, to whoever listens, as it is yielded.

Rule 1. Nothing is held back: each event goes out when it is there.
Rule 2. What goes wrong before the first event is an error reply; later, an event `error`.
Rule 3. Nobody is kept listening while the process drains: whoever comes again with
        `Last-Event-ID` goes on where they were.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Final

import orjson

from plait.gateway.message import Reply
from plait.gateway.refusal import Unforeseen
from plait.model.errors import PlaitError
from plait.ports.platform import Told
from plait.ports.status import error_json

logger = logging.getLogger("plait.gateway")

# Proxies close connections that say nothing for a minute.
HEARTBEAT_S: Final = 15.0
# What is wrong with a request shows at once, or over the network nearly so; a stream with
# nothing to tell yet begins when this is over.
_FIRST_S: Final = 0.25
# Of an agent that is first imported and reads its OpenAPI documents, or asks a model, the
# client would wait for something to read anyway.
AGENT_FIRST_S: Final = 10.0
_UNFORESEEN: Final = "something went wrong inside; the server's log says what"
_BEAT: Final = b": still here\n\n"
EVENT_HEADERS: Final = (
    (b"content-type", b"text/event-stream"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),
)


class Events:
    """Makes replies of what services yield.

    Args:
        is_over: Set when nobody shall be kept listening any longer.
        heartbeat_s: After how much silence a comment is sent.
    """

    def __init__(self, is_over: asyncio.Event, heartbeat_s: float = HEARTBEAT_S) -> None:
        self._is_over = is_over
        self._heartbeat_s = heartbeat_s

    async def reply(self, told: AsyncIterator[Told], first_s: float = _FIRST_S) -> Reply:
        """Return the reply that tells of `told`, as it comes.

        Args:
            first_s: How long the reply waits for the first event, or for an error.

        Raises:
            PlaitError: What the service has against the request.
        """
        first = asyncio.ensure_future(_next(told))
        ending = asyncio.ensure_future(self._is_over.wait())
        wait_s = min(first_s, self._heartbeat_s)
        try:
            await asyncio.wait(
                (first, ending), timeout=wait_s, return_when=asyncio.FIRST_COMPLETED
            )
            if first.done() and first.exception() is not None:
                await first
        except BaseException:
            await _close(told, first)
            raise
        finally:
            ending.cancel()
        return Reply(200, list(EVENT_HEADERS), stream=self._parts(told, first))

    async def _parts(
        self, told: AsyncIterator[Told], coming: asyncio.Task[Told | None]
    ) -> AsyncGenerator[bytes, None]:
        ending = asyncio.ensure_future(self._is_over.wait())
        first, wait_s = asyncio.FIRST_COMPLETED, self._heartbeat_s
        try:
            while True:
                if not coming.done():
                    await asyncio.wait((coming, ending), timeout=wait_s, return_when=first)
                if coming.done():
                    one = await coming
                    if one is None:
                        return
                    yield event_bytes(one)
                    coming = asyncio.ensure_future(_next(told))
                elif ending.done():
                    return
                else:
                    yield _BEAT
        except PlaitError as error:
            yield event_bytes(Told("error", error_json(error)))
        except Exception:
            logger.exception("a stream of events ended early")
            yield event_bytes(Told("error", error_json(Unforeseen(_UNFORESEEN))))
        finally:
            ending.cancel()
            await _close(told, coming)


async def _next(told: AsyncIterator[Told]) -> Told | None:
    return await anext(told, None)


async def _close(told: AsyncIterator[Told], coming: asyncio.Task[Told | None]) -> None:
    """End what is done for a stream."""
    coming.cancel()
    await asyncio.wait((coming,))
    if not coming.cancelled() and (error := coming.exception()) is not None:
        logger.debug("what was told last was not sent: %s", error)
    if isinstance(told, AsyncGenerator):
        await told.aclose()


def event_bytes(told: Told) -> bytes:
    r"""Return an event as it goes over the wire.

    >>> event_bytes(Told("turn", {"number": 2}, 2))
    b'event: turn\nid: 2\ndata: {"number":2}\n\n'
    """
    number = b"id: %d\n" % told.number if told.number else b""
    data = orjson.dumps(told.data)
    return b"event: %s\n%sdata: %s\n\n" % (told.type.encode(), number, data)
