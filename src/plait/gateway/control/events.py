"""Server-sent events: what a service yields, to whoever listens, as it is yielded.

Rule 1. Nothing is held back: each event goes out when it is there.
Rule 2. What goes wrong before the first event is an error reply; later, an event `error`.
Rule 3. Nobody is kept listening while the process drains: whoever comes again with
        `Last-Event-ID` goes on where they were. An express execution has nobody but who
        listens: it is a request under way, and comes to its result.
Rule 4. Whoever counts no more is told no more: a key may be revoked while it listens.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import suppress
from typing import Final, TypeAlias

import orjson

from plait.gateway.message import Reply
from plait.gateway.refusal import Unforeseen
from plait.model.errors import PlaitError
from plait.ports.identity import RateExceeded
from plait.ports.journal import StoreUnavailable
from plait.ports.platform import CutOff, Told
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
# A stream of a thousand events a second looks up its key no oftener.
_LOOK_S: Final = 1.0
_UNFORESEEN: Final = "something went wrong inside; the server's log says what"
_BEAT: Final = b": still here\n\n"
EVENT_HEADERS: Final = (
    (b"content-type", b"text/event-stream"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),
)


# Raises when whoever listens does not count any more.
Look: TypeAlias = Callable[[], Awaitable[None]]


class Events:
    """Makes replies of what services yield.

    Args:
        is_over: Set when nobody shall be kept listening any longer.
        heartbeat_s: After how much silence a comment is sent.
        is_cut: Set when runs are not waited for any longer, either.
    """

    def __init__(
        self,
        is_over: asyncio.Event,
        heartbeat_s: float = HEARTBEAT_S,
        is_cut: asyncio.Event | None = None,
    ) -> None:
        self._is_over = is_over
        self._is_cut = is_cut or is_over
        self._heartbeat_s = heartbeat_s
        self._look: Look | None = None
        self._looked_s = 0.0

    def watched(self, look: Look) -> Events:
        """Return what makes one reply, to somebody who counts as long as `look` is quiet.

        Args:
            look: Awaited before events and with heartbeats, once a second at most. What it
                raises ends the stream; with heartbeats only where it is no passing trouble.
        """
        own = Events(self._is_over, self._heartbeat_s, self._is_cut)
        own._look, own._looked_s = look, time.monotonic()
        return own

    async def reply(
        self, told: AsyncIterator[Told], first_s: float = _FIRST_S, *, is_run: bool = False
    ) -> Reply:
        """Return the reply that tells of `told`, as it comes.

        Args:
            first_s: How long the reply waits for the first event, or for an error.
            is_run: Whether an execution is run by it, whose event `start` tells its `mode`.

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
        parts = self._parts(told, first, is_run)
        return Reply(200, list(EVENT_HEADERS), stream=parts, beat=_BEAT)

    async def _parts(
        self, told: AsyncIterator[Told], coming: asyncio.Task[Told | None], is_run: bool
    ) -> AsyncGenerator[bytes, None]:
        over = self._is_cut if is_run else self._is_over
        ending = asyncio.ensure_future(over.wait())
        first, wait_s = asyncio.FIRST_COMPLETED, self._heartbeat_s
        try:
            while True:
                if not coming.done():
                    await asyncio.wait((coming, ending), timeout=wait_s, return_when=first)
                if coming.done():
                    one = await coming
                    if one is None:
                        return
                    await self._check()
                    yield event_bytes(one)
                    coming = asyncio.ensure_future(_next(told))
                    if is_run and one.type == "start" and one.data.get("mode") != "express":
                        is_run = False
                        ending.cancel()
                        ending = asyncio.ensure_future(self._is_over.wait())
                elif ending.done():
                    if is_run:
                        raise CutOff("the gateway stops, and the execution with it")
                    return
                else:
                    with suppress(StoreUnavailable, RateExceeded):  # nothing is told yet
                        await self._check()
                    yield _BEAT
        except PlaitError as error:
            yield event_bytes(Told("error", error_json(error)))
        except Exception:
            logger.exception("a stream of events ended early")
            yield event_bytes(Told("error", error_json(Unforeseen(_UNFORESEEN))))
        finally:
            ending.cancel()
            await _close(told, coming)

    async def _check(self) -> None:
        now_s = time.monotonic()
        if self._look is not None and now_s - self._looked_s >= _LOOK_S:
            await self._look()
            self._looked_s = now_s


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
