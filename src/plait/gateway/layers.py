"""Layers: what lies between a request and the workflow that answers it.

Each takes a handler and returns one that does a little more. Their order is in
`plait.gateway.pipeline`, and nowhere else.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, TypeAlias

from plait.drivers.inline import Start
from plait.gateway.binding import Binder
from plait.gateway.cache import ReplyCache
from plait.gateway.deadlines import Deadlines
from plait.gateway.identity import Identity, IdentitySource
from plait.gateway.message import Reply, Request, error_reply
from plait.gateway.metrics import RouteMetrics
from plait.gateway.refusal import NotFound, Overloaded, Refused
from plait.gateway.reply import COMPLETED, NOT_COMPLETED, ReplyWriter
from plait.gateway.timing import total_timing
from plait.gateway.trigger import TriggerReads, trigger_of
from plait.kernel import Kernel
from plait.model.caller import DEFAULT_TENANT, Caller
from plait.model.errors import PlaitError
from plait.model.json import JsonValue, canonical_bytes
from plait.operations.runs import Express
from plait.plan import Endpoint
from plait.ports.journal import StoreUnavailable
from plait.ports.observer import ids_in
from plait.ports.remote import ServiceError
from plait.ports.status import details_of, status_of

logger = logging.getLogger("plait.gateway")

# What is counted when the client left before its reply, as nginx does.
CLIENT_LEFT: Final = 499


@dataclass(slots=True)
class Exchange:
    """One request on its way through the layers.

    Attributes:
        values: The decoded path parameters, in the order of the path.
        identity: Set by `with_identity`, as `input` is by `with_input`.
        caller: Set where callers have to show who they are (plait.gateway.access).
    """

    request: Request
    values: tuple[str, ...]
    identity: Identity
    input: JsonValue = None
    caller: Caller | None = None


Handler: TypeAlias = Callable[[Exchange], Awaitable[Reply]]


def run_workflow(
    driver: Express,
    kernel: Kernel,
    writer: ReplyWriter,
    *,
    reads_trigger: bool,
    tenant: str = DEFAULT_TENANT,
) -> Handler:
    """Return what answers with the result of an execution, which is a tenant's."""

    async def handle(exchange: Exchange) -> Reply:
        identity = exchange.identity
        start = Start(
            identity.execution_id,
            exchange.input,
            trigger_of(exchange.request) if reads_trigger else None,
            identity.trace,
            tenant,
        )
        result = await driver.run(kernel, start)
        return writer.write(result)

    return handle


def with_cache(
    handler: Handler,
    cache: ReplyCache,
    endpoint: Endpoint,
    key: Callable[[Exchange], bytes],
    *,
    varies_by: tuple[str, ...],
) -> Handler:
    """Give a complete reply again to who asks the same within the endpoint's `cache`.

    Args:
        varies_by: The request's headers that the reply depends on.
    """
    ttl_s, stale_s = endpoint.cache_ms / 1000, endpoint.stale_ms / 1000
    told_to_caches = _cache_headers(endpoint, varies_by)

    async def handle(exchange: Exchange) -> Reply:
        reply, how, age_s = await cache.get(
            key(exchange), lambda: handler(exchange), ttl_s=ttl_s, stale_s=stale_s
        )
        # A copy: what is kept must not collect the headers of everyone it is given to.
        headers = [*reply.headers, (b"plait-cache", how.encode())]
        if is_keepable(reply):
            names = {name for name, _ in headers}
            headers.extend(one for one in told_to_caches if one[0] not in names)
            headers.append((b"age", b"%d" % age_s))
        return Reply(reply.status, headers, reply.body)

    return handle


def _cache_headers(
    endpoint: Endpoint, varies_by: tuple[str, ...]
) -> list[tuple[bytes, bytes]]:
    told = f"max-age={endpoint.cache_ms // 1000}"
    if endpoint.stale_ms:
        told += f", stale-while-revalidate={endpoint.stale_ms // 1000}"
    if not varies_by:
        return [(b"cache-control", told.encode())]
    # What depends on the caller's headers is nobody else's.
    vary = (b"vary", ", ".join(varies_by).encode())
    return [(b"cache-control", b"private, " + told.encode()), vary]


def is_keepable(reply: Reply) -> bool:
    """Tell whether a reply may be given again: it is whole, and all went well."""
    return reply.status == 200 and COMPLETED in reply.headers


def cache_key(plan_hash: str, reads: TriggerReads) -> Callable[[Exchange], bytes]:
    """Return what tells apart the requests that may get different replies."""
    prefix = plan_hash.encode()

    def key(exchange: Exchange) -> bytes:
        if not reads:
            return prefix + canonical_bytes(exchange.input)
        return prefix + canonical_bytes([exchange.input, reads.of(exchange.request)])

    return key


def with_deadline(handler: Handler, deadlines: Deadlines) -> Handler:
    """Answer 504 when the workflow has not ended in time; its calls are cancelled."""
    waited_ms = round(deadlines.timeout_s * 1000)
    message = f"the request was not answered within {waited_ms} ms"

    async def handle(exchange: Exchange) -> Reply:
        task = asyncio.current_task()
        assert task is not None
        began_s = time.perf_counter()
        deadlines.watch(task)
        try:
            reply = await handler(exchange)
        except asyncio.CancelledError:
            if deadlines.forget(task):
                raise
            task.uncancel()
            reply = error_reply(504, code="request.timeout", message=message)
            total = total_timing(time.perf_counter() - began_s).encode()
            reply.headers += (NOT_COMPLETED, _execution_id(exchange.identity))
            reply.headers.append((b"server-timing", total))
            return reply
        except BaseException:
            deadlines.forget(task)
            raise
        deadlines.forget(task)
        return reply

    return handle


def with_input(handler: Handler, binder: Binder) -> Handler:
    """Bind path, query and body; what does not fit is refused here."""

    async def handle(exchange: Exchange) -> Reply:
        exchange.input = binder.bind(exchange.request, exchange.values)
        return await handler(exchange)

    return handle


def with_error_reply(handler: Handler) -> Handler:
    """Answer also when something raised: refusals as they are, what a service or the store
    of keys could not do with its code, the rest as 500.
    """

    async def handle(exchange: Exchange) -> Reply:
        try:
            return await handler(exchange)
        except NotFound as refused:  # said as where there is no route at all
            return refused.as_reply()
        except Refused as refused:
            reply = refused.as_reply()
        except (ServiceError, StoreUnavailable) as error:
            return store_error_reply(error)
        except Exception:
            identity, caller = exchange.identity, exchange.caller
            execution_id = identity.execution_id
            told = {
                **ids_in(identity.trace),
                "execution_id": execution_id,
                "tenant": DEFAULT_TENANT if caller is None else caller.tenant,
            }
            logger.exception("request %s could not be answered", execution_id, extra=told)
            text = (
                f"something went wrong inside; the server's log says what ({execution_id})"
            )
            reply = error_reply(500, code="internal", message=text)
            reply.headers.append(_execution_id(exchange.identity))
        reply.headers.append(NOT_COMPLETED)
        return reply

    return handle


def store_error_reply(error: PlaitError) -> Reply:
    """Return the reply to a request that the store, what is in it, or another service stood
    against.
    """
    reply = error_reply(
        status_of(error).http,
        code=error.code,
        message=str(error),
        details=details_of(error),
    )
    reply.headers.append(NOT_COMPLETED)
    own: tuple[tuple[str, str], ...] = getattr(error, "headers", ())
    reply.headers += [(name.encode(), value.encode()) for name, value in own]
    if reply.status == 503:
        reply.headers.append((b"retry-after", b"1"))
    return reply


def _execution_id(identity: Identity) -> tuple[bytes, bytes]:
    return b"plait-execution-id", identity.execution_id.encode()


# Of the longest wait: what is late, when that has gone on for the longest wait.
_LATE_SHARE: Final = 0.2


class Room:
    """How many requests may be under way at once, and how many are.

    Args:
        places_max: So many at most.
        wait_ms_max: When so long one after the other has waited for its turn for a fifth
            of this, a fifth is the most that one may wait. So what comes at once may take
            its time, and nobody is refused because the process stood still once; what is
            too much for good may not.
    """

    def __init__(self, places_max: int, wait_ms_max: int) -> None:
        self.places_max = places_max
        self.taken = 0
        self._wait_s_max = wait_ms_max / 1000
        self._late_s_min = self._wait_s_max * _LATE_SHARE
        # Since when, and when last, one had waited for that fifth.
        self._late_since_s = self._late_last_s = -math.inf

    def is_too_late(self, due_s: float, now_s: float) -> bool:
        """Tell whether a request whose turn it was at `due_s` is not to be begun now."""
        waited_s = now_s - due_s
        if waited_s <= self._late_s_min:
            return False
        if now_s - self._late_last_s > self._wait_s_max:
            self._late_since_s = now_s
        self._late_last_s = now_s
        return now_s - self._late_since_s > self._wait_s_max


def with_room(handler: Handler, room: Room) -> Handler:
    """Refuse what is more than may be under way at once."""

    async def handle(exchange: Exchange) -> Reply:
        if room.taken >= room.places_max:
            text = f"{room.places_max} requests are under way already"
            raise Overloaded(text, headers=((b"retry-after", b"1"),))
        room.taken += 1
        try:
            return await handler(exchange)
        finally:
            room.taken -= 1

    return handle


def with_turn(handler: Handler, room: Room) -> Handler:
    """Refuse what has waited too long for its turn: the process has more to do than it can.

    To refuse costs a fraction of an answer. So those that are taken in have theirs soon,
    and the rest hears at once that it should come again; else all would wait, until their
    clients have left and every answer is for nobody.
    """

    async def handle(exchange: Exchange) -> Reply:
        due_s = exchange.request.due_s
        if due_s and room.is_too_late(due_s, time.monotonic()):
            text = "there is more to do than can be done: come again soon"
            raise Overloaded(text, headers=((b"retry-after", b"1"),))
        return await handler(exchange)

    return handle


def with_identity(handler: Handler, source: IdentitySource) -> Handler:
    """Give the request its ids, and tell the caller its request id."""

    async def handle(exchange: Exchange) -> Reply:
        exchange.identity = source.identify(exchange.request.headers)
        reply = await handler(exchange)
        reply.headers.append((b"x-request-id", exchange.identity.request_id.encode()))
        return reply

    return handle


def with_metrics(handler: Handler, metrics: RouteMetrics) -> Handler:
    """Count the request and measure it."""

    async def handle(exchange: Exchange) -> Reply:
        began_s = time.perf_counter()
        status = CLIENT_LEFT
        try:
            reply = await handler(exchange)
            status = reply.status
            return reply
        finally:
            metrics.answered(status, time.perf_counter() - began_s)

    return handle
