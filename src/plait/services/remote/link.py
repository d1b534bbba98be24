"""A link to a service: calls with a deadline, sent again only where that is safe.

Rule 1. Whoever is cancelled while waiting cancels the call on the other side.
Rule 2. A call is sent again when the service was not there, and only if it reads, or if it
        starts something under a key: with exponential back-off and full jitter, within the
        deadline.
Rule 3. Streams are not sent again: who follows one knows the number of its last event.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncGenerator, Callable
from dataclasses import replace
from typing import Any, Final

import grpc

from plait.model.record import record
from plait.ports.observer import current_trace
from plait.ports.remote import ServiceUnavailable
from plait.services.channel import Security, Sizes, channel_of
from plait.services.errors import error_of
from plait.services.methods import METHODS
from plait.services.tracing import CallSpan, called
from plait.services.wire import ERROR_KEY, Asked, Metadata, metadata_of
from plait.telemetry.spans import Draw

_DELAY_S_MAX: Final = 1.0


@record
class LinkTimes:
    """How long calls take, and how often they are sent.

    Attributes:
        deadline_ms: How long an answer may take, beside what was asked to be waited.
        retries_max: How often a safe call is sent again.
        delay_ms: The ceiling of the first delay; it doubles with each.
    """

    deadline_ms: int = 30_000
    retries_max: int = 3
    delay_ms: int = 50


class Link:
    """Calls one service. It connects when it is first used; close it when done.

    Args:
        role: Which: `engine`, `runtime`, `agent`.
        address: `host:port`, or several (plait.services.channel).
        draw: Takes the spans of its calls; None: nobody does.
        knows: Tells up to which revision of the store this process knows what is deployed;
            None: it does not look.
    """

    def __init__(
        self,
        role: str,
        address: str,
        *,
        security: Security | None = None,
        sizes: Sizes | None = None,
        times: LinkTimes | None = None,
        draw: Draw | None = None,
        knows: Callable[[], int] | None = None,
    ) -> None:
        self.role = role
        self.address = address
        self._security = security or Security()
        self._sizes = sizes or Sizes()
        self._times = times or LinkTimes()
        self._draw = draw
        self._knows = knows
        self._channel: grpc.aio.Channel | None = None
        self._calls: dict[str, Callable[..., Any]] = {}

    @property
    def state(self) -> str:
        """How the connection stands, in gRPC's words: `idle`, `ready`, …."""
        if self._channel is None:
            return "idle"
        return str(self._channel.get_state().name).lower()

    async def call(
        self,
        method: str,
        request: Any,
        asked: Asked,
        *,
        is_safe: bool = False,
        wait_ms: int = 0,
    ) -> Any:
        """Return the service's answer.

        Args:
            method: As the servicer names it: `run_plan`.
            is_safe: It may be sent again.
            wait_ms: How long the service was asked to wait; it has its time beside that.

        Raises:
            PlaitError: What the service has against it, or `plait.ports.remote`.
        """
        until_s = time.monotonic() + (self._times.deadline_ms + wait_ms) / 1000
        retries_left = self._times.retries_max if is_safe else 0
        delay_s = self._times.delay_ms / 1000
        while True:
            try:
                return await self._called(method, request, asked, until_s)
            except grpc.aio.AioRpcError as error:
                if not retries_left or not _was_not_there(error):
                    raise error_of(self.role, error) from None
            retries_left -= 1
            await asyncio.sleep(random.uniform(0, min(delay_s, _DELAY_S_MAX)))
            delay_s *= 2

    async def _called(self, method: str, request: Any, asked: Asked, until_s: float) -> Any:
        with self._span(method, asked) as asked:
            metadata = self._metadata(asked)
            timeout_s = max(until_s - time.monotonic(), 0.0)
            call = self._multicall(method)(request, metadata=metadata, timeout=timeout_s)
            try:
                return await call
            except asyncio.CancelledError:
                raise self._gone() from None

    async def stream(
        self, method: str, request: Any, asked: Asked
    ) -> AsyncGenerator[Any, None]:
        """Yield the service's answers as they come; whoever leaves ends the call.

        Raises:
            PlaitError: As `call`.
        """
        with self._span(method, asked) as asked:
            metadata = self._metadata(asked)
            call = self._multicall(method)(request, metadata=metadata)
            try:
                async for message in call:
                    yield message
            except asyncio.CancelledError:
                raise self._gone() from None
            except grpc.aio.AioRpcError as error:
                raise error_of(self.role, error) from None
            finally:
                call.cancel()

    def _span(self, method: str, asked: Asked) -> CallSpan:
        """Return the span of one call, in the trace of what it is made for."""
        if not asked.trace:
            asked = replace(asked, trace=current_trace.get())
        path = METHODS[self.role][method].path
        return called(self._draw, path, asked, self.address)

    def _metadata(self, asked: Asked) -> Metadata:
        revision = 0 if self._knows is None else self._knows()
        most = self._sizes.message_bytes_max
        told = replace(asked, revision=revision, answer_bytes_max=most)
        return metadata_of(told, self._security.token)

    def _gone(self) -> BaseException:
        """Return what it means that a call was cancelled: by whom?"""
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            return asyncio.CancelledError()
        return ServiceUnavailable(self.role, "is not called any more: this process ends")

    def _multicall(self, name: str) -> Callable[..., Any]:
        call = self._calls.get(name)
        if call is None:
            method = METHODS[self.role][name]
            channel = self._connected()
            kind = channel.unary_stream if method.is_stream else channel.unary_unary
            made: Callable[..., Any] = kind(
                method.path,
                request_serializer=method.dump,
                response_deserializer=method.load_reply,
            )
            call = self._calls[name] = made
        return call

    def _connected(self) -> grpc.aio.Channel:
        if self._channel is None:
            self._channel = channel_of(self.address, self._security, self._sizes)
        return self._channel

    async def close(self) -> None:
        """Cancel what is under way, and let go of the connection."""
        if self._channel is not None:
            await self._channel.close()


def _was_not_there(error: grpc.aio.AioRpcError) -> bool:
    """Tell whether a call failed for want of a service, and not because that refused it."""
    told = any(name == ERROR_KEY for name, _ in error.trailing_metadata() or ())
    return error.code() is grpc.StatusCode.UNAVAILABLE and not told
