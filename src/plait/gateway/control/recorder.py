"""The recorder: what the control plane changes is recorded before and after it is done.

Rule 1. Where the log cannot be written nothing is changed: the caller is told that the
        store is not there.
Rule 2. Whoever leaves in the middle does not keep the end from being told.

Not here: the log (plait.ports.audit).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final

from plait.gateway.access import client_of
from plait.gateway.clients import Proxies
from plait.gateway.control.operations import Operation
from plait.gateway.layers import Exchange
from plait.gateway.message import Reply
from plait.gateway.routes import parameter_names
from plait.model.caller import Caller
from plait.model.errors import Advice, PlaitError
from plait.model.json import JsonObject
from plait.ports.audit import DONE, FAILED, REFUSED, UNKNOWN, Act, Audit, Opened

logger = logging.getLogger("plait.audit")

_ERRORS: Final = 400


class Recorder:
    """Records what operations do.

    Args:
        proxies: Whose word counts for who asks.
    """

    def __init__(self, audit: Audit, proxies: Proxies) -> None:
        self._audit = audit
        self._proxies = proxies
        self._ending: set[asyncio.Task[None]] = set()

    async def record(
        self,
        operation: Operation,
        exchange: Exchange,
        caller: Caller,
        body: JsonObject,
        answer: Callable[[], Awaitable[Reply]],
    ) -> Reply:
        """Return the reply to a request that changes something, recorded.

        Raises:
            StoreUnavailable: It cannot be recorded; nothing was done.
        """
        opened = await self._audit.begin(self._act(operation, exchange, caller, body))
        try:
            reply = await answer()
        except BaseException as error:
            await asyncio.shield(self._end(opened, *_told_of(error)))
            raise
        outcome = DONE if reply.status < _ERRORS else REFUSED
        await asyncio.shield(self._end(opened, outcome, None))
        return reply

    def _act(
        self, operation: Operation, exchange: Exchange, caller: Caller, body: JsonObject
    ) -> Act:
        given = dict(zip(parameter_names(operation.path), exchange.values, strict=False))
        subject = next(iter(given.values()), "") or _named_in(body)
        return Act(
            caller.tenant,
            caller.subject,
            operation.action,
            subject,
            exchange.identity.request_id,
            client_of(self._proxies, exchange.request),
        )

    def _end(self, opened: Opened, outcome: str, code: str | None) -> asyncio.Task[None]:
        task = asyncio.ensure_future(self._ended(opened, outcome, code))
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)
        return task

    async def _ended(self, opened: Opened, outcome: str, code: str | None) -> None:
        try:
            await self._audit.end(opened, outcome, code)
        except PlaitError as error:
            # It is kept that it was begun; the log will say that its end is unknown.
            logger.warning("%s %s: %s", opened.act.action, opened.act.subject, error)


def _told_of(error: BaseException) -> tuple[str, str | None]:
    """Return the outcome and the code of what an operation raised."""
    if isinstance(error, PlaitError):
        is_callers = error.advice is Advice.FIX_REQUEST
        return REFUSED if is_callers else FAILED, error.code
    if isinstance(error, asyncio.CancelledError):
        return UNKNOWN, "request.cancelled"
    return FAILED, "internal"


def _named_in(body: JsonObject) -> str:
    """Return the name of what a body makes; empty: it has none."""
    given = body.get("name") or body.get("workflow_definition")
    if isinstance(given, dict):
        given = given.get("name")
    # A document as text says its name further in; the entry goes without.
    is_name = isinstance(given, str) and "\n" not in given
    return str(given) if is_name else ""
