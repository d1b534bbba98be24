"""Durable workflows behind endpoints: started in the store, answered now or later.

Rule 1. A start is in the store before anybody hears of it.
Rule 2. Who has waited for `wait` gets 202 and a link; the execution goes on.
Rule 3. `Idempotency-Key` makes a request safe to repeat: the same key gives the same
        execution, and the same key with another input is refused.

Not here: the store (plait.operations.keeper), what the link leads to
(plait.gateway.control).
"""

from __future__ import annotations

import re
from typing import Final

from plait.drivers.journal import Start
from plait.gateway.layers import Exchange, Handler, store_error_reply
from plait.gateway.message import Reply, Request, json_reply
from plait.gateway.refusal import Malformed, Refused
from plait.gateway.reply import NOT_COMPLETED, ReplyWriter
from plait.gateway.trigger import TriggerReads, kept_trigger, trigger_reads
from plait.model.errors import PlaitError
from plait.model.json import JsonObject
from plait.operations.runs import Durable
from plait.plan import Plan

EXECUTIONS_PATH: Final = "/api/v1/executions"
# Longer waits are cut by proxies; who wants to wait longer asks again.
WAIT_MS_MAX: Final = 60_000
_KEY = re.compile(rb"[\x21-\x7e]{1,255}")
_WAIT = re.compile(rb"wait\s*=\s*\"?(\d{1,6})\"?")


def run_durable(durable: Durable, plan: Plan, writer: ReplyWriter, tenant: str) -> Handler:
    """Return what starts an execution, and answers with its result or a link.

    One of an express workflow runs in memory, and is written down if it lasts too long.

    Args:
        tenant: Whose executions these are.
    """
    endpoint = plan.endpoint
    assert endpoint is not None
    reads, own_wait_ms = trigger_reads(plan), endpoint.wait_ms or 0
    is_promotable = plan.mode != "durable"

    async def handle(exchange: Exchange) -> Reply:
        start = _start_of(exchange, reads, tenant)
        wait_ms = wanted_wait_ms(exchange.request, own_wait_ms)
        result = await durable.start(plan, start, wait_ms, is_promotable=is_promotable)
        if isinstance(result, str):
            return accepted(result)
        return writer.write(result)

    return handle


def _start_of(exchange: Exchange, reads: TriggerReads, tenant: str) -> Start:
    request, identity = exchange.request, exchange.identity
    return Start(
        identity.execution_id,
        exchange.input,
        kept_trigger(request, reads, exchange.caller),
        idempotency_key(request),
        trace=identity.trace,
        tenant=tenant,
    )


def with_backlog(handler: Handler, durable: Durable) -> Handler:
    """Refuse a start when too many wait already, before its body is read as JSON.

    To read 100 kB and check them costs about as much as to write them down.
    """

    async def handle(exchange: Exchange) -> Reply:
        durable.check()
        return await handler(exchange)

    return handle


def with_store_errors(handler: Handler) -> Handler:
    """Say what the store could not do; nothing was acknowledged."""

    async def handle(exchange: Exchange) -> Reply:
        try:
            return await handler(exchange)
        except Refused:
            raise
        except PlaitError as error:
            return store_error_reply(error)

    return handle


def accepted(execution_id: str) -> Reply:
    """Return the reply that leads to an execution which goes on."""
    link = f"{EXECUTIONS_PATH}/{execution_id}"
    told: JsonObject = {"execution_id": execution_id, "status": "running"}
    reply = json_reply(202, {**told, "links": {"self": link}})
    reply.headers += (
        (b"location", link.encode()),
        (b"plait-execution-id", execution_id.encode()),
        NOT_COMPLETED,
    )
    return reply


def wanted_wait_ms(request: Request, own_wait_ms: int) -> int:
    """Return how long the caller waits: as `Prefer` says (RFC 7240), or the endpoint.

    >>> [wanted_wait_ms(Request("GET", "/", "", {b"prefer": told}), 2_000)
    ...  for told in (b"respond-async, wait=10", b"respond-async", b"await=1; wait=3")]
    [10000, 0, 2000]
    """
    told = request.headers.get(b"prefer", b"").lower()
    wishes = [wish.partition(b";")[0].strip() for wish in told.split(b",")]
    given = next(filter(None, map(_WAIT.fullmatch, wishes)), None)
    if given is not None:
        return min(int(given[1]) * 1000, max(WAIT_MS_MAX, own_wait_ms))
    return 0 if b"respond-async" in wishes else own_wait_ms


def idempotency_key(request: Request) -> str | None:
    """Return the key that makes a request safe to repeat; None: it has none.

    Raises:
        Malformed: It is no key.
    """
    given = request.headers.get(b"idempotency-key")
    if given is None:
        return None
    if not _KEY.fullmatch(given):
        raise Malformed("Idempotency-Key takes 1 to 255 printable characters, no spaces")
    return given.decode("ascii")
